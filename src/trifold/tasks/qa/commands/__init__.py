"""The words that question answering brings to the command line."""
