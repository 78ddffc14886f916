"""A small real project, and the program called as a shell calls it, in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from headgate.cli.main import app

PROJECT = """\
version: 1
project: shop
connections:
  inbox: {type: local, path: inbox}
  books: {type: sqlite, path: books.db}
pipelines:
  orders:
    tags: [daily]
    source: {connection: inbox, path: "orders/*.csv", mode: incremental}
    transformations:
      - {type: filter, condition: "status <> 'test'"}
      - {type: calculate, columns: {total: "quantity * price"}}
    quality_rules:
      - {type: not_null, columns: [customer], on_fail: quarantine}
      - {type: range, column: quantity, min: 0, max: 100}
    target: {table: orders, mode: append}
  totals:
    tags: [daily]
    depends_on: [orders]
    source: {table: orders}
    transformations:
      - {type: aggregate, group_by: [customer], metrics: {total: "SUM(total)"}}
    target: {connection: books, table: totals, mode: overwrite}
"""
HEADER = "id,customer,quantity,price,status\n"
FIRST = HEADER + "1,Ann,2,10,paid\n2,,1,5,paid\n3,Bob,1,7,test\n4,Bob,3,2,paid\n"
SECOND = HEADER + "5,Cleo,1,1,paid\n"


@dataclass(frozen=True)
class Answer:
    """What one call of the program gave."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as the one JSON document it must be."""
        return json.loads(self.out)


Call = Callable[..., Answer]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    (root / "inbox" / "orders").mkdir(parents=True)
    (root / "headgate.yml").write_text(PROJECT)
    (root / "inbox" / "orders" / "1.csv").write_text(FIRST)
    return root


@pytest.fixture
def headgate(project: Path) -> Call:
    """Call the program in the project. No exception may leave it, and no traceback may be printed."""

    def call(*arguments: str, stdin: str | None = None, directory: Path | None = None) -> Answer:
        result = CliRunner().invoke(app, [*arguments, "-C", str(directory or project)], input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.stderr
        return Answer(result.exit_code, result.stdout, result.stderr)

    return call
