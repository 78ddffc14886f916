"""A pipeline compiled: an immutable list of stages. Making it reads and writes no data."""
