"""Sessions that publish: each holds a lock named after its run, by which others can tell whether it still lives."""

from __future__ import annotations

import hashlib
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from headgate.core.ledger import Claim
from headgate.core.runs import PipelineKey
from headgate.io import ledger as ledgers
from headgate.io.postgres import Connection, Statements, connect
from headgate.io.unanswered import PATIENCE, outcome

if TYPE_CHECKING:
    import psycopg

SETTINGS = {
    "default_transaction_isolation": "read committed",
    "idle_in_transaction_session_timeout": "0",  # a slow source must not cost us the transaction
    "work_mem": "64MB",
    "temp_buffers": "64MB",  # else what was staged is read from files again by every step of a merge
    "maintenance_work_mem": "256MB",
}


def pipeline_lock(key: PipelineKey) -> int:
    """The advisory lock of the pipeline's living run."""
    return _number("pipeline", key.project, key.pipeline)


def run_lock(key: PipelineKey, run_id: str) -> int:
    """The advisory lock of the session in which one run publishes."""
    return _number("run", key.project, key.pipeline, run_id)


def _number(*parts: str) -> int:
    digest = hashlib.sha256("\0".join(("headgate", *parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def open_session(connection: Connection, claim: Claim) -> psycopg.Connection[Any]:
    """A session for one run's transaction, known by its run's lock."""
    session = connect(connection, autocommit=True, settings=SETTINGS)
    Statements(session, "begin", str(claim.key)).query(
        "SELECT pg_advisory_lock(?)", (run_lock(claim.key, claim.run_id),)
    )
    session.autocommit = False
    return session


def holders(statements: Statements, lock: int) -> list[int]:
    """Server processes that hold an advisory lock of this database."""
    rows = statements.query(
        "SELECT pid FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
        " AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())"
        " AND classid::bigint = ? AND objid::bigint = ?",
        (lock >> 32 & 0xFFFFFFFF, lock & 0xFFFFFFFF),
    )
    return [int(pid) for (pid,) in rows]


def end(statements: Statements, lock: int, patience: float) -> bool:
    """End the sessions that hold a lock; whether they are gone, with all they had not committed."""
    until = time.monotonic() + patience
    while pids := holders(statements, lock):
        for pid in pids:
            statements.query("SELECT pg_terminate_backend(?)", (pid,))
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def was_published(connection: Connection, claim: Claim, patience: float = PATIENCE) -> bool:
    """Whether a run whose COMMIT was not answered is published, once its old session is gone for certain.

    Raises:
        FatalError: OUTCOME_UNKNOWN when the server cannot be asked in time.
    """

    def ask(seconds: float) -> bool | None:
        with closing(connect(connection)) as session:
            statements = Statements(session, "publish", str(claim.key))
            if not end(statements, run_lock(claim.key, claim.run_id), seconds):
                return None
            found = ledgers.published(statements, claim.key, claim.execution_id)
            return found is not None and found.run_id == claim.run_id

    return outcome(claim, ask, patience)
