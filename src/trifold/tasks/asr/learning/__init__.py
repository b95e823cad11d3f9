"""From recordings and unpaired text to a model of phones, and a verdict on it, without a transcript."""
