"""One script a question; each measures the limit, or what it must stay under, in the same run. ``make bench``."""
