"""Speech recognition learnt from untranscribed audio and unpaired text, after wav2vec-U (Baevski et al. 2021)."""
