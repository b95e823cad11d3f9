"""From recordings to frames: reading, resampling, speech and silence, features, boundaries."""
