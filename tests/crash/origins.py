"""Sources that grow, written without headgate."""

from __future__ import annotations

import csv
import json
import sqlite3
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

Row = tuple[int, int, int]
"""(id, seq, amount): seq grows with every change."""


class SourceSide(ABC):
    """Where rows come from. ``land`` adds one batch of changes. ``server``: whose database it needs."""

    name: str
    server = ""

    @abstractmethod
    def connection(self, url: str) -> dict[str, Any]:
        """The connection's section; ``url`` is that of the scenario's database on the side's server."""

    @abstractmethod
    def land(self, root: Path, url: str, batch: int, rows: list[Row]) -> None: ...

    @abstractmethod
    def spec(self, mode: str) -> dict[str, Any]: ...

    def now(self, changes: list[list[Row]]) -> list[Row]:
        """The full state of the source: the last version of each row."""
        latest: dict[int, Row] = {}
        for batch in changes:
            latest |= {row[0]: row for row in batch}
        return list(latest.values())


class CsvSource(SourceSide):
    name = "csv"

    def connection(self, url: str) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "local", "path": "landing"}

    def land(self, root: Path, url: str, batch: int, rows: list[Row]) -> None:  # noqa: ARG002
        folder = root / "landing"
        folder.mkdir(exist_ok=True)
        with (folder / f"{batch:03}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "seq", "amount"])
            writer.writerows(rows)

    def spec(self, mode: str) -> dict[str, Any]:
        return {"connection": "origin", "path": "*.csv", "mode": "full" if mode == "overwrite" else "incremental"}

    def now(self, changes: list[list[Row]]) -> list[Row]:
        return [row for batch in changes for row in batch]


class SqliteSource(SourceSide):
    name = "sqlite"

    def connection(self, url: str) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "sqlite", "path": "origin.db"}

    def land(self, root: Path, url: str, batch: int, rows: list[Row]) -> None:  # noqa: ARG002
        connection = sqlite3.connect(root / "origin.db")
        with connection:
            connection.execute("CREATE TABLE IF NOT EXISTS moves (id INTEGER PRIMARY KEY, seq INTEGER, amount INTEGER)")
            connection.executemany("INSERT OR REPLACE INTO moves VALUES (?, ?, ?)", rows)
        connection.close()

    def spec(self, mode: str) -> dict[str, Any]:
        spec: dict[str, Any] = {"connection": "origin", "table": "moves"}
        if mode == "overwrite":
            return spec
        return {**spec, "mode": "incremental", "incremental": {"column": "seq", "key": ["id"]}}


class PostgresSource(SourceSide):
    """Windows of transaction ids: rows are updated in place, each batch in one transaction."""

    name = server = "postgres"

    def connection(self, url: str) -> dict[str, Any]:
        return {"type": "postgres", "url": url}

    def land(self, root: Path, url: str, batch: int, rows: list[Row]) -> None:  # noqa: ARG002
        import psycopg

        with psycopg.connect(url) as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS moves (id bigint PRIMARY KEY, seq bigint NOT NULL, amount bigint NOT NULL)"
            )
            with connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO moves VALUES (%s, %s, %s)"
                    " ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, amount = excluded.amount",
                    rows,
                )

    def spec(self, mode: str) -> dict[str, Any]:
        spec: dict[str, Any] = {"connection": "origin", "table": "public.moves"}
        if mode == "overwrite":
            return spec
        return {**spec, "mode": "incremental", "incremental": {"column": "seq", "key": ["id"]}}


class CdcSource(PostgresSource):
    """What the server's log says of the same table."""

    name = "cdc"

    def land(self, root: Path, url: str, batch: int, rows: list[Row]) -> None:
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:  # a slot gives only what is on the disk
            name = connection.info.dbname
            connection.execute(
                psycopg.sql.SQL("ALTER DATABASE {} SET synchronous_commit = on").format(psycopg.sql.Identifier(name))
            )
        super().land(root, url, batch, rows)

    def spec(self, mode: str) -> dict[str, Any]:  # noqa: ARG002
        return {"connection": "origin", "table": "public.moves", "mode": "cdc"}


class MysqlSource(SourceSide):
    name = server = "mysql"

    def connection(self, url: str) -> dict[str, Any]:
        return {"type": "mysql", "url": url}

    def land(self, root: Path, url: str, batch: int, rows: list[Row]) -> None:  # noqa: ARG002
        from tests.mariadb import session

        with session(url) as connection, connection.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE IF NOT EXISTS moves (id bigint PRIMARY KEY, seq bigint NOT NULL, amount bigint NOT NULL)"
            )
            cursor.executemany("REPLACE INTO moves VALUES (%s, %s, %s)", rows)
            connection.commit()

    def spec(self, mode: str) -> dict[str, Any]:
        return SqliteSource().spec(mode)


class DuckdbSource(SourceSide):
    name = "duckdb"

    def connection(self, url: str) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "duckdb", "path": "origin.duckdb"}

    def land(self, root: Path, url: str, batch: int, rows: list[Row]) -> None:  # noqa: ARG002
        import duckdb

        with duckdb.connect(root / "origin.duckdb", config={"threads": 1}) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS moves (id BIGINT PRIMARY KEY, seq BIGINT, amount BIGINT)")
            connection.executemany("INSERT OR REPLACE INTO moves VALUES (?, ?, ?)", rows)

    def spec(self, mode: str) -> dict[str, Any]:
        return SqliteSource().spec(mode)


FEED = """import json
from pathlib import Path


def everything():
    for line in (Path(__file__).parent / "feed.jsonl").read_text().splitlines():
        yield json.loads(line)


def fresh(since=None):
    for row in everything():
        if since is None or row["seq"] > since:
            yield row
"""


class PythonSource(SourceSide):
    """A generator of the user's."""

    name = "python"

    def connection(self, url: str) -> dict[str, Any]:  # noqa: ARG002
        return {}

    def land(self, root: Path, url: str, batch: int, rows: list[Row]) -> None:  # noqa: ARG002
        (root / "feed.py").write_text(FEED)
        with (root / "feed.jsonl").open("a") as file:
            for identity, seq, amount in rows:
                file.write(json.dumps({"id": identity, "seq": seq, "amount": amount}) + "\n")

    def spec(self, mode: str) -> dict[str, Any]:
        if mode == "overwrite":
            return {"type": "python", "function": "feed:everything"}
        return {
            "type": "python",
            "function": "feed:fresh",
            "mode": "incremental",
            "incremental": {"column": "seq", "key": ["id"]},
        }

    def now(self, changes: list[list[Row]]) -> list[Row]:
        return [row for batch in changes for row in batch]
