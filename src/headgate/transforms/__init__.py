"""Transformation steps, one kind a file: ``Options`` and the pure function ``shapes(options, step)``."""
