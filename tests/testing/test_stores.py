"""The contract suites must notice what they are for: each planted bug here fails the test that names it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headgate.core.contracts import Store
from headgate.core.errors import HeadgateError
from headgate.core.events import Step
from headgate.io import ledger, sqlite_merge
from headgate.io.sqlite import SqliteStatements
from headgate.io.sqlite_staging import StagedWriter
from headgate.io.sqlite_transaction import SqliteTransaction
from headgate.targets.sqlite import Connection, SqliteStore, open_store
from headgate.testing.place import Place, rows
from headgate.testing.store_crashes import CrashContract
from headgate.testing.store_ledger import LedgerContract
from headgate.testing.store_loads import LoadContract
from headgate.testing.store_quarantine import QuarantineContract
from headgate.testing.stores import StoreContract


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(lambda: open_store("dw", Connection(type="sqlite", path="shop.db"), tmp_path), tmp_path / "_runs")
    yield place
    place.close()


def nothing(*_: Any, **__: Any) -> None:
    """A step that is forgotten."""


def sweep_all(store: SqliteStore, _: object) -> int:
    paths = list(store._beside.glob("*.db"))
    for path in paths:
        path.unlink()
    return len(paths)


def append_always(staged: Any, target: str, source: str) -> str:
    names = ", ".join(staged.names)
    return f"INSERT INTO {target} ({names}) SELECT {names} FROM {source}"


def commit_before_the_ledger(transaction: SqliteTransaction, connection: Any, record: Any) -> Any:
    commits = [sqlite_merge.merge(connection, staged, "") for staged in transaction._staging.tables]
    with transaction._emitter.during(Step.LEDGER):
        connection.execute("COMMIT")
        connection.execute("BEGIN")
    ledger.record(SqliteStatements(connection), record)
    return commits


def test_a_forgotten_epoch_check_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "check_epoch", nothing)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        LedgerContract().test_a_fenced_run_publishes_nothing(place)


def test_a_forgotten_check_of_merge_keys_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StagedWriter, "_check_keys", nothing)
    with pytest.raises((pytest.fail.Exception, HeadgateError, AssertionError)):
        LoadContract().test_null_and_repeated_merge_keys_are_refused(place, rows((1, "x"), (1, "y")))


def test_an_upsert_that_appends_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_merge, "_insert_missing", append_always)
    with pytest.raises((AssertionError, HeadgateError)):
        LoadContract().test_upsert_updates_what_matches_and_inserts_the_rest(place)


def test_an_overwrite_that_appends_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    merge = sqlite_merge.merge
    monkeypatch.setattr(sqlite_merge, "merge", lambda *a: merge(a[0], _appending(a[1]), a[2]))
    with pytest.raises(AssertionError):
        LoadContract().test_overwrite_replaces_every_row(place)


def _appending(staged: Any) -> Any:
    return replace(staged, load=replace(staged.load, mode="append"))


def test_a_sweep_that_takes_too_much_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqliteStore, "sweep", sweep_all)
    with pytest.raises(AssertionError):
        LedgerContract().test_parked_work_outlives_its_process_and_is_published_later(place)


def test_a_sweep_that_does_nothing_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqliteStore, "sweep", lambda *_: 1)
    with pytest.raises(AssertionError):
        LedgerContract().test_sweeping_removes_what_a_dead_run_left(place, durable=True)


def test_a_lock_that_locks_nothing_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqliteStore, "lock", lambda *_: nullcontext())
    with pytest.raises(pytest.fail.Exception, match="two runs hold the lock"):
        LedgerContract().test_a_pipeline_is_locked_by_one_run(place)


def test_held_rows_outside_of_the_commit_are_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqliteTransaction, "hold", nothing)
    with pytest.raises(Exception, match=r"\w"):  # whatever reads no file at all raises
        QuarantineContract().test_held_rows_are_kept_with_the_commit_as_they_were(place)


def test_data_committed_before_the_ledger_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqliteTransaction, "_merge", commit_before_the_ledger)
    contract: Any = type("Contract", (CrashContract,), {"modes": frozenset({"append"})})()
    with pytest.raises(AssertionError):
        contract.test_killed_at_any_step_a_run_is_whole_or_absent_and_the_next_completes_it(place, "append")


def test_a_subclass_must_say_how_its_store_is_opened() -> None:
    fixture: Callable[[StoreContract], Callable[[], Store]] = StoreContract.open_store.__wrapped__  # type: ignore[attr-defined]
    with pytest.raises(NotImplementedError, match="how the store is opened"):
        fixture(StoreContract())
