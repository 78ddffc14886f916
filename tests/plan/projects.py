"""Small real projects: a database to read, files to read, a database to write, and one pipeline."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from headgate.commands.handle import handle
from headgate.commands.models import ReplayQuarantine, RunPipeline
from headgate.core.contracts import Interval
from headgate.core.results import Result
from headgate.core.runs import Receipt
from headgate.execute.workspace import Workspace
from headgate.plan.stages import Plan, Transform
from headgate.queries import plans
from headgate.queries.quarantine import entries, held_rows

Row = tuple[Any, ...]
NAME = "small"
TABLE: dict[str, Any] = {"connection": "shop", "table": "orders"}
FILES: dict[str, Any] = {"connection": "inbox", "path": "*.csv"}


@dataclass
class SmallProject:
    """A project below ``root`` with the connections shop (read), inbox (files) and goal (written)."""

    root: Path
    pipeline: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    connections: dict[str, Any] = field(default_factory=dict)
    """Others than below, by name."""

    def define(
        self,
        *,
        source: Mapping[str, Any] = TABLE,
        steps: Sequence[Mapping[str, Any]] = (),
        rules: Sequence[Mapping[str, Any]] = (),
        target: Mapping[str, Any] | None = None,
        targets: Sequence[Mapping[str, Any]] = (),
        **others: Any,
    ) -> SmallProject:
        """Write the pipeline."""
        into = [{"connection": "goal", **one} for one in (targets or [target or {"table": "out"}])]
        document: dict[str, Any] = {"source": dict(source), **others}
        if steps:
            document["transformations"] = [dict(step) for step in steps]
        if rules:
            document["quality_rules"] = [dict(rule) for rule in rules]
        document["targets"] = into
        self.pipeline = document
        self._write()
        return self

    def change(self, **changes: Any) -> SmallProject:
        self.pipeline |= changes
        self._write()
        return self

    def _write(self) -> None:
        project: dict[str, Any] = {
            "version": 1,
            "project": "small",
            "connections": {
                "shop": {"type": "sqlite", "path": "shop.db"},
                "inbox": {"type": "local", "path": "inbox"},
                "goal": {"type": "sqlite", "path": "goal.db"},
                **self.connections,
            },
            "pipelines": {NAME: self.pipeline},
        }
        if self.defaults:
            project["defaults"] = self.defaults
        (self.root / "headgate.yml").write_text(yaml.safe_dump(project, sort_keys=False))

    def table(self, name: str, columns: Mapping[str, str], rows: Iterable[Row] = ()) -> SmallProject:
        """A table of the shop, written without headgate."""
        declared = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
        with closing(sqlite3.connect(self.root / "shop.db")) as database, database:
            database.execute(f'DROP TABLE IF EXISTS "{name}"')
            database.execute(f'CREATE TABLE "{name}" ({declared})')
            marks = ", ".join("?" * len(columns))
            database.executemany(f'INSERT INTO "{name}" VALUES ({marks})', list(rows))
        return self

    def file(self, name: str, text: str) -> SmallProject:
        """A file in the inbox."""
        folder = self.root / "inbox"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text)
        return self

    def plan(self, interval: Interval | None = None, variables: Mapping[str, str] | None = None) -> Plan:
        with Workspace.load(self.root) as workspace:
            return plans.plan(workspace, NAME, interval, variables)

    def passes(self) -> list[Transform]:
        return [stage for stage in self.plan().stages if isinstance(stage, Transform)]

    def attempt(self, **options: Any) -> Result[Receipt]:
        with Workspace.load(self.root) as workspace:
            return handle(RunPipeline(pipeline=NAME, **options), workspace)

    def run(self, **options: Any) -> Receipt:
        return self.attempt(**options).unwrap()

    def replay(self, entry_id: str) -> Result[Receipt]:
        with Workspace.load(self.root) as workspace:
            return handle(ReplayQuarantine(entry_id=entry_id), workspace)

    def entries(self) -> list[dict[str, Any]]:
        with Workspace.load(self.root) as workspace:
            return entries(workspace)

    def held(self, entry_id: str) -> list[dict[str, Any]]:
        """The rows of one entry, ``_reasons`` among them."""
        with Workspace.load(self.root) as workspace:
            found = held_rows(workspace, entry_id)
            return [dict(zip(found.columns, row, strict=True)) for row in found.rows]

    def out(self, query: str = "SELECT * FROM out") -> list[Row]:
        """What the target holds, read without headgate, in a fixed order."""
        with closing(sqlite3.connect(self.root / "goal.db")) as database:
            return sorted(database.execute(query).fetchall(), key=repr)

    def files(self) -> dict[str, bytes]:
        """Every file of the project with its bytes."""
        return {p.relative_to(self.root).as_posix(): p.read_bytes() for p in self.root.rglob("*") if p.is_file()}


def with_orders(root: Path) -> SmallProject:
    """Five orders: one with a note that is no number, one without a total, one with a negative total."""
    columns = {"id": "INTEGER", "city": "TEXT", "total": "INTEGER", "note": "TEXT"}
    rows = [
        (1, "Bonn", 10, "1"),
        (2, "Bonn", 20, "x"),
        (3, "Ulm", 30, "3"),
        (4, "Ulm", None, None),
        (5, "Jena", -5, "5"),
    ]
    return SmallProject(root).table("orders", columns, rows).define()
