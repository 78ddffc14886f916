"""The engine's errors as SQL Server numbers them."""

from __future__ import annotations

import re

import duckdb
from tests.sqlserver.strict import RefusedError

_STATES = ((re.compile("already exists"), 2714), (re.compile("does not exist"), 208), (re.compile("[Cc]olumn"), 207))


def explained(error: Exception) -> tuple[int, str]:
    """An error as SQL Server numbers it."""
    if isinstance(error, RefusedError):
        return error.number, error.message
    text = str(error)
    match error:
        case duckdb.TransactionException():
            return 1205, "Transaction was deadlocked with another process and has been chosen as the victim: " + text
        case duckdb.ConstraintException() if "NOT NULL" in text:
            return 515, "Cannot insert the value NULL: " + text
        case duckdb.ConstraintException():
            return 2627, "Violation of PRIMARY KEY or UNIQUE KEY constraint: " + text
        case duckdb.ConversionException() | duckdb.InvalidInputException() | duckdb.OutOfRangeException():
            return 8114, "Error converting data type: " + text
    return next((number for pattern, number in _STATES if pattern.search(text)), 102), text
