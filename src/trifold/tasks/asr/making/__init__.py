"""From what was learnt to a model folder."""
