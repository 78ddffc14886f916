"""Runs that are staged step by step, what they hold, and a commit that fails."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from headgate.core.contracts import Load
from headgate.core.ledger import Claim
from headgate.lake._iceberg.catalog import Session
from headgate.testing.place import (
    KEY,
    Place,
    stage,
)


def held_file(place: Place) -> Path:
    path = place.folder() / "held.parquet"
    pq.write_table(pa.table({"id": [7], "_reasons": [["odd"]]}), path)
    return path


def staged(place: Place, run_id: str, number: int, what: Load, table: pa.Table, key: Any = KEY) -> tuple[Claim, Any]:
    claim, transaction = place.begin(place.store(), run_id, number, key=key)
    stage(transaction, [(what, table)])
    return claim, transaction


def failing(after: bool, error: BaseException | None = None) -> Callable[[Session], None]:
    """COMMIT that raises, before or after it has happened."""
    whole = Session.commit

    def commit(session: Session) -> None:
        if after:
            whole(session)
        raise error or sqlite3.OperationalError("disk I/O error")

    return commit
