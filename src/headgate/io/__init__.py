"""What connectors share: files, Parquet, locks, the ledger on SQL, databases."""
