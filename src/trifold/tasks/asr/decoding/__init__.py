"""From phones with their probabilities to words: a lexicon, what follows what, and a search that forgives errors."""
