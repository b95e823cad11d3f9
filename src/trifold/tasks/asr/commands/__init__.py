"""The words that speech recognition brings to the command line."""
