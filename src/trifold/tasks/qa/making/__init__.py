"""From a checkpoint to a model folder: graphs, card."""
