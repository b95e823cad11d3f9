"""How people and programs reach a task."""
