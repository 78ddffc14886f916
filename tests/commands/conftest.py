"""A project with a database, files and a lake, open."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.commands.sales import SALES, execute

from headgate.execute.workspace import Workspace

PROJECT = """\
version: 1
project: shop
connections:
  shop: {type: sqlite, path: shop.db}
  inbox: {type: local, path: inbox}
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "headgate.yml").write_text(PROJECT)
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "new orders.csv").write_text("id,total\n1,10\n2,20\n")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as shop, shop:
        shop.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, total INTEGER NOT NULL)")
        shop.executemany("INSERT INTO orders VALUES (?, ?)", [(1, 10), (2, 20), (3, 30)])
    with Workspace.load(tmp_path) as opened:
        yield opened


@pytest.fixture
def sales(workspace: Workspace) -> Workspace:
    execute(
        workspace,
        "CREATE TABLE sales (id INTEGER PRIMARY KEY, region TEXT, updated_at TIMESTAMP, amount INTEGER,"
        " created_at TIMESTAMP DEFAULT '2023-05-05 00:00:00')",
        rows=SALES,
    )
    return workspace
