"""Long work: journals of what is done, progress, going on after an interruption."""
