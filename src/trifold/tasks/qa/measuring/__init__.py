"""How good a reader is: metrics, evaluation, reports."""
