"""Small projects for the crash tests: a source that grows, a pipeline, targets that can be read independently.

The oracle recomputes what the target must hold from the changes that were made; it shares no code with headgate.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.crash.database import Database
from tests.crash.goals import TABLE, FolderTarget, LakeTarget, PostgresTarget, SqliteTarget, TargetSide
from tests.crash.origins import CsvSource, PostgresSource, PythonSource, Row, SourceSide, SqliteSource

PIPELINE = "moves"
SOURCES: tuple[SourceSide, ...] = (CsvSource(), SqliteSource(), PostgresSource(), PythonSource())
TARGETS: tuple[TargetSide, ...] = (SqliteTarget(), FolderTarget(), LakeTarget(), PostgresTarget())
MODES = ("append", "overwrite", "upsert")
MERGES = ("merge", "scd2")
"""Modes that look at the whole table: with one source each, for they differ from an upsert in the target only."""


def kept(rows: list[Row]) -> list[Row]:
    """What the pipeline lets through: amounts above 0, those above 900 are held back."""
    return [row for row in rows if 0 < row[2] <= 900]


def held(rows: list[Row]) -> Counter[Row]:
    return Counter(row for row in rows if row[2] > 900)


@dataclass(frozen=True)
class Scenario:
    """One source, mode and target; ``followers`` get the same rows after the first target.

    ``engine``: rows are moved undecoded, in that place; then none are held back, and the filter drops them.
    """

    source: SourceSide
    mode: str
    target: TargetSide
    followers: tuple[TargetSide, ...] = ()
    engine: str = "auto"

    @property
    def name(self) -> str:
        moved = [] if self.engine == "auto" else [self.engine]
        followers = (side.name for side in self.followers)
        return "-".join([self.source.name, self.mode, self.target.name, *followers, *moved])

    @property
    def needs_postgres(self) -> bool:
        return "postgres" in {self.source.name, self.target.name, *(side.name for side in self.followers)}

    def document(self, url: str) -> dict[str, Any]:
        connections: dict[str, Any] = {}
        if self.source.connection(url):
            connections["origin"] = self.source.connection(url)
        for side in (self.target, *self.followers):
            if side.connection(url):
                connections[side.alias] = side.connection(url)
        keys = {"keys": ["id"]} if self.mode in ("upsert", *MERGES) else {}
        return {
            "version": 1,
            "project": "crash",
            "connections": connections,
            "pipelines": {
                PIPELINE: {
                    "engine": self.engine,
                    "source": self.source.spec(self.mode),
                    **self._work(),
                    "targets": [
                        {**side.spec(), "table": TABLE, "mode": self.mode, **keys}
                        for side in (self.target, *self.followers)
                    ],
                }
            },
        }

    def _work(self) -> dict[str, Any]:
        if self.engine != "auto":
            return {
                "transformations": [{"type": "filter", "condition": "amount > 0 AND amount <= 900"}],
                "quality_rules": [{"type": "range", "column": "amount", "max": 900}],
            }
        rule = {"type": "range", "name": "plausible", "column": "amount", "max": 900, "on_fail": "quarantine"}
        return {"transformations": [{"type": "filter", "condition": "amount > 0"}], "quality_rules": [rule]}

    def expected(self, changes: list[list[Row]]) -> Counter[Row]:
        """The target's rows once every change was published. ``changes`` were each published by a run of their own."""
        if self.mode in ("append", "scd2"):  # a history has a version for each change
            return Counter(kept([row for batch in changes for row in batch]))
        if self.mode == "overwrite":
            return Counter(kept(self.source.now(changes)))
        latest: dict[int, Row] = {}
        for batch in changes:
            latest |= {row[0]: row for row in kept(batch)}
        return Counter(latest.values())


class World:
    """A scenario's project with its sources and targets as they are now."""

    def __init__(self, scenario: Scenario, root: Path, database: Database | None = None) -> None:
        self.scenario, self.root, self.database = scenario, root, database
        self.url = database.url if database else ""
        self.changes: list[list[Row]] = []
        if root.exists():
            shutil.rmtree(root)
        root.mkdir(parents=True)
        (root / "headgate.yml").write_text(yaml.safe_dump(scenario.document(self.url), sort_keys=False))

    def land(self, rows: list[Row]) -> None:
        """One more batch of changes in the source."""
        self.scenario.source.land(self.root, self.url, len(self.changes), rows)
        self.changes.append(rows)

    def save(self) -> None:
        """Remember everything as it is. Lakes know their own path, so it is put back in the same place."""
        self._saved = list(self.changes)
        copy = self.root.with_name(self.root.name + ".saved")
        if copy.exists():
            shutil.rmtree(copy)
        shutil.copytree(self.root, copy, symlinks=True)
        if self.database:
            self.database.save()

    def restore(self) -> None:
        landed, self.changes = self.changes != self._saved, list(self._saved)
        shutil.rmtree(self.root)
        shutil.copytree(self.root.with_name(self.root.name + ".saved"), self.root, symlinks=True)
        writes = "postgres" in {side.name for side in (self.scenario.target, *self.scenario.followers)}
        if self.database and (writes or landed):  # runs change nothing in a source
            self.database.restore()

    def rows(self, target: TargetSide | None = None) -> Counter[Row]:
        return Counter((target or self.scenario.target).rows(self.root, self.url))


def changes_for(mode: str, batches: int, rows: int = 40) -> list[list[Row]]:
    """Batches of changes: new rows, in upserts and the like also new versions of old ones; some filtered, some held."""
    made: list[list[Row]] = []
    seq = 0
    for batch in range(batches):
        current: list[Row] = []
        for number in range(rows):
            seq += 1
            overlap = mode in ("upsert", *MERGES) and batch > 0 and number % 2 == 0
            identity = number if overlap else batch * rows + number
            amount = -1 if number % 7 == 3 else 1000 if number % 11 == 5 else (seq * 37) % 900 + 1
            current.append((identity, seq, amount))
        made.append(current)
    return made


def describe(counter: Counter[Row]) -> str:
    return json.dumps(sorted(map(list, counter.elements())))[:400]
