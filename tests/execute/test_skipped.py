"""A run with nothing to do says what it noticed, and leaves the watermark where it is."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import headgate as hg

PROJECT = """
version: 1
project: shop
connections:
  shop: {type: sqlite, path: shop.db}
  out: {type: local, path: out}
pipelines:
  orders:
    source: {connection: shop, table: orders, mode: incremental, incremental: {column: id}}
    target: {connection: out, table: orders}
"""


def change(root: Path, *statements: str) -> None:
    session = sqlite3.connect(root / "shop.db")
    for statement in statements:
        session.execute(statement)
    session.commit()
    session.close()


def test_a_cursor_that_went_back_is_told_and_moves_nothing(tmp_path: Path) -> None:
    change(tmp_path, "CREATE TABLE orders (id INTEGER PRIMARY KEY)", "INSERT INTO orders VALUES (1), (2)")
    (tmp_path / "headgate.yml").write_text(PROJECT)
    project = hg.Project.load(tmp_path)
    assert project.run("orders").rows.loaded == 2
    change(tmp_path, "DELETE FROM orders WHERE id = 2")
    skipped = project.run("orders")
    assert (skipped.status, skipped.rows.loaded) == ("skipped", 0)
    assert [warning for warning in skipped.warnings if "went back" in warning]
    assert skipped.watermark is not None
    assert skipped.watermark.before == skipped.watermark.after
    change(tmp_path, "INSERT INTO orders VALUES (3)")
    assert project.run("orders").rows.loaded == 1
