"""What databases have in common: sources by cursor, stores that stage and commit. Connectors give the dialect."""
