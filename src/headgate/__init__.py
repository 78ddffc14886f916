"""headgate runs every data pipeline as a transaction."""

__version__ = "0.1.0"
