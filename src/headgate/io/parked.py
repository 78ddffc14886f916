"""What outlives the session that staged it: a list of staging tables and held rows, and runs parked whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Literal

from headgate.core.contracts import Load
from headgate.core.ledger import Claim, LedgerRecord
from headgate.core.runs import PipelineKey
from headgate.io import loads
from headgate.io.ledger import Statements
from headgate.sql.literals import quote_name

TABLES = (
    """CREATE TABLE IF NOT EXISTS headgate_staging (
        run_id VARCHAR(64) NOT NULL, project VARCHAR(255) NOT NULL, pipeline VARCHAR(255) NOT NULL,
        kind VARCHAR(8) NOT NULL, name TEXT NOT NULL, PRIMARY KEY (run_id, kind, name))""",
    """CREATE TABLE IF NOT EXISTS headgate_parked (
        run_id VARCHAR(64) NOT NULL PRIMARY KEY, project VARCHAR(255) NOT NULL, pipeline VARCHAR(255) NOT NULL,
        document TEXT NOT NULL)""",
)
LAST = "headgate_parked"
"""The table that is created last: if it is there, all are."""

Kind = Literal["table", "held"]


def note(statements: Statements, claim: Claim, kind: Kind, name: str) -> None:
    """Remember something that would be left over if the run died; in the transaction that makes it."""
    statements.execute(
        "INSERT INTO headgate_staging (run_id, project, pipeline, kind, name) VALUES (?, ?, ?, ?, ?)",
        (claim.run_id, claim.key.project, claim.key.pipeline, kind, name),
    )


def drop(statements: Statements, run_id: str, name: str, quote: Callable[[str], str] = quote_name) -> None:
    """Remove one table that was noted."""
    statements.execute(f"DROP TABLE IF EXISTS {quote(name)}")
    statements.execute("DELETE FROM headgate_staging WHERE run_id = ? AND kind = 'table' AND name = ?", (run_id, name))


def park(statements: Statements, record: LedgerRecord, loads: Sequence[tuple[Load, str, int]]) -> None:
    """Keep a run: its record, and of each load its staging table and number of rows."""
    key = record.claim.key
    document = {"record": asdict(record), "loads": [_load_document(*each) for each in loads]}
    statements.execute(
        "INSERT INTO headgate_parked (run_id, project, pipeline, document) VALUES (?, ?, ?, ?)",
        (record.claim.run_id, key.project, key.pipeline, json.dumps(document)),
    )


def find(
    statements: Statements, key: PipelineKey, run_id: str
) -> tuple[LedgerRecord, list[tuple[Load, str, int]]] | None:
    rows = statements.query(
        "SELECT document FROM headgate_parked WHERE run_id = ? AND project = ? AND pipeline = ?",
        (run_id, key.project, key.pipeline),
    )
    if not rows:
        return None
    document = json.loads(rows[0][0])
    return _record(document["record"]), [_load(each) for each in document["loads"]]


def forget(
    statements: Statements, run_id: str, *, drop: Sequence[Kind], quote: Callable[[str], str] = quote_name
) -> int:
    """Strike a run from the lists, and remove what it left of the kinds in ``drop``; how many things went."""
    gone = 0
    for kind, name in statements.query("SELECT kind, name FROM headgate_staging WHERE run_id = ?", (run_id,)):
        if kind not in drop:
            continue
        if kind == "table":
            statements.execute(f"DROP TABLE IF EXISTS {quote(name)}")
        else:
            statements.execute("DELETE FROM headgate_quarantine_data WHERE id = ?", (name,))
        gone += 1
    statements.execute("DELETE FROM headgate_staging WHERE run_id = ?", (run_id,))
    statements.execute("DELETE FROM headgate_parked WHERE run_id = ?", (run_id,))
    return gone


def settle(statements: Statements, run_id: str) -> None:
    """In the commit: held rows are the ledger's from now on, and nothing is parked. Tables are listed until they go."""
    statements.execute("DELETE FROM headgate_staging WHERE run_id = ? AND kind = 'held'", (run_id,))
    statements.execute("DELETE FROM headgate_parked WHERE run_id = ?", (run_id,))


def dead_runs(statements: Statements, claim: Claim) -> list[str]:
    """Runs of the claim's pipeline that left something behind and are not parked."""
    rows = statements.query(
        "SELECT DISTINCT run_id FROM headgate_staging WHERE project = ? AND pipeline = ? AND run_id <> ?"
        " AND run_id NOT IN (SELECT run_id FROM headgate_parked)",
        (claim.key.project, claim.key.pipeline, claim.run_id),
    )
    return [run_id for (run_id,) in rows]


def _load_document(load: Load, stage: str, copied: int) -> dict[str, Any]:
    return {"load": loads.document(load), "stage": stage, "copied": copied}


def _load(document: dict[str, Any]) -> tuple[Load, str, int]:
    return loads.load_of(document["load"]), document["stage"], document["copied"]


def _record(document: dict[str, Any]) -> LedgerRecord:
    claim = document["claim"]
    owner = Claim(PipelineKey(**claim["key"]), claim["run_id"], claim["execution_id"], claim["epoch"])
    return LedgerRecord.restored(owner, document)
