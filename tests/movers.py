"""Two databases of one server, and a project that moves rows from the one into the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from tests.conftest import Server, database_name

from headgate.commands.handle import handle
from headgate.commands.models import RunPipeline
from headgate.core.results import Result
from headgate.core.runs import Receipt
from headgate.execute.workspace import Workspace
from headgate.plan.stages import Plan
from headgate.queries import plans

_SAME = ("rows", "steps", "checks", "status", "published", "error", "warnings", "watermark", "plan_hash")
"""What a receipt says of a run wherever it was done."""


@dataclass
class Outcome:
    """What a run did: its receipt, and the table that it left, as text."""

    receipt: dict[str, Any]
    schema: list[tuple[Any, ...]]
    rows: list[tuple[Any, ...]]


class Movers:
    """A project below ``root`` whose pipeline ``load`` reads ``shop`` and writes ``goal``."""

    def __init__(self, root: Path, source: str, target: str) -> None:
        self.root, self.source, self.target = root, source, target
        self.pipeline: dict[str, Any] = {}

    def define(self, steps: Sequence[Any] = (), rules: Sequence[Any] = (), **others: Any) -> Movers:
        document: dict[str, Any] = {"source": {"connection": "shop", "table": "t"}}
        if steps:
            document["transformations"] = list(steps)
        if rules:
            document["quality_rules"] = list(rules)
        document["target"] = {"connection": "goal", "table": "out"}
        document.update(others)
        self.pipeline = document
        return self.write()

    def write(self, **changes: Any) -> Movers:
        document = {
            "version": 1,
            "project": "movers",
            "connections": {
                "shop": {"type": "postgres", "url": self.source},
                "goal": {"type": "postgres", "url": self.target},
            },
            "pipelines": {"load": {**self.pipeline, **changes}},
        }
        (self.root / "headgate.yml").write_text(yaml.safe_dump(document, sort_keys=False))
        return self

    def plan(self, engine: str = "auto") -> Plan:
        self.write(engine=engine)
        with Workspace.load(self.root) as workspace:
            return plans.plan(workspace, "load")

    def attempt(self, **options: Any) -> Result[Receipt]:
        with Workspace.load(self.root) as workspace:
            return handle(RunPipeline(pipeline="load", **options), workspace)

    def run(self, **options: Any) -> Receipt:
        return self.attempt(**options).unwrap()

    def shop(self, *statements: str) -> None:
        _execute(self.source, statements)

    def goal(self, *statements: str) -> None:
        _execute(self.target, statements)

    def rows(self, query: str, url: str = "") -> list[tuple[Any, ...]]:
        with psycopg.connect(url or self.target) as session:
            return session.execute(query).fetchall()

    def outcome(self, engine: str, before: Sequence[str] = (), table: str = "out", **options: Any) -> Outcome:
        """Run on that engine, from a target as it was before: nothing, and then ``before``."""
        self.goal(f"DROP TABLE IF EXISTS {table} CASCADE", *_NO_LEDGER, *before)
        self.write(engine=engine)
        with Workspace.load(self.root) as workspace:
            result = handle(RunPipeline(pipeline="load", **options), workspace)
        assert result.value is not None, result
        receipt = result.value.as_dict()
        there = self.rows(f"SELECT to_regclass('{table}') IS NOT NULL")[0][0]
        rows = self.rows(f"SELECT o::text FROM {table} o ORDER BY 1") if there else []
        schema = self.rows(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            f" WHERE attrelid = to_regclass('{table}') AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        )
        said = {name: receipt[name] for name in _SAME if name in receipt}
        return Outcome(said, schema, rows)


_NO_LEDGER = (
    "DROP TABLE IF EXISTS headgate_pipelines, headgate_watermarks, headgate_runs, headgate_quarantine CASCADE",
    (
        "DO $$ DECLARE r record; BEGIN FOR r IN SELECT tablename FROM pg_tables WHERE tablename LIKE 'headgate%'"
        " LOOP EXECUTE format('DROP TABLE %I', r.tablename); END LOOP; END $$"
    ),
)


def _execute(url: str, statements: Sequence[str]) -> None:
    with psycopg.connect(url, autocommit=True) as session:
        for statement in statements:
            session.execute(statement)


@pytest.fixture
def movers(tmp_path: Path, postgres_server: Server) -> Iterator[Movers]:
    names = [database_name(), database_name()]
    source, target = (postgres_server.create_database(name) for name in names)
    yield Movers(tmp_path, source, target)
    for name in names:
        postgres_server.drop_database(name)
