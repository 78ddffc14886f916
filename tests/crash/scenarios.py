"""Small projects for the crash tests: a source that grows, a pipeline, targets that can be read independently.

The oracle recomputes what the target must hold from the changes that were made; it shares no code with headgate.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.crash.database import Database
from tests.crash.goals import (
    TABLE,
    DuckdbTarget,
    FolderTarget,
    LakeTarget,
    MysqlTarget,
    PostgresTarget,
    SqliteTarget,
    TargetSide,
)
from tests.crash.origins import (
    CdcSource,
    CsvSource,
    DuckdbSource,
    MysqlSource,
    PostgresSource,
    PythonSource,
    Row,
    SourceSide,
    SqliteSource,
)

PIPELINE = "moves"
SOURCES: tuple[SourceSide, ...] = (CsvSource(), SqliteSource(), PostgresSource(), PythonSource())
TARGETS: tuple[TargetSide, ...] = (SqliteTarget(), FolderTarget(), LakeTarget(), PostgresTarget())
MYSQL, DUCKDB = (MysqlSource(), MysqlTarget()), (DuckdbSource(), DuckdbTarget())
"""Source and target, which are tried with each other."""
CDC = CdcSource()
MODES = ("append", "overwrite", "upsert")
ROWS = 40
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
    ``gate``: the highest amount that the target's table may have, judged before the commit. ``first``: rows of the
    first batch of changes.
    """

    source: SourceSide
    mode: str
    target: TargetSide
    followers: tuple[TargetSide, ...] = ()
    engine: str = "auto"
    gate: int | None = None
    first: int = ROWS

    @property
    def name(self) -> str:
        moved = [] if self.engine == "auto" else [self.engine]
        followers = (side.name for side in self.followers)
        large = ["large"] if self.first > ROWS else []
        return "-".join([self.source.name, self.mode, self.target.name, *followers, *moved, *large])

    @property
    def sides(self) -> tuple[SourceSide | TargetSide, ...]:
        return self.source, self.target, *self.followers

    @property
    def servers(self) -> set[str]:
        """Those of which the scenario needs a database."""
        return {side.server for side in self.sides} - {""}

    def document(self, urls: Mapping[str, str]) -> dict[str, Any]:
        aliases = ["origin", *(side.alias for side in (self.target, *self.followers))]
        sections = [side.connection(urls.get(side.server, "")) for side in self.sides]
        connections = {alias: section for alias, section in zip(aliases, sections, strict=True) if section}
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

    def changes(self, batches: int) -> list[list[Row]]:
        return changes_for(self.mode, batches, first=self.first)

    @property
    def whole(self) -> bool:
        """Whether all rows go through: of changes none may be left out."""
        return self.source is CDC

    def _work(self) -> dict[str, Any]:
        if self.whole:
            return {}
        if self.engine != "auto":
            return {
                "transformations": [{"type": "filter", "condition": "amount > 0 AND amount <= 900"}],
                "quality_rules": [{"type": "range", "column": "amount", "max": 900}],
            }
        rule = {"type": "range", "name": "plausible", "column": "amount", "max": 900, "on_fail": "quarantine"}
        gate = {"type": "range", "name": "gate", "column": "amount", "max": self.gate, "stage": "load"}
        rules = [rule] if self.gate is None else [rule, gate]
        return {"transformations": [{"type": "filter", "condition": "amount > 0"}], "quality_rules": rules}

    def expected(self, changes: list[list[Row]]) -> Counter[Row]:
        """The target's rows once every change was published. ``changes`` were each published by a run of their own."""
        if self.mode in ("append", "scd2"):  # a history has a version for each change
            return Counter(kept([row for batch in changes for row in batch]))
        if self.mode == "overwrite":
            return Counter(kept(self.source.now(changes)))
        latest: dict[int, Row] = {}
        for batch in changes:
            latest |= {row[0]: row for row in (batch if self.whole else kept(batch))}
        return Counter(latest.values())


class World:
    """A scenario's project with its sources and targets as they are now."""

    def __init__(self, scenario: Scenario, root: Path, databases: Mapping[str, Database] | None = None) -> None:
        self.scenario, self.root, self.databases = scenario, root, databases or {}
        self.changes: list[list[Row]] = []
        if root.exists():
            shutil.rmtree(root)
        root.mkdir(parents=True)
        (root / "headgate.yml").write_text(yaml.safe_dump(self._document(), sort_keys=False))

    def _document(self) -> dict[str, Any]:
        return self.scenario.document({name: database.url for name, database in self.databases.items()})

    def url_of(self, side: SourceSide | TargetSide) -> str:
        return self.databases[side.server].url if side.server else ""

    @property
    def url(self) -> str:
        """The target's."""
        return self.url_of(self.scenario.target)

    def land(self, rows: list[Row]) -> None:
        """One more batch of changes in the source."""
        self.scenario.source.land(self.root, self.url_of(self.scenario.source), len(self.changes), rows)
        self.changes.append(rows)

    def save(self) -> None:
        """Remember everything as it is. Lakes know their own path, so it is put back in the same place."""
        self._saved = list(self.changes)
        copy = self.root.with_name(self.root.name + ".saved")
        if copy.exists():
            shutil.rmtree(copy)
        shutil.copytree(self.root, copy, symlinks=True)
        for database in self.databases.values():
            database.save()

    def restore(self) -> None:
        landed, self.changes = self.changes != self._saved, list(self._saved)
        shutil.rmtree(self.root)
        shutil.copytree(self.root.with_name(self.root.name + ".saved"), self.root, symlinks=True)
        written = {side.server for side in (self.scenario.target, *self.scenario.followers)}
        for name, database in self.databases.items():
            if name in written or landed:  # runs change nothing in a source
                database.restore()

    def rows(self, target: TargetSide | None = None) -> Counter[Row]:
        side = target or self.scenario.target
        return Counter(side.rows(self.root, self.url_of(side)))


def changes_for(mode: str, batches: int, rows: int = ROWS, first: int = ROWS) -> list[list[Row]]:
    """Batches of changes: new rows, in upserts and the like also new versions of old ones; some filtered, some held.

    ``first``: rows of the first batch, ``rows``: of the others.
    """
    made: list[list[Row]] = []
    seq = 0
    for batch in range(batches):
        current: list[Row] = []
        for number in range(rows if batch else first):
            seq += 1
            overlap = mode in ("upsert", *MERGES) and batch > 0 and number % 2 == 0
            identity = number if overlap else batch * rows + number
            amount = -1 if number % 7 == 3 else 1000 if number % 11 == 5 else (seq * 37) % 900 + 1
            current.append((identity, seq, amount))
        made.append(current)
    return made


def describe(counter: Counter[Row]) -> str:
    return json.dumps(sorted(map(list, counter.elements())))[:400]
