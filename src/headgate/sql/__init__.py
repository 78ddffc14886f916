"""SQL as syntax trees: the expression language, names, literals, templates, and the shapes that steps compile to."""
