"""Judging transcripts by the text alone, without a reference: what they look like beside what people write."""
