"""From unpaired text to phones: letters, words, silence, and how often what follows what."""
