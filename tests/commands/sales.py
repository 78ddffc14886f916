"""A table of sales in the shop, and the command that extracts it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from typing import Any

from headgate.commands.handle import handle
from headgate.commands.models import ExtractData
from headgate.core.results import Result
from headgate.execute.workspace import Workspace

SALES = (
    (1, "north", "2024-01-01 00:00:00", 10),
    (2, "south", "2024-01-02 00:00:00", 20),
    (3, "west'; DROP TABLE sales; --", "2024-01-03 00:00:00", 30),
)


def execute(workspace: Workspace, *statements: str, rows: Iterable[tuple[Any, ...]] = ()) -> None:
    with closing(sqlite3.connect(workspace.project.root / "shop.db")) as shop, shop:
        for statement in statements:
            shop.execute(statement)
        shop.executemany("INSERT OR REPLACE INTO sales (id, region, updated_at, amount) VALUES (?, ?, ?, ?)", rows)


def extract(workspace: Workspace, **options: Any) -> Result[Any]:
    return handle(ExtractData(**{"source_name": "shop", "table_name": "sales", **options}), workspace)
