"""The Parquet folder: a chain of manifests says which files are the tables, and holds the ledger beside them."""
