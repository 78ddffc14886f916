"""The command line: commands and queries, rendered for people or as one JSON document."""
