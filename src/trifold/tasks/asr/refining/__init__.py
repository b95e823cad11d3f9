"""From rough labels to better ones: models of how phones sound and last, fitted to the whole of the recordings."""
