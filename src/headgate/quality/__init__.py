"""Quality rules, one a file: ``Options`` and the pure function ``shapes(options, step)`` giving one rule shape."""
