from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.core.contracts import Store
from headgate.core.errors import Code, FatalError, RetriableError
from headgate.core.events import Event, Step
from headgate.io import sqlite as sqlite_module
from headgate.targets import sqlite as sqlite_target
from headgate.targets.sqlite import Connection, open_store
from headgate.testing.place import KEY, Place, load, record, rows, stage
from headgate.testing.rows import arrow_schema, arrow_table
from headgate.testing.stores import StoreContract

numbering = itertools.count(1)


class TestSqliteStore(StoreContract):
    capabilities = sqlite_target.MODES
    signed_zero = False

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Callable[[], Store]:
        return lambda: open_store("dw", Connection(type="sqlite", path="dw/shop.db"), tmp_path)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    connection = Connection(type="sqlite", path="shop.db", timeout=timedelta(seconds=0.2))
    place = Place(lambda: open_store("dw", connection, tmp_path), tmp_path / "_runs")
    yield place
    place.close()


def database(place: Place) -> sqlite3.Connection:
    return sqlite3.connect(place.workdir.parent / "shop.db", isolation_level=None)


def test_reading_a_store_that_is_not_there_creates_nothing(place: Place, tmp_path: Path) -> None:
    store = place.store()
    assert store.state(KEY).epoch == 0
    assert store.test() == "shop.db will be created"
    assert list(tmp_path.iterdir()) == []


def test_readers_see_the_old_rows_while_an_overwrite_is_merged(place: Place) -> None:
    place.run(1, [(load("t"), rows((1, "old")))])
    seen: list[object] = []

    def look(event: Event) -> None:
        if event.step in (Step.MERGE, Step.LEDGER, Step.COMMIT):
            seen.append(place.pairs("t"))

    place.run(2, [(load("t", "overwrite"), rows((2, "new")))], listeners=(look,))
    assert seen[:-1] == [[(1, "old")]] * 5
    assert seen[-1] == [(2, "new")]


def test_a_long_load_does_not_keep_others_from_writing(place: Place) -> None:
    place.run(1, [(load("t"), rows((1, "a")))])
    claim, transaction = place.begin(place.store(), "run-2", 2)
    stage(transaction, [(load("t"), rows((2, "b")))])
    others = database(place)
    others.execute("INSERT INTO t VALUES (3, 'by hand')")
    others.close()
    transaction.publish(record(claim))
    assert place.pairs("t") == [(1, "a"), (2, "b"), (3, "by hand")]


def test_a_database_that_another_process_writes_to_is_worth_another_try(place: Place) -> None:
    place.run(1, [(load("t"), rows((1, "a")))])
    claim, transaction = place.begin(place.store(), "run-2", 2)
    stage(transaction, [(load("t"), rows((2, "b")))])
    other = database(place)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(RetriableError) as refusal:
        transaction.publish(record(claim))
    assert refusal.value.code is Code.CONFLICT
    other.execute("ROLLBACK")
    other.close()
    assert place.pairs("t") == [(1, "a")]
    transaction.publish(record(claim))
    assert place.pairs("t") == [(1, "a"), (2, "b")]


def test_a_file_that_is_no_database_is_left_alone(place: Place, tmp_path: Path) -> None:
    (tmp_path / "shop.db").write_bytes(b"precious" * 200)
    with pytest.raises(FatalError) as refusal:
        place.run(1, [(load("t"), rows((1, "a")))])
    assert refusal.value.code is Code.STORAGE_FAILED
    assert (tmp_path / "shop.db").read_bytes() == b"precious" * 200


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "dw").write_text("a file stands in the way")
    store = open_store("dw", Connection(type="sqlite", path="dw/shop.db"), tmp_path)
    with pytest.raises(FatalError) as refusal:
        store.claim(KEY, "run-1", "e")
    assert refusal.value.code is Code.CONNECTION_FAILED
    assert "dw/shop.db" in str(refusal.value)
    assert "folder" in refusal.value.hint


def test_a_full_disk_publishes_nothing(place: Place) -> None:
    place.run(1, [(load("t"), rows((1, "a")))])
    store = place.store()
    claim, transaction = place.begin(store, "run-2", 2)
    stage(transaction, [(load("t"), rows(*((number, "x" * 1000) for number in range(2000))))])
    connect = sqlite_module.connect

    def small(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.execute("PRAGMA max_page_count = 60")  # SQLite then answers SQLITE_FULL, as it does for ENOSPC
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_module, "connect", small)
        with pytest.raises(FatalError) as refusal:
            transaction.publish(record(claim))
    assert refusal.value.code is Code.DISK_FULL
    transaction.rollback()
    assert place.pairs("t") == [(1, "a")]
    assert place.published(2) is None
    assert place.run(3, [(load("t"), rows((3, "c")))])[0].inserted == 1


def test_an_upsert_works_on_a_table_without_a_unique_index(place: Place) -> None:
    place.run(0, [])
    others = database(place)
    others.execute("CREATE TABLE t (name TEXT, id INTEGER, kept TEXT DEFAULT 'default')")
    others.execute("INSERT INTO t VALUES ('a', 1, 'x'), ('twin', 1, 'y'), ('nobody', NULL, 'z')")
    others.close()
    claim, transaction = place.begin(place.store(), "run-1", 1)
    stage(transaction, [(load("t", "upsert", keys=("id",)), rows((1, "new"), (2, "b")))])
    (expected,) = transaction.counts()
    (commit,) = transaction.publish(record(claim))
    assert (expected.inserted, expected.updated) == (commit.inserted, commit.updated) == (1, 2)
    assert place.pairs("t") == [(1, "new"), (1, "new"), (2, "b"), (None, "nobody")]


def test_a_new_table_for_upserts_gets_its_keys_as_primary_key(place: Place) -> None:
    place.run(1, [(load("t", "upsert", keys=("id", "name")), rows((1, "a")))])
    info = place.store().describe("t")
    assert info is not None
    assert info.keys == ("id", "name")


DIGITS = [pa.decimal128(15, 2), pa.decimal128(16, 2), pa.decimal128(38, 10), pa.decimal128(38, 38), pa.decimal128(9, 9)]


@pytest.mark.parametrize("type_", DIGITS, ids=str)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_decimals_come_back_digit_by_digit(place: Place, type_: Any, data: st.DataObject) -> None:
    limit = 10**type_.precision - 1
    numbers = data.draw(st.lists(st.integers(-limit, limit), min_size=1, max_size=10))
    with localcontext(prec=50):
        values = [Decimal(number).scaleb(-type_.scale) for number in numbers]
    schema = arrow_schema([("c", type_)])
    number = next(numbering)
    place.run(number, [(load("t", "overwrite", schema), arrow_table(schema, [values]))])
    assert place.rows("t")["c"].to_pylist() == values


def test_a_number_column_of_more_digits_than_sqlite_keeps_is_refused(place: Place) -> None:
    place.run(0, [])
    others = database(place)
    others.execute("CREATE TABLE t (c DECIMAL(20, 2))")
    others.close()
    schema = arrow_schema([("c", pa.decimal128(20, 2))])
    with pytest.raises(FatalError) as refusal:
        place.run(1, [(load("t", schema=schema), arrow_table(schema, [[Decimal("1.10")]]))])
    assert refusal.value.code is Code.SCHEMA_MISMATCH
    small = arrow_schema([("c", pa.decimal128(10, 2))])
    place.run(2, [(load("t", schema=small), arrow_table(small, [[Decimal("1.10")]]))])
    assert place.rows("t")["c"].to_pylist() == [Decimal("1.10")]


def test_published_parked_work_is_swept_and_other_parked_work_is_not(place: Place, tmp_path: Path) -> None:
    for number in (1, 2):
        claim, transaction = place.begin(place.store(), f"run-{number}", number, durable=True)
        stage(transaction, [(load("t"), rows((number, "parked")))])
        transaction.park(record(claim))
    place.run(1, [(load("t"), rows((1, "done otherwise")))], run_id="run-3")
    store = place.store()
    assert store.sweep(store.claim(KEY, "run-4", "e")) == 1
    assert len(list((tmp_path / "shop.db.headgate").glob("parked-*.db"))) == 1


def test_older_versions_are_not_kept(place: Place) -> None:
    place.run(1, [(load("t"), rows((1, "a")))])
    with pytest.raises(FatalError) as refusal:
        place.store().reader("t", at="1")
    assert refusal.value.code is Code.UNSUPPORTED


def test_names_that_differ_in_case_alone_are_refused(place: Place) -> None:
    schema = arrow_schema([("id", pa.int64()), ("ID", pa.int64())])
    with pytest.raises(FatalError) as refusal:
        place.run(1, [(load("t", schema=schema), arrow_table(schema, [[1], [2]]))])
    assert refusal.value.code is Code.UNSUPPORTED
    assert "SQLite takes id for one column" in str(refusal.value)
