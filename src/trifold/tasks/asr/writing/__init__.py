"""Transcripts as files: a table, JSON lines, and TextGrids, written and read."""
