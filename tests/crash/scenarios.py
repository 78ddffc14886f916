"""Small projects for the crash tests: a source that grows, a pipeline, a target that can be read independently.

The oracle recomputes what the target must hold from the full state of the source; it shares no code with headgate.
"""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Row = tuple[int, int, int]
"""(id, seq, amount): seq grows with every change."""

PIPELINE = "moves"
TABLE = "moved"


def kept(rows: list[Row]) -> list[Row]:
    """What the pipeline lets through: amounts above 0, those above 900 are held back."""
    return [row for row in rows if 0 < row[2] <= 900]


def held(rows: list[Row]) -> int:
    return sum(row[2] > 900 for row in rows)


class SourceSide(ABC):
    """Where rows come from. ``changes`` is every change ever made, in order."""

    connection: dict[str, Any]

    @abstractmethod
    def land(self, root: Path, batch: int, rows: list[Row]) -> None: ...

    @abstractmethod
    def spec(self, mode: str) -> dict[str, Any]: ...

    def now(self, changes: list[list[Row]]) -> list[Row]:
        """The full state of the source: the last version of each row."""
        latest: dict[int, Row] = {}
        for batch in changes:
            latest |= {row[0]: row for row in batch}
        return list(latest.values())


class CsvSource(SourceSide):
    connection = {"type": "local", "path": "landing"}

    def land(self, root: Path, batch: int, rows: list[Row]) -> None:
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
    connection = {"type": "sqlite", "path": "origin.db"}

    def land(self, root: Path, batch: int, rows: list[Row]) -> None:
        with sqlite3.connect(root / "origin.db") as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS moves (id INTEGER PRIMARY KEY, seq INTEGER, amount INTEGER)")
            connection.executemany("INSERT OR REPLACE INTO moves VALUES (?, ?, ?)", rows)
        connection.close()

    def spec(self, mode: str) -> dict[str, Any]:
        spec: dict[str, Any] = {"connection": "origin", "table": "moves"}
        if mode == "overwrite":
            return spec
        return {**spec, "mode": "incremental", "incremental": {"column": "seq", "key": ["id"]}}


class TargetSide(ABC):
    connection: dict[str, Any] | None = None

    @abstractmethod
    def rows(self, root: Path) -> list[Row]:
        """All rows of the target table, read without headgate; [] if the table is not there."""

    def spec(self) -> dict[str, Any]:
        return {"connection": "goal"} if self.connection else {}


class SqliteTarget(TargetSide):
    connection = {"type": "sqlite", "path": "goal.db"}

    def rows(self, root: Path) -> list[Row]:
        connection = sqlite3.connect(root / "goal.db")
        try:
            return connection.execute(f"SELECT id, seq, amount FROM {TABLE}").fetchall()
        except sqlite3.OperationalError as error:
            assert "no such table" in str(error)
            return []
        finally:
            connection.close()


class FolderTarget(TargetSide):
    connection = {"type": "local", "path": "goal"}

    def rows(self, root: Path) -> list[Row]:
        manifests = sorted((root / "goal" / "_headgate" / "manifests").glob("*.json"))
        tables = json.loads(manifests[-1].read_bytes())["tables"] if manifests else {}
        return _parquet_rows([root / "goal" / file["path"] for file in tables.get(TABLE, {"files": []})["files"]])


class LakeTarget(TargetSide):
    def rows(self, root: Path) -> list[Row]:
        from pyiceberg.table import StaticTable

        databases = list((root / ".headgate" / "lake").glob("*.db"))
        if not databases:
            return []
        connection = sqlite3.connect(databases[0])
        try:
            found = connection.execute(
                "SELECT metadata_location FROM iceberg_tables WHERE table_name = ?", (TABLE,)
            ).fetchall()
        except sqlite3.OperationalError as error:
            assert "no such table" in str(error)
            return []
        finally:
            connection.close()
        if not found:
            return []
        rows = StaticTable.from_metadata(found[0][0]).scan().to_arrow().to_pylist()
        return [(row["id"], row["seq"], row["amount"]) for row in rows]


def _parquet_rows(paths: list[Path]) -> list[Row]:
    import pyarrow.parquet as pq

    return [(r["id"], r["seq"], r["amount"]) for path in paths for r in pq.ParquetFile(path).read().to_pylist()]


@dataclass(frozen=True)
class Scenario:
    """One source, mode and target."""

    source: SourceSide
    mode: str
    target: TargetSide

    @property
    def name(self) -> str:
        kind = type(self.source).__name__.removesuffix("Source"), type(self.target).__name__.removesuffix("Target")
        return f"{kind[0]}-{self.mode}-{kind[1]}".lower()

    def create(self, root: Path) -> None:
        """Write the project."""
        if root.exists():
            shutil.rmtree(root)
        root.mkdir(parents=True)
        connections = {"origin": self.source.connection}
        if self.target.connection:
            connections["goal"] = self.target.connection
        keys = {"keys": ["id"]} if self.mode == "upsert" else {}
        document = {
            "version": 1,
            "project": "crash",
            "connections": connections,
            "pipelines": {
                PIPELINE: {
                    "source": self.source.spec(self.mode),
                    "transformations": [{"type": "filter", "condition": "amount > 0"}],
                    "quality_rules": [
                        {"type": "range", "name": "plausible", "column": "amount", "max": 900, "on_fail": "quarantine"}
                    ],
                    "target": {**self.target.spec(), "table": TABLE, "mode": self.mode, **keys},
                }
            },
        }
        (root / "headgate.yml").write_text(yaml.safe_dump(document, sort_keys=False))

    def expected(self, changes: list[list[Row]]) -> Counter[Row]:
        """The target's rows once every change was published. ``changes`` were each published by a run of their own."""
        if self.mode == "append":
            return Counter(kept([row for batch in changes for row in batch]))
        if self.mode == "overwrite":
            return Counter(kept(self.source.now(changes)))
        latest: dict[int, Row] = {}
        for batch in changes:
            latest |= {row[0]: row for row in kept(batch)}
        return Counter(latest.values())

    def expected_held(self, changes: list[list[Row]]) -> int:
        """Rows in the quarantine if each batch was published by one run."""
        if self.mode == "overwrite":
            return sum(held(self.source.now(changes[: index + 1])) for index in range(len(changes)))
        return sum(held(batch) for batch in changes)


def changes_for(mode: str, batches: int, rows: int = 40) -> list[list[Row]]:
    """Batches of changes: new rows, in upserts also new versions of old ones; some filtered, some held."""
    made: list[list[Row]] = []
    seq = 0
    for batch in range(batches):
        current: list[Row] = []
        for number in range(rows):
            seq += 1
            overlap = mode == "upsert" and batch > 0 and number % 2 == 0
            identity = number if overlap else batch * rows + number
            amount = -1 if number % 7 == 3 else 1000 if number % 11 == 5 else (seq * 37) % 900 + 1
            current.append((identity, seq, amount))
        made.append(current)
    return made


SOURCES: tuple[SourceSide, ...] = (CsvSource(), SqliteSource())
TARGETS: tuple[TargetSide, ...] = (SqliteTarget(), FolderTarget(), LakeTarget())
MODES = ("append", "overwrite", "upsert")


def describe(counter: Counter[Row]) -> str:
    return json.dumps(sorted(map(list, counter.elements())))[:400]
