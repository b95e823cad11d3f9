"""What will go wrong when a model is learnt from recordings and a text, found before it does."""
