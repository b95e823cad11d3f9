"""A small encoder of speech, trained on the user's own recordings alone: no text, no transcripts, no other weights."""
