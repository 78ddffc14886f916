"""Databases of several kinds with a table, and a project that reads it into the lake."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
import yaml
from tests.mariadb import MariaServer

from headgate.commands.handle import handle
from headgate.commands.models import RunPipeline
from headgate.execute.workspace import Workspace
from headgate.plan.stages import Plan, Scan
from headgate.queries import plans

_SAME = ("rows", "steps", "checks", "status", "error", "warnings", "plan_hash")


@dataclass
class Shop:
    """A project that reads a table ``t`` of one kind of database into files."""

    kind: str
    root: Path
    connection: dict[str, Any]
    execute: Callable[..., object]
    pipeline: dict[str, Any] | None = None

    def define(self, steps: Sequence[Any], **others: Any) -> Shop:
        self.pipeline = {"source": {"connection": "shop", "table": "t"}, "transformations": list(steps)}
        self.pipeline["target"] = {"table": "out", "mode": "overwrite"}
        self.pipeline |= others
        return self.write("auto")

    def write(self, engine: str) -> Shop:
        document = {
            "version": 1,
            "project": "p",
            "connections": {"shop": self.connection},
            "pipelines": {"p": {**(self.pipeline or {}), "engine": engine}},
        }
        (self.root / "headgate.yml").write_text(yaml.safe_dump(document, sort_keys=False))
        return self

    def plan(self) -> Plan:
        self.write("auto")
        with Workspace.load(self.root) as workspace:
            return plans.plan(workspace, "p")

    @property
    def scan(self) -> Scan:
        return next(stage for stage in self.plan().stages if isinstance(stage, Scan))

    def outcome(self, engine: str, **options: Any) -> tuple[dict[str, Any], list[str], list[str]]:
        """What the receipt says, the rows that were loaded, and those that were held back, with reasons."""
        self.write(engine)
        shutil.rmtree(self.root / ".headgate", ignore_errors=True)
        with Workspace.load(self.root) as workspace:
            result = handle(RunPipeline(pipeline="p", **options), workspace)
            assert result.value is not None, result
            store = workspace.store(workspace.connection("lake"))
            rows = _rows(store.reader("out")) if store.describe("out") is not None else []
            entries = store.quarantine("p")
            held = [repr(row) for entry in entries for batch in store.held(entry) for row in batch.to_pylist()]
        receipt = result.value.as_dict()
        return {name: receipt[name] for name in _SAME if name in receipt}, rows, sorted(held)

    def same(self) -> dict[str, Any]:
        """The receipt, once everything is the same whether the source drops rows or the engine."""
        expected, found = self.outcome("duckdb"), self.outcome("auto")
        assert found == expected
        return found[0]


def _rows(scan: Any) -> list[Any]:
    try:
        if scan.files is not None:
            return sorted(map(repr, duckdb.read_parquet(list(scan.files.paths)).to_arrow_table().to_pylist()))
        return sorted(map(repr, scan.batches.read_all().to_pylist()))
    finally:
        scan.close()


def make_shop(kind: str, request: pytest.FixtureRequest, root: Path) -> Shop:
    match kind:
        case "postgres":
            url = request.getfixturevalue("postgres_url")

            def on_server(*statements: str) -> None:
                with psycopg.connect(url, autocommit=True) as session:
                    for statement in statements:
                        session.execute(statement)

            return Shop(kind, root, {"type": "postgres", "url": url}, on_server)
        case "mysql":
            server: MariaServer = request.getfixturevalue("mariadb_server")
            name = request.getfixturevalue("mariadb_name")
            return Shop(
                kind,
                root,
                {"type": "mysql", "url": server.url(name)},
                lambda *statements: server.execute(name, *statements),
            )
        case "sqlite":

            def in_file(*statements: str) -> None:
                connection = sqlite3.connect(root / "shop.db")
                with connection:
                    for statement in statements:
                        connection.execute(statement)
                connection.close()

            return Shop(kind, root, {"type": "sqlite", "path": "shop.db"}, in_file)
        case _:

            def in_duckdb(*statements: str) -> None:
                with duckdb.connect(root / "shop.duckdb") as connection:
                    for statement in statements:
                        connection.execute(statement)

            return Shop(kind, root, {"type": "duckdb", "path": "shop.duckdb"}, in_duckdb)
