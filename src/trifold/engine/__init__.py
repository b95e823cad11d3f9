"""Arrays in, arrays out: plans batches, runs them on all cores, and knows nothing of what they mean."""
