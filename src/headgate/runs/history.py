"""The history: a receipt of every outcome. A cache for people: losing it loses or doubles no row."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headgate.core.errors import Code, FatalError
from headgate.core.runs import Receipt, Status, timestamp
from headgate.core.secrets import mask
from headgate.io import files
from headgate.io.ledger import Statements

TABLE = """CREATE TABLE IF NOT EXISTS headgate_history (
    run_id VARCHAR(64) NOT NULL PRIMARY KEY, project VARCHAR(255) NOT NULL, pipeline VARCHAR(255) NOT NULL,
    status VARCHAR(16) NOT NULL, started_at VARCHAR(40) NOT NULL, receipt TEXT NOT NULL)"""


NOTES = """CREATE TABLE IF NOT EXISTS headgate_notes (
    project VARCHAR(255) NOT NULL, pipeline VARCHAR(255) NOT NULL, name VARCHAR(255) NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (project, pipeline, name))"""


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Tell an error of the history's file, and what to do about it."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
            raise FatalError(
                Code.DISK_FULL,
                "no space left on the disk",
                operation="history",
                object=str(path),
                hint="free space: nothing was lost but the history of runs",
            ) from None
        raise FatalError(
            Code.STATE_INVALID,
            str(error),
            operation="history",
            object=str(path),
            hint="the history is a cache: make the file writable, or move it away and it is begun anew",
        ) from error


class SqliteStatements:
    """The statements of a ledger on the standard library's sqlite3, each its own transaction."""

    def __init__(self, path: Path) -> None:
        with files.told("open", path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        with _explained(path):
            self._connection = sqlite3.connect(path, timeout=30, isolation_level=None)
            self._connection.execute("PRAGMA synchronous=FULL")

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with _explained(self._path):
            return self._connection.execute(statement, parameters).fetchall()

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        with _explained(self._path):
            return self._connection.execute(statement, parameters).rowcount

    def close(self) -> None:
        self._connection.close()


class History:
    """Receipts by run, newest first. Opened only when it is first used."""

    def __init__(self, url: str, root: Path) -> None:
        self._url, self._root = url, root
        self._opened: Statements | None = None
        self._close: Callable[[], None] = lambda: None

    @property
    def _file(self) -> Path | None:
        """The file, if it is one."""
        path = Path(self._url.removeprefix("sqlite:///"))
        return self._root / path if self._url.startswith("sqlite:///") else None

    @property
    def _statements(self) -> Statements:
        if self._opened is None:
            opened = self._open()
            opened.execute(TABLE)
            opened.execute(NOTES)
            self._opened = opened
        return self._opened

    def _open(self) -> Statements:
        if self._file is not None:
            opened = SqliteStatements(self._file)
            self._close = opened.close
            return opened
        if self._url.startswith(("postgres://", "postgresql://")):
            from headgate.core.secrets import Secret
            from headgate.io.postgres.connection import Connection, connect
            from headgate.io.postgres.statements import Statements as PostgresStatements

            session = connect(Connection(type="postgres", url=Secret(self._url)))
            self._close = session.close
            return PostgresStatements(session, "history", "state")
        raise FatalError(
            Code.CONFIG_INVALID,
            "the history is kept in SQLite or PostgreSQL",
            operation="history",
            object=self._url.split(":", 1)[0],
            hint="leave state: out for a file in .headgate, or give a URL that begins with sqlite:/// or postgresql://",
        )

    def test(self) -> None:
        """Raise what keeps a receipt from being written; nothing is."""
        if self._file is not None:
            files.refuse_unwritable(self._file.parent, "history")
        self._statements.execute("UPDATE headgate_history SET project = project WHERE run_id IS NULL")

    def record(self, project: str, receipt: Receipt) -> None:
        """Write or replace the receipt of a run."""
        clean = receipt.with_(message=mask(receipt.message), warnings=tuple(mask(text) for text in receipt.warnings))
        row = (
            project,
            receipt.pipeline,
            receipt.status.value,
            timestamp(receipt.started_at),
            json.dumps(clean.as_dict()),
        )
        changed = self._statements.execute(
            "UPDATE headgate_history SET project = ?, pipeline = ?, status = ?, started_at = ?, receipt = ?"
            " WHERE run_id = ?",
            (*row, receipt.run_id),
        )
        if changed == 0:
            self._statements.execute(
                "INSERT INTO headgate_history (project, pipeline, status, started_at, receipt, run_id)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (*row, receipt.run_id),
            )

    def runs(self, project: str, pipelines: Sequence[str] = (), limit: int = 50) -> list[Receipt]:
        """The newest receipts, of all pipelines or of those named."""
        marks = ", ".join("?" for _ in pipelines)
        where = f" AND pipeline IN ({marks})" if pipelines else ""
        found = self._statements.query(
            f"SELECT receipt FROM headgate_history WHERE project = ?{where}"
            " ORDER BY started_at DESC, run_id DESC LIMIT ?",
            (project, *pipelines, limit),
        )
        return [Receipt.from_dict(json.loads(row[0])) for row in found]

    def get(self, project: str, run: str, operation: str = "show") -> Receipt:
        """The receipt of a run, by its id or the beginning of it. Raises NOT_FOUND, also when several begin so."""
        pattern = run.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        found = self._statements.query(
            "SELECT receipt FROM headgate_history WHERE project = ? AND run_id LIKE ? ESCAPE '\\' LIMIT 2",
            (project, pattern),
        )
        if len(found) != 1:
            why = f'{"several runs have ids that begin" if found else "no run has an id that begins"} with "{run}"'
            raise FatalError(Code.NOT_FOUND, why, operation=operation, object=run, hint="see: headgate runs")
        return Receipt.from_dict(json.loads(found[0][0]))

    def status(self, run_id: str) -> Status | None:
        """Status of a run by its whole id; None if the history does not know it."""
        found = self._statements.query("SELECT status FROM headgate_history WHERE run_id = ?", (run_id,))
        return Status(found[0][0]) if found else None

    def interrupted(self, project: str, pipeline: str) -> list[Receipt]:
        """Runs that never said for sure how they ended. The caller holds the pipeline's lock: they are dead."""
        found = self._statements.query(
            "SELECT receipt FROM headgate_history WHERE project = ? AND pipeline = ?"
            " AND status IN ('running', 'publishing', 'unknown')",
            (project, pipeline),
        )
        return [Receipt.from_dict(json.loads(row[0])) for row in found]

    def note(self, project: str, pipeline: str, name: str, document: Mapping[str, Any]) -> None:
        """Keep what a pipeline made in a source, in place of what was kept by this name. Its lock is held."""
        whose = (project, pipeline, name)
        self._statements.execute("DELETE FROM headgate_notes WHERE project = ? AND pipeline = ? AND name = ?", whose)
        self._statements.execute(
            "INSERT INTO headgate_notes (project, pipeline, name, document) VALUES (?, ?, ?, ?)",
            (*whose, json.dumps(document)),
        )

    def noted(self, project: str, pipeline: str, name: str) -> Mapping[str, Any] | None:
        """What was kept; None if nothing is known."""
        found = self._statements.query(
            "SELECT document FROM headgate_notes WHERE project = ? AND pipeline = ? AND name = ?",
            (project, pipeline, name),
        )
        document: Mapping[str, Any] | None = json.loads(found[0][0]) if found else None
        return document

    def close(self) -> None:
        self._close()
        self._opened = None
