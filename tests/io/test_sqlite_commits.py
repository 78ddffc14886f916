"""SQLite when the COMMIT itself fails: whatever is left of the transaction, the answer is the truth."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError
from headgate.core.events import Event, Phase, Step
from headgate.io.sqlite_transaction import SqliteTransaction
from headgate.targets.sqlite import Connection, open_store
from headgate.testing.place import Place, load, record, rows, stage

MANY = rows(*((number, "x" * 1000) for number in range(100, 400)))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    connection = Connection(type="sqlite", path="shop.db", timeout=timedelta(seconds=0.2))
    place = Place(lambda: open_store("dw", connection, tmp_path), tmp_path / "_runs")
    place.run(1, [(load("t"), rows((1, "a")))])
    yield place
    place.close()


def before_commit(action: Callable[[], object]) -> Callable[[Event], None]:
    def listen(event: Event) -> None:
        if (event.step, event.phase) == (Step.COMMIT, Phase.BEFORE):
            action()

    return listen


@contextmanager
def no_file_grows_beyond(size: int) -> Iterator[Callable[[], None]]:
    """Once the function is called, the system refuses to write there, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_reader_in_the_way_of_the_commit_is_a_conflict_that_passes(place: Place, tmp_path: Path) -> None:
    """In a database that somebody took out of WAL mode meanwhile; in WAL mode no reader is in the way."""
    reader = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)

    def read() -> None:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM t").fetchone()

    claim, transaction = place.begin(place.store(), "run-2", 2, listeners=[before_commit(read)])
    stage(transaction, [(load("t"), rows((2, "b")))])
    assert reader.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
    with pytest.raises(RetriableError) as refusal:
        transaction.publish(record(claim))
    assert refusal.value.code is Code.CONFLICT
    reader.execute("ROLLBACK")
    reader.close()
    transaction.rollback()
    assert place.pairs("t") == [(1, "a")]
    assert place.run(3, [(load("t"), rows((3, "c")))])[0].inserted == 1


def test_a_commit_that_cannot_be_written_is_rolled_back_and_the_database_is_asked(place: Place) -> None:
    with no_file_grows_beyond(8192) as full:
        claim, transaction = place.begin(place.store(), "run-2", 2, listeners=[before_commit(full)])
        stage(transaction, [(load("t"), MANY)])
        with pytest.raises(FatalError) as refusal:
            transaction.publish(record(claim))
    assert refusal.value.code in {Code.DISK_FULL, Code.STORAGE_FAILED}
    transaction.rollback()
    assert place.pairs("t") == [(1, "a")]
    assert place.published(2) is None
    assert place.run(3, [(load("t"), rows((3, "c")))])[0].inserted == 1


def test_where_the_database_cannot_be_asked_the_outcome_is_unknown(place: Place, tmp_path: Path) -> None:
    database, aside = tmp_path / "shop.db", tmp_path / "aside.db"
    with no_file_grows_beyond(8192) as full:

        def lose() -> None:
            full()
            database.rename(aside)
            database.mkdir()

        claim, transaction = place.begin(place.store(), "run-2", 2, listeners=[before_commit(lose)])
        stage(transaction, [(load("t"), MANY)])
        with pytest.raises(HeadgateError) as refusal:
            transaction.publish(record(claim))
    assert refusal.value.code is Code.OUTCOME_UNKNOWN
    assert "does not answer" in refusal.value.message
    database.rmdir()
    aside.rename(database)
    transaction.rollback()
    assert place.pairs("t") == [(1, "a")]


def test_a_commit_that_held_though_its_answer_was_an_error_is_success(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No fault that can be made here loses an answer of SQLite's, so the connection loses it."""

    class Forgetful(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            cursor = super().execute(sql, *parameters)
            if sql == "COMMIT":
                raise sqlite3.OperationalError("disk I/O error")
            return cursor

    real = sqlite3.connect
    claim, transaction = place.begin(place.store(), "run-2", 2)
    stage(transaction, [(load("t"), rows((2, "b")))])
    with monkeypatch.context() as patch:
        patch.setattr(
            "headgate.io.sqlite.sqlite3.connect", lambda *given, **options: real(*given, factory=Forgetful, **options)
        )
        assert transaction.publish(record(claim))[0].inserted == 1
    assert place.pairs("t") == [(1, "a"), (2, "b")]
    assert place.published(2) is not None


def test_a_preview_of_a_database_that_is_gone_lets_go_of_it(place: Place, tmp_path: Path) -> None:
    _, transaction = place.begin(place.store(), "run-2", 2)
    stage(transaction, [(load("t"), rows((2, "b")))])
    (tmp_path / "shop.db").rename(tmp_path / "aside.db")
    assert isinstance(transaction, SqliteTransaction)
    with pytest.raises(FatalError) as refusal:
        transaction.preview("t", ["id"])
    assert refusal.value.code is Code.SOURCE_NOT_FOUND
    (tmp_path / "aside.db").rename(tmp_path / "shop.db")
    transaction.rollback()
    assert place.run(3, [(load("t"), rows((3, "c")))])[0].inserted == 1
