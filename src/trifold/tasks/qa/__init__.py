"""Extractive question answering: the answer is quoted word for word from the passage, or it does not say."""
