"""The embedded Iceberg lake behind :mod:`headgate.lake.iceberg`. Nothing here is imported before it is needed."""
