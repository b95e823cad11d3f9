"""Labelled questions: reading them from files, finding what is wrong with them, repairing it."""
