"""What a language's text sounds like when a synthesiser reads it: a start for recordings that nobody transcribed."""
