"""The REST API: any task that brings routes, asked by many at once."""
