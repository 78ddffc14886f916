"""The Python face: projects, tables, decorators. ``import headgate as hg`` has everything of it."""
