"""``LoadData`` into every kind of store: the same modes, counts, limits and codes everywhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headgate.commands.handle import handle
from headgate.commands.models import LoadData
from headgate.core.errors import Code
from headgate.core.results import Result
from headgate.core.runs import Receipt
from headgate.execute.workspace import Workspace
from headgate.testing.rows import read_all

LONG = [pytest.param(name, marks=pytest.mark.long) for name in ("duckdb", "sqlite", "lake")]
STORES = ["postgres", "mysql", "folder", *LONG]
LINES = "id,total,at\n1,10,2024-01-01\n2,20,2024-01-01\n2,25,2024-01-02\n3,30,2024-01-01\n"
LAST = [(1, 10), (2, 25), (3, 30)]
ONCE: dict[str, Any] = {"deduplicate_data": True, "deduplication_keys": ("id",), "deduplication_order": "at"}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opened(request: pytest.FixtureRequest, store: str, tmp_path: Path) -> Iterator[Callable[[], Workspace]]:
    """A project whose connection is a real store, opened anew as often as wanted."""
    addresses: dict[str, Callable[[], str]] = {
        "postgres": lambda: f"{{type: postgres, url: '{request.getfixturevalue('postgres_url')}'}}",
        "mysql": lambda: f"{{type: mysql, url: '{request.getfixturevalue('mariadb_url')}'}}",
        "duckdb": lambda: "{type: duckdb, path: target.duckdb}",
        "sqlite": lambda: "{type: sqlite, path: target.db}",
        "folder": lambda: "{type: local, path: target}",
        "lake": lambda: "{type: local, path: unused}",
    }
    address = addresses[store]()
    (tmp_path / "headgate.yml").write_text(f"version: 1\nproject: shop\nconnections:\n  target: {address}\n")
    (tmp_path / "in.csv").write_text(LINES)
    left: list[Workspace] = []

    def again() -> Workspace:
        left.append(Workspace.load(tmp_path))
        return left[-1]

    yield again
    for workspace in left:
        workspace.close()


class Loads:
    """The command on one store, with what the table holds after it."""

    def __init__(self, store: str, opened: Callable[[], Workspace], root: Path) -> None:
        self.connection, self.opened, self.root = ("lake" if store == "lake" else "target"), opened, root

    def __call__(self, lines: str = "", file: str = "in.csv", **options: Any) -> Result[Any]:
        if lines:
            (self.root / file).write_text(lines)
        given = {"source_data": f"./{file}", "target_connection": self.connection, "target_table": "loaded", **options}
        return handle(LoadData(**given), self.opened())

    def receipt(self, lines: str = "", file: str = "in.csv", **options: Any) -> Receipt:
        found: Receipt = self(lines, file, **options).unwrap()
        return found

    def rows(self, *columns: str) -> list[tuple[Any, ...]]:
        with self.opened() as workspace:
            found = workspace.store(workspace.endpoint(connection=self.connection, path=None))
            if found.describe("loaded") is None:
                return []
            table = read_all(found.reader("loaded")).select(list(columns or ("id", "total"))).to_pylist()
        return sorted(tuple(row.values()) for row in table)


@pytest.fixture
def load(store: str, opened: Callable[[], Workspace], tmp_path: Path) -> Loads:
    return Loads(store, opened, tmp_path)


def counts(receipt: Receipt) -> tuple[int, int, int, int]:
    """Rows inserted, updated, deleted and left unchanged, as the receipt tells for the table."""
    (target,) = receipt.targets
    return target.inserted, target.updated, target.deleted, target.unchanged


def test_append_overwrite_and_upsert_count_what_they_do(load: Loads) -> None:
    assert counts(load.receipt()) == (4, 0, 0, 0)
    assert counts(load.receipt(load_mode="overwrite", **ONCE)) == (3, 0, 4, 0)
    assert load.rows() == LAST
    assert counts(load.receipt("id,total,at\n3,31,2024-01-03\n4,40,2024-01-03\n")) == (2, 0, 0, 0)
    upserted = load.receipt(
        "id,total,at\n1,11,2024-01-04\n5,50,2024-01-04\n", target_table="keyed", load_mode="upsert", merge_keys=("id",)
    )
    assert counts(upserted) == (2, 0, 0, 0)
    again = "id,total,at\n1,12,2024-01-05\n6,60,2024-01-05\n"
    assert counts(load.receipt(again, target_table="keyed", load_mode="upsert", merge_keys=("id",)))[:2] == (1, 1)


def test_merge_leaves_equal_rows_alone(load: Loads) -> None:
    merged: dict[str, Any] = {"load_mode": "merge", "merge_keys": ("id",)}
    assert counts(load.receipt(**merged, **ONCE)) == (3, 0, 0, 0)
    changed = "id,total,at\n1,10,2024-01-01\n2,99,2024-01-02\n4,40,2024-01-01\n"
    assert counts(load.receipt(changed, **merged)) == (1, 1, 0, 1)
    assert load.rows() == [(1, 10), (2, 99), (3, 30), (4, 40)]


@pytest.mark.parametrize("keep", ["first", "last"])
def test_deduplication_keeps_the_first_or_the_last_by_its_order(load: Loads, keep: Any) -> None:
    receipt = load.receipt(**ONCE, deduplication_keep=keep)
    assert (receipt.rows.extracted, receipt.rows.deduplicated, receipt.rows.loaded) == (4, 1, 3)
    assert load.rows() == [(1, 10), (2, 20 if keep == "first" else 25), (3, 30)]


def test_every_failure_has_its_code_and_leaves_the_table_as_it_was(load: Loads) -> None:
    load.receipt(**ONCE)
    keyed = {"load_mode": "upsert", "merge_keys": ("id",)}
    unique = ({"type": "unique", "columns": ["id"]},)
    negative = ({"type": "range", "column": "total", "min": 11},)
    cases: tuple[tuple[Code, dict[str, Any]], ...] = (
        (Code.RECORD_COUNT_MISMATCH, {"expected_record_count": 0}),
        (Code.RECORD_COUNT_MISMATCH, {"expected_record_count": 3}),
        (Code.PRE_LOAD_VALIDATION_FAILED, {"pre_load_rules": negative}),
        (Code.POST_LOAD_VALIDATION_FAILED, {"post_load_rules": unique}),
        (Code.LOAD_EXECUTION_FAILED, keyed),
        (Code.TABLE_CREATION_FAILED, {"target_table": "absent", "create_table_if_not_exists": False}),
        (Code.SOURCE_LOAD_FAILED, {"source_data": "absent.csv"}),
    )
    for code, options in cases:
        failed = load(**options)
        assert failed.error_code is code, failed.error
        assert failed.failure is not None
        assert failed.failure.hint, failed.error
        assert load.rows() == LAST, options
    assert load(expected_record_count=3, load_mode="overwrite", **ONCE).error_code is None


def test_an_empty_set_is_a_success_and_a_replacement_by_nothing_is_not(load: Loads) -> None:
    load.receipt(**ONCE)
    nothing = "id,total,at\n"
    assert load.receipt(nothing).rows.loaded == 0
    assert load.receipt(expected_record_count=0).rows.loaded == 0
    emptied = load(load_mode="overwrite")
    assert emptied.is_failure
    assert "nothing" in str(emptied.error), emptied.error
    assert load.rows() == LAST


def test_a_column_that_came_is_added_and_one_that_is_missing_is_null(load: Loads) -> None:
    load.receipt(**ONCE)
    load.receipt("id,note\n7,new\n", "notes.csv")
    assert sorted(load.rows("id", "note"))[-1] == (7, "new")
    refused = load("id,total\n8,many\n", "texts.csv")
    assert refused.error_code is Code.LOAD_EXECUTION_FAILED
    assert "total" in str(refused.error)


def test_the_same_command_twice_at_once_is_loaded_once_or_refused_and_never_mixed(load: Loads) -> None:
    lines = "id,total,at\n" + "".join(f"{n},{n},2024-01-01\n" for n in range(20_000))
    (load.root / "in.csv").write_text(lines)
    results: list[Result[Any]] = []
    workspaces = [load.opened() for _ in range(3)]
    command = LoadData(
        source_data="./in.csv",
        target_connection=load.connection,
        target_table="loaded",
        load_mode="upsert",
        merge_keys=("id",),
    )
    threads = [threading.Thread(target=lambda one=one: results.append(handle(command, one))) for one in workspaces]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    codes = [result.error_code for result in results]
    assert None in codes
    assert set(codes) <= {None, Code.LOCKED}
    assert [id_ for id_, _ in load.rows()] == list(range(20_000))
