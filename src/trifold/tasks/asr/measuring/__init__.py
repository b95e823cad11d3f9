"""Errors against references that nothing else may read."""
