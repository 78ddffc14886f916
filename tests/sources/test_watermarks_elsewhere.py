"""Watermarks by values, in databases without transaction ids: each usual fault as a whole run from a real database."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from headgate.commands.handle import handle
from headgate.commands.models import RunPipeline
from headgate.core.errors import Code
from headgate.core.results import Result
from headgate.execute.workspace import Workspace

TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(20), moment TIMESTAMP NULL)"
FIRST = "INSERT INTO t VALUES (1, 'a', '2024-01-01 00:00:00'), (2, 'b', '2024-01-02 00:00:00')"
Rows = list[tuple[Any, ...]]


class Shop:
    """A source, a pipeline that follows it into a file of SQLite, and what both hold."""

    def __init__(self, root: Path, address: str, ask: Callable[[str], Rows]) -> None:
        self.root, self.address, self.ask = root, address, ask
        self.define()
        ask(TABLE)
        ask(FIRST)

    def define(self, where: str = "", **cursor: str) -> None:
        more = "".join(f", {name}: {value}" for name, value in cursor.items())
        (self.root / "headgate.yml").write_text(
            "version: 1\nproject: shop\nconnections:\n  goal: {type: sqlite, path: goal.db}\n"
            f"  shop: {self.address}\n"
            "pipelines:\n  follow:\n"
            f"    source: {{connection: shop, table: t, mode: incremental{where and f', where: {where}'},\n"
            f"      incremental: {{column: moment, key: id{more}}}}}\n"
            "    target: {connection: goal, table: t, mode: upsert, keys: [id]}\n"
        )

    def run(self) -> Result[Any]:
        with Workspace.load(self.root) as workspace:
            return handle(RunPipeline(pipeline="follow"), workspace)

    def goal(self) -> Rows:
        with closing(sqlite3.connect(self.root / "goal.db")) as goal:
            return sorted(goal.execute("SELECT id, name FROM t").fetchall())

    def source(self) -> Rows:
        return sorted(tuple(row) for row in self.ask("SELECT id, name FROM t"))

    def restored(self, backup: str) -> None:
        for path in self.root.glob("goal.db*"):
            if path.is_file():
                path.unlink()
        shutil.copy(self.root / backup, self.root / "goal.db")


@pytest.fixture(params=["mysql", "sqlite", "duckdb"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    def of_sqlite(statement: str) -> Rows:
        with closing(sqlite3.connect(tmp_path / "shop.db")) as file, file:
            return file.execute(statement).fetchall()

    def of_duckdb(statement: str) -> Rows:
        with duckdb.connect(tmp_path / "shop.duckdb") as file:
            return file.execute(statement).fetchall()

    if request.param == "sqlite":
        return Shop(tmp_path, "{type: sqlite, path: shop.db}", of_sqlite)
    if request.param == "duckdb":
        return Shop(tmp_path, "{type: duckdb, path: shop.duckdb}", of_duckdb)
    server, name = request.getfixturevalue("mariadb_server"), request.getfixturevalue("mariadb_name")
    return Shop(tmp_path, f"{{type: mysql, url: '{server.url(name)}'}}", lambda text: server.execute(name, text))


def test_ties_at_the_watermark_come_once_and_nothing_new_moves_nothing(shop: Shop) -> None:
    assert shop.run().unwrap().rows.loaded == 2
    shop.ask("INSERT INTO t VALUES (3, 'tie', '2024-01-02 00:00:00'), (4, 'later', '2024-01-03 00:00:00')")
    assert shop.run().unwrap().rows.loaded == 2
    assert shop.goal() == shop.source()
    again = shop.run().unwrap()
    assert (again.status, again.watermark.before) == ("skipped", again.watermark.after)


def test_a_row_in_the_future_waits_and_hides_no_other(shop: Shop) -> None:
    shop.ask("INSERT INTO t VALUES (3, 'far', '2037-12-31 00:00:00')")
    first = shop.run().unwrap()
    assert (first.rows.loaded, first.watermark.after[:10]) == (2, "2024-01-02")
    assert first.warnings == (
        "moment: 1 row lies in the future of the source's clock and will be read when their time has come",
    )
    shop.ask("INSERT INTO t VALUES (4, 'next', '2024-01-03 00:00:00')")
    assert shop.run().unwrap().rows.loaded == 1
    shop.ask("UPDATE t SET moment = '2024-01-04 00:00:00' WHERE id = 3")
    assert shop.run().unwrap().rows.loaded == 1
    assert shop.goal() == shop.source()


def test_rows_without_a_cursor_are_refused_until_they_are_mended(shop: Shop) -> None:
    shop.run().unwrap()
    shop.ask("INSERT INTO t VALUES (5, 'none', NULL)")
    refused = shop.run()
    assert refused.error_code is Code.EXTRACTION_FAILED
    assert "NULL" in str(refused.error)
    shop.ask("UPDATE t SET moment = '2024-01-04 00:00:00' WHERE moment IS NULL")
    assert shop.run().unwrap().rows.loaded == 1
    assert shop.goal() == shop.source()


def test_what_the_refusal_of_rows_without_a_cursor_proposes_works(shop: Shop) -> None:
    shop.run().unwrap()
    shop.ask("INSERT INTO t VALUES (5, 'none', NULL)")
    assert "nulls: include" in str(shop.run().error)
    shop.define(nulls="include")
    assert shop.run().unwrap().rows.loaded == 1
    assert shop.goal() == shop.source()
    assert shop.run().unwrap().status == "skipped"


def test_rows_that_were_ignored_are_not_passed_over_in_silence_later(shop: Shop) -> None:
    shop.ask("INSERT INTO t VALUES (5, 'none', NULL)")
    shop.define(nulls="ignore")
    shop.run().unwrap()
    shop.define(nulls="include")
    assert shop.run().error_code is Code.STATE_INVALID


def test_an_update_that_sets_the_cursor_back_takes_the_watermark_nowhere(shop: Shop) -> None:
    shop.run().unwrap()
    shop.ask("UPDATE t SET moment = '2023-01-01 00:00:00'")
    shop.run()
    shop.ask("INSERT INTO t VALUES (6, 'new', '2024-01-05 00:00:00')")
    assert shop.run().unwrap().rows.loaded == 1
    assert shop.goal() == shop.source()


def test_a_run_that_has_nothing_to_do_warns_all_the_same(shop: Shop) -> None:
    shop.run().unwrap()
    shop.ask("DELETE FROM t WHERE id = 2")  # as in a source that was restored from a backup
    shop.ask("INSERT INTO t VALUES (3, 'far', '2037-12-31 00:00:00')")
    again = shop.run().unwrap()
    assert (again.status, again.watermark.before) == ("skipped", again.watermark.after)
    back, ahead = again.warnings
    assert back.startswith("moment: the cursor went back from 2024-01-02")
    assert ahead.startswith("moment: 1 row lies in the future")
    shop.ask("INSERT INTO t VALUES (4, 'next', '2024-01-03 00:00:00')")
    assert shop.run().unwrap().rows.loaded == 1


def test_late_rows_are_found_within_lag(shop: Shop) -> None:
    shop.define(lag="2d")
    shop.run().unwrap()
    shop.ask("INSERT INTO t VALUES (7, 'late', '2024-01-01 12:00:00')")
    assert shop.run().unwrap().rows.loaded == 1
    assert shop.goal() == shop.source()
    assert shop.run().unwrap().status == "skipped"


def test_a_filter_that_changes_is_refused(shop: Shop) -> None:
    shop.define("id < 100")
    shop.run().unwrap()
    shop.define("id < 1000")
    assert shop.run().error_code is Code.STATE_INVALID


def test_a_target_restored_from_a_backup_goes_on_from_where_the_backup_was(shop: Shop) -> None:
    shop.run().unwrap()
    with closing(sqlite3.connect(shop.root / "goal.db")) as goal, closing(sqlite3.connect(shop.root / "old.db")) as old:
        goal.backup(old)
    shop.ask("INSERT INTO t VALUES (8, 'lost', '2024-01-06 00:00:00')")
    shop.run().unwrap()
    shop.restored("old.db")
    shop.ask("INSERT INTO t VALUES (9, 'next', '2024-01-07 00:00:00')")
    assert shop.run().unwrap().rows.loaded == 2
    assert shop.goal() == shop.source()


def test_deleted_rows_stay_until_a_full_read(shop: Shop) -> None:
    shop.run().unwrap()
    shop.ask("DELETE FROM t WHERE id = 1")
    assert shop.run().unwrap().status == "skipped"
    assert len(shop.goal()) == 2
    with Workspace.load(shop.root) as workspace:
        handle(RunPipeline(pipeline="follow", full_refresh=True), workspace).unwrap()
    assert shop.goal() == shop.source()
