"""From sounds without names to phones: matching how sounds follow each other with how phones do in the text."""
