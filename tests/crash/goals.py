# ruff: noqa: PT017 - any other error than "no such table" is one
"""Targets as an independent reader sees them: rows, held rows, the ledger, and what nobody refers to."""

from __future__ import annotations

import contextlib
import io
import json
import re
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.origins import Row
from tests.mariadb import session

TABLE = "moved"


@dataclass
class Ledger:
    """What a target says of its runs. ``held``: the rows of each entry that is held."""

    runs: list[tuple[str, str]] = field(default_factory=list)  # run id, execution id
    watermarks: list[tuple[str, Any]] = field(default_factory=list)  # run id, value
    held: dict[str, list[Row]] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)


class TargetSide(ABC):
    """``server``: whose database it needs."""

    name: str
    server = ""
    alias = "goal"

    def connection(self, url: str) -> dict[str, Any]:  # noqa: ARG002
        """The connection's section; {}: the lake, which needs none."""
        return {}

    @abstractmethod
    def rows(self, root: Path, url: str) -> list[Row]:
        """All rows of the target table, read without headgate; [] if the table is not there."""

    @abstractmethod
    def ledger(self, root: Path, url: str) -> Ledger: ...

    @abstractmethod
    def orphans(self, root: Path, url: str) -> list[str]:
        """What was left behind and belongs to no published state."""

    def spec(self) -> dict[str, Any]:
        return {"connection": self.alias}

    def take_lock_away(self, root: Path, url: str) -> None:  # noqa: ARG002
        """Another host that does not see the lock: the file is another one, as on a file system without locks."""
        for path in root.rglob("*.lock"):
            path.unlink()


Query = Callable[[str], list[tuple[Any, ...]]]


def _sql_ledger(query: Query, held: Callable[[str, str], bytes]) -> Ledger:
    """The ledger's tables; ``held`` gives the Parquet file of an entry by (id, location)."""
    ledger = Ledger(
        query("SELECT run_id, execution_id FROM headgate_runs"),
        [(run, json.loads(value)) for run, value in query("SELECT run_id, cursor_value FROM headgate_watermarks")],
    )
    entries = query("SELECT id, location, row_count FROM headgate_quarantine WHERE status = 'held'")
    for id_, location, count in entries:
        ledger.held[id_] = _parquet(io.BytesIO(held(id_, location)))
        ledger.counted[id_] = count
    return ledger


def _parquet(file: Any) -> list[Row]:
    import pyarrow.parquet as pq

    return [(r["id"], r["seq"], r["amount"]) for r in pq.ParquetFile(file).read().to_pylist()]


class SqliteTarget(TargetSide):
    name = "sqlite"
    alias = "goal_db"

    def connection(self, url: str) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "sqlite", "path": "goal.db"}

    def rows(self, root: Path, url: str) -> list[Row]:  # noqa: ARG002
        with closing(sqlite3.connect(root / "goal.db")) as connection:
            try:
                return connection.execute(f"SELECT id, seq, amount FROM {TABLE}").fetchall()
            except sqlite3.OperationalError as error:
                assert "no such table" in str(error)
                return []

    def ledger(self, root: Path, url: str) -> Ledger:  # noqa: ARG002
        with closing(sqlite3.connect(root / "goal.db")) as connection:

            def held(id_: str, _: str) -> bytes:
                chunks = connection.execute(
                    "SELECT data FROM headgate_quarantine_data WHERE id = ? ORDER BY seq", (id_,)
                )
                return b"".join(chunk for (chunk,) in chunks)

            return _sql_ledger(lambda sql: connection.execute(sql).fetchall(), held)

    def orphans(self, root: Path, url: str) -> list[str]:  # noqa: ARG002
        with closing(sqlite3.connect(root / "goal.db")) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
            data = connection.execute(
                "SELECT DISTINCT id FROM headgate_quarantine_data WHERE id NOT IN (SELECT id FROM headgate_quarantine)"
            ).fetchall()
        beside = (root / "goal.db.headgate").iterdir()
        return [
            *(name for name in tables if name != TABLE and not name.startswith("headgate_")),
            *(f"held rows {id_}" for (id_,) in data),
            *(path.name for path in beside if path.suffix != ".lock"),
        ]


class PostgresTarget(TargetSide):
    name = server = "postgres"
    alias = "goal_pg"

    def connection(self, url: str) -> dict[str, Any]:
        return {"type": "postgres", "url": url}

    def rows(self, root: Path, url: str) -> list[Row]:  # noqa: ARG002
        import psycopg

        with psycopg.connect(url) as connection:
            there = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (TABLE,)).fetchone()
            assert there is not None
            return list(connection.execute(f"SELECT id, seq, amount FROM {TABLE}").fetchall()) if there[0] else []

    def ledger(self, root: Path, url: str) -> Ledger:  # noqa: ARG002
        import psycopg

        with psycopg.connect(url) as connection:

            def held(id_: str, _: str) -> bytes:
                chunks = connection.execute(
                    "SELECT data FROM headgate_quarantine_data WHERE id = %s ORDER BY seq", (id_,)
                )
                return b"".join(chunk for (chunk,) in chunks)

            return _sql_ledger(lambda sql: connection.execute(sql).fetchall(), held)

    def orphans(self, root: Path, url: str) -> list[str]:  # noqa: ARG002
        import psycopg

        with psycopg.connect(url) as connection:
            query = (
                "SELECT tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
                f" AND tablename NOT IN ('moves', '{TABLE}') AND tablename NOT LIKE 'headgate%'"
                " UNION ALL SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"
                " UNION ALL SELECT name FROM headgate_staging UNION ALL SELECT run_id FROM headgate_parked"
                " UNION ALL SELECT DISTINCT id FROM headgate_quarantine_data"
                " WHERE id NOT IN (SELECT id FROM headgate_quarantine)"
                " UNION ALL SELECT tablename FROM pg_tables WHERE tablename LIKE 'headgate%%' AND tablename NOT IN"
                " ('headgate_pipelines', 'headgate_watermarks', 'headgate_runs', 'headgate_quarantine',"
                " 'headgate_quarantine_data', 'headgate_staging', 'headgate_parked')"
            ).replace("%%", "%")
            return [name for (name,) in connection.execute(query)]

    def take_lock_away(self, root: Path, url: str) -> None:  # noqa: ARG002
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )


OWN = (
    "headgate_pipelines", "headgate_watermarks", "headgate_runs", "headgate_quarantine", "headgate_quarantine_data",
    "headgate_staging", "headgate_parked",
)  # fmt: skip
"""The ledger's tables in databases."""
LEFT = (
    "SELECT name FROM headgate_staging UNION ALL SELECT run_id FROM headgate_parked"
    " UNION ALL SELECT DISTINCT id FROM headgate_quarantine_data WHERE id NOT IN (SELECT id FROM headgate_quarantine)"
)


class MysqlTarget(TargetSide):
    name = server = "mysql"
    alias = "goal_my"

    def connection(self, url: str) -> dict[str, Any]:
        return {"type": "mysql", "url": url}

    def _query(self, url: str, statement: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with session(url) as connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return list(cursor.fetchall())

    def _tables(self, url: str) -> set[str]:
        return {name for (name,) in self._query(url, "SHOW TABLES")}

    def rows(self, root: Path, url: str) -> list[Row]:  # noqa: ARG002
        return self._query(url, f"SELECT id, seq, amount FROM {TABLE}") if TABLE in self._tables(url) else []

    def ledger(self, root: Path, url: str) -> Ledger:  # noqa: ARG002
        def held(id_: str, _: str) -> bytes:
            chunks = self._query(url, "SELECT data FROM headgate_quarantine_data WHERE id = %s ORDER BY seq", (id_,))
            return b"".join(chunk for (chunk,) in chunks)

        return _sql_ledger(lambda sql: self._query(url, sql), held)

    def orphans(self, root: Path, url: str) -> list[str]:  # noqa: ARG002
        tables = self._tables(url) - {TABLE, "moves", *OWN}
        return [*tables, *(name for (name,) in self._query(url, LEFT))]

    def take_lock_away(self, root: Path, url: str) -> None:  # noqa: ARG002
        for (holder,) in self._query(url, "SELECT id FROM information_schema.processlist WHERE db = DATABASE()"):
            with contextlib.suppress(Exception):
                self._query(url, f"KILL {holder}")


class DuckdbTarget(TargetSide):
    name = "duckdb"
    alias = "goal_dk"

    def connection(self, url: str) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "duckdb", "path": "goal.duckdb"}

    def _query(self, root: Path, statement: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        import duckdb

        if not (root / "goal.duckdb").exists():
            return []
        with duckdb.connect(root / "goal.duckdb", read_only=True, config={"threads": 1}) as connection:
            return connection.execute(statement, parameters).fetchall()

    def _tables(self, root: Path) -> set[str]:
        return {name for (name,) in self._query(root, "SELECT table_name FROM duckdb_tables()")}

    def rows(self, root: Path, url: str) -> list[Row]:  # noqa: ARG002
        return self._query(root, f"SELECT id, seq, amount FROM {TABLE}") if TABLE in self._tables(root) else []

    def ledger(self, root: Path, url: str) -> Ledger:  # noqa: ARG002
        def held(id_: str, _: str) -> bytes:
            chunks = self._query(root, "SELECT data FROM headgate_quarantine_data WHERE id = ? ORDER BY seq", (id_,))
            return b"".join(chunk for (chunk,) in chunks)

        return _sql_ledger(lambda sql: self._query(root, sql), held)

    def orphans(self, root: Path, url: str) -> list[str]:  # noqa: ARG002
        tables = self._tables(root) - {TABLE, *OWN}
        beside = [path.name for path in (root / "goal.duckdb.headgate").iterdir() if path.suffix != ".lock"]
        return [*tables, *beside, *(name for (name,) in self._query(root, LEFT))]


class FolderTarget(TargetSide):
    name = "folder"
    alias = "goal_folder"

    def connection(self, url: str) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "local", "path": "goal"}

    def _manifests(self, root: Path) -> list[dict[str, Any]]:
        paths = sorted((root / "goal" / "_headgate" / "manifests").glob("*.json"))
        return [json.loads(path.read_bytes()) for path in paths]

    def rows(self, root: Path, url: str) -> list[Row]:  # noqa: ARG002
        manifests = self._manifests(root)
        tables = manifests[-1]["tables"] if manifests else {}
        files = tables.get(TABLE, {"files": []})["files"]
        return [row for file in files for row in _parquet(root / "goal" / file["path"])]

    def ledger(self, root: Path, url: str) -> Ledger:  # noqa: ARG002
        last = self._manifests(root)[-1]
        ledger = Ledger(
            [(run["run_id"], run["execution_id"]) for run in last["runs"]],
            [(mark["run_id"], mark["value"]) for marks in last["watermarks"].values() for mark in marks.values()],
        )
        for _, entry in last["quarantine"]:
            if entry["status"] == "held":
                ledger.held[entry["id"]] = _parquet(root / "goal" / entry["location"])
                ledger.counted[entry["id"]] = entry["rows"]
        return ledger

    def orphans(self, root: Path, url: str) -> list[str]:  # noqa: ARG002
        goal = root / "goal"
        named = set()
        for manifest in self._manifests(root):
            named |= {file["path"] for table in manifest["tables"].values() for file in table["files"]}
            named |= {entry["location"] for _, entry in manifest["quarantine"]}
        found = [path.relative_to(goal).as_posix() for path in goal.rglob("*") if path.is_file()]
        own = re.compile(r"_headgate/(manifests/\d+\.json|locks/\w+\.lock)")
        staging = [path.name for path in (goal / "_headgate" / "staging").glob("*")]
        return [path for path in found if path not in named and not own.fullmatch(path)] + staging


class LakeTarget(TargetSide):
    name = "lake"

    def _database(self, root: Path) -> Path | None:
        path = root / ".headgate" / "lake" / "catalog.db"
        return path if path.exists() else None

    def spec(self) -> dict[str, Any]:
        return {}

    def _table(self, root: Path) -> Any:
        from pyiceberg.table import StaticTable

        path = self._database(root)
        if path is None:
            return None
        with closing(sqlite3.connect(path)) as connection:
            try:
                found = connection.execute(
                    "SELECT metadata_location FROM iceberg_tables WHERE table_name = ?", (TABLE,)
                ).fetchall()
            except sqlite3.OperationalError as error:
                assert "no such table" in str(error)
                return None
        return StaticTable.from_metadata(found[0][0]) if found else None

    def rows(self, root: Path, url: str) -> list[Row]:  # noqa: ARG002
        table = self._table(root)
        rows = table.scan().to_arrow().to_pylist() if table is not None else []
        return [(row["id"], row["seq"], row["amount"]) for row in rows]

    def ledger(self, root: Path, url: str) -> Ledger:  # noqa: ARG002
        path = self._database(root)
        assert path is not None
        with closing(sqlite3.connect(path)) as connection:
            return _sql_ledger(
                lambda sql: connection.execute(sql).fetchall(),
                lambda _, location: (path.parent / location).read_bytes(),
            )

    def orphans(self, root: Path, url: str) -> list[str]:  # noqa: ARG002
        table = self._table(root)
        named = set(_named(table)) if table is not None else set()
        lake = root / ".headgate" / "lake"
        with closing(sqlite3.connect(lake / "catalog.db")) as connection:
            named |= {str(lake / path) for (path,) in connection.execute("SELECT location FROM headgate_quarantine")}
        found = [path for path in lake.rglob("*") if path.is_file()]
        own = {"catalog.db", "catalog.db-wal", "catalog.db-shm"}
        return [
            str(path.relative_to(lake))
            for path in found
            if str(path) not in named and path.name not in own and path.suffix != ".lock"
        ]


def _named(table: Any) -> Iterator[str]:
    """Every file that any snapshot of a table refers to."""
    yield table.metadata_location.removeprefix("file://")
    yield from (entry.metadata_file.removeprefix("file://") for entry in table.metadata.metadata_log)
    for snapshot in table.metadata.snapshots:
        yield snapshot.manifest_list.removeprefix("file://")
        for manifest in snapshot.manifests(table.io):
            yield manifest.manifest_path.removeprefix("file://")
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False):
                yield entry.data_file.file_path.removeprefix("file://")
