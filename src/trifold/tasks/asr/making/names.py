"""What the graph of a recogniser takes and gives."""

INPUT, OUTPUT = "sounds", "scores"
"""Frames of `sounds`, shape (frames, D), and scaled log p(frame | state), shape (frames, S)."""
