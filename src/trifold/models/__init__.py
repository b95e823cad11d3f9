"""Model folders: their format, where they are found, and the model that comes with the package."""
