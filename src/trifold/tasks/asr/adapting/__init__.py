"""A model that reads the recordings of a voice that it did not learn from."""
