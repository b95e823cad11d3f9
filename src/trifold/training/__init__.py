"""What tasks share when they learn: batches of like length, the loop, its checkpoints; and quiet while a base loads."""
