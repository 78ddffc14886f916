"""PostgreSQL when a transaction cannot end as it should: whatever happened, the answer is the truth."""

from __future__ import annotations

import logging
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.conftest import Server
from tests.network import Proxy

from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError
from headgate.core.events import Emitter, Event, Phase, Step
from headgate.core.secrets import Secret
from headgate.io.postgres import Statements, connect
from headgate.targets import postgres
from headgate.targets.postgres import sessions
from headgate.targets.postgres.transaction import PostgresTransaction
from headgate.testing.place import Place, entry, load, record, rows, stage
from headgate.testing.rows import read_all
from headgate.testing.store_quarantine import held_file


@pytest.fixture
def connection(postgres_url: str) -> postgres.Connection:
    return postgres.Connection(url=Secret(postgres_url))


@pytest.fixture
def place(connection: postgres.Connection, tmp_path: Path) -> Iterator[Place]:
    place = Place(lambda: postgres.open_store("dw", connection, tmp_path), tmp_path / "_runs")
    place.run(1, [(load("t"), rows((1, "a")))])
    yield place
    place.close()


@pytest.fixture
def proxy(postgres_server: Server) -> Iterator[Proxy]:
    proxy = Proxy(postgres_server.socket)
    yield proxy
    proxy.close()


@pytest.fixture
def far(postgres_url: str, proxy: Proxy) -> postgres.Connection:
    """The same database behind the proxy."""
    database = re.sub(r".*/(\w+)\?.*", r"\1", postgres_url)
    return postgres.Connection(
        host="127.0.0.1", port=proxy.port, database=database, username="postgres", sslmode="disable"
    )


@pytest.fixture
def cut(far: postgres.Connection, tmp_path: Path) -> Iterator[Place]:
    cut = Place(lambda: postgres.open_store("dw", far, tmp_path), tmp_path / "_cut")
    yield cut
    cut.close()


def begun(place: Place, number: int = 2, **options: Any) -> tuple[Any, PostgresTransaction]:
    claim, transaction = place.begin(place.store(), f"run-{number}", number, **options)
    assert isinstance(transaction, PostgresTransaction)
    return claim, transaction


def before_commit(action: Callable[[], object]) -> Callable[[Event], None]:
    def listen(event: Event) -> None:
        if (event.step, event.phase) == (Step.COMMIT, Phase.BEFORE):
            action()

    return listen


def test_a_commit_that_a_deferred_constraint_refuses_publishes_nothing(place: Place, postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as session:
        session.execute("ALTER TABLE t ADD UNIQUE (id) DEFERRABLE INITIALLY DEFERRED")
    claim, transaction = begun(place)
    stage(transaction, [(load("t"), rows((1, "again")))])
    with pytest.raises(HeadgateError, match="duplicate key") as refusal:
        transaction.publish(record(claim))
    assert refusal.value.code is Code.DUPLICATE_KEYS
    transaction.rollback()
    assert place.pairs("t") == [(1, "a")]
    assert place.published(2) is None


def test_a_server_that_answers_rollback_to_commit_is_not_believed(place: Place) -> None:
    """It does so where a statement failed before whose error nobody heard."""
    found: list[PostgresTransaction] = []

    def fail() -> None:
        with suppress(psycopg.Error):
            found[0]._open().execute("SELECT 1 / 0")

    claim, transaction = begun(place, listeners=[before_commit(fail)])
    found.append(transaction)
    stage(transaction, [(load("t"), rows((2, "b")))])
    with pytest.raises(FatalError, match="the server answered ROLLBACK to COMMIT"):
        transaction.publish(record(claim))
    transaction.rollback()
    assert place.pairs("t") == [(1, "a")]


@pytest.mark.parametrize("after", [True, False])
def test_a_lost_answer_to_commit_is_asked_after(place: Place, cut: Place, proxy: Proxy, after: bool) -> None:
    claim, transaction = begun(cut)
    stage(transaction, [(load("t"), rows((2, "b")))])
    proxy.trigger, proxy.after = b"COMMIT\0", after
    if after:
        assert transaction.publish(record(claim))[0].inserted == 1
    else:
        with pytest.raises(RetriableError, match="the server says that it did not happen"):
            transaction.publish(record(claim))
    transaction.rollback()
    assert place.pairs("t") == [(1, "a"), (2, "b")][: 1 + after]


def test_where_nobody_can_be_asked_the_outcome_is_unknown(cut: Place, far: postgres.Connection, proxy: Proxy) -> None:
    claim, _ = begun(cut)
    proxy.close()
    with pytest.raises(FatalError) as unknown:
        sessions.was_published(far, claim, patience=0.3)
    assert unknown.value.code is Code.OUTCOME_UNKNOWN


def test_a_session_that_does_not_end_may_still_commit(place: Place, connection: postgres.Connection) -> None:
    """Its process stands still, as on a machine that hangs."""
    claim, transaction = begun(place)
    session = connect(connection)
    (pid,) = sessions.holders(Statements(session), sessions.run_lock(claim.key, claim.run_id))
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(FatalError) as unknown:
            sessions.was_published(connection, claim, patience=0)
        assert unknown.value.code is Code.OUTCOME_UNKNOWN
    finally:
        os.kill(pid, signal.SIGCONT)
        session.close()
    transaction.rollback()
    assert sessions.was_published(connection, claim) is False


def test_a_network_that_is_gone_is_no_newer_run(place: Place, cut: Place, proxy: Proxy) -> None:
    _, transaction = begun(cut)
    proxy.close()
    with pytest.raises(RetriableError) as broken:
        stage(transaction, [(load("t"), rows((2, "b")))])
    assert broken.value.code is Code.CONNECTION_FAILED
    transaction.rollback()
    assert place.pairs("t") == [(1, "a")]


def test_a_newer_run_that_took_over_is_told_as_such(place: Place) -> None:
    _, transaction = begun(place)
    place.run(3, [(load("t"), rows((3, "c")))])
    with pytest.raises(HeadgateError) as refusal:
        stage(transaction, [(load("t"), rows((2, "b")))])
    assert refusal.value.code is Code.FENCED
    transaction.rollback()
    assert place.pairs("t") == [(1, "a"), (3, "c")]


def test_a_conflict_at_the_ledger_may_be_tried_again(place: Place, postgres_url: str) -> None:
    """Another session keeps the ledger locked longer than ours waits."""
    claim, transaction = begun(place)
    stage(transaction, [(load("t"), rows((2, "b")))])
    transaction._open().execute("SET LOCAL lock_timeout = '100ms'")
    with psycopg.connect(postgres_url) as other:
        other.execute("LOCK TABLE headgate_runs IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(RetriableError) as conflict:
            transaction.publish(record(claim))
    assert conflict.value.code is Code.CONFLICT
    transaction.rollback()
    assert place.pairs("t") == [(1, "a")]


def test_only_what_was_staged_durably_can_be_parked(place: Place) -> None:
    claim, transaction = begun(place)
    with pytest.raises(FatalError, match="cannot outlive it"):
        transaction.park(record(claim))
    transaction.rollback()
    claim, durable = begun(place, 3, durable=True)
    stage(durable, [(load("t"), rows((3, "c")))])
    durable.hold(entry(), held_file(place))
    durable.park(record(claim, quarantine=(entry(),)))
    durable.rollback()
    assert place.pairs("t") == [(1, "a")]
    store = place.store()
    claim = store.claim(claim.key, "run-4", claim.execution_id)
    found = store.resume(claim, "run-3", Emitter(), place.folder())
    assert found is not None
    found[0].publish(record(claim, quarantine=(entry(),)))
    assert place.pairs("t") == [(1, "a"), (3, "c")]
    assert [held.id for held in store.quarantine(claim.key.project)] == ["q1"]


def test_what_was_staged_durably_and_cannot_be_removed_is_told(
    place: Place, cut: Place, proxy: Proxy, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    _, transaction = begun(cut, durable=True)
    stage(transaction, [(load("t"), rows((2, "b")))])
    proxy.close()
    with caplog.at_level(logging.WARNING):
        transaction.rollback()
    assert "stays until the next run sweeps it" in caplog.text
    _, again = begun(place, 3, durable=True)
    stage(again, [(load("t"), rows((3, "c")))])
    again.rollback()
    with psycopg.connect(postgres_url) as session:
        staged = session.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'headgate_stage_%'").fetchall()
    assert staged == [(1,)], "what the second run staged is gone"


def test_a_running_copy_that_cannot_be_cancelled_ends_with_its_session(
    place: Place, cut: Place, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    _, transaction = begun(cut)
    writer = transaction.stage(load("t"))
    writer.write(rows((2, "b")).combine_chunks().to_batches()[0])
    proxy.close()
    with caplog.at_level(logging.DEBUG, "headgate.postgres"):
        transaction.rollback()
    assert "could not be cancelled" in caplog.text
    assert place.pairs("t") == [(1, "a")]


def test_repeated_values_are_looked_for_in_tables_that_the_run_does_not_write(place: Place) -> None:
    claim, transaction = begun(place)
    stage(transaction, [(load("u"), rows((5, "x"), (5, "y"))), (load("v"), rows((6, "z")))])
    assert transaction.duplicates("t", ["id"]) == (0, 1)
    assert transaction.duplicates("v", ["id"]) == (0, 1)
    assert transaction.duplicates("u", ["id"]) == (2, 2)
    assert read_all(transaction.preview("v", ["id"])).to_pylist() == [{"id": "6"}]
    transaction.hold(entry(), held_file(place))
    transaction.publish(record(claim, quarantine=(entry(),)))
    with pytest.raises(FatalError, match="the transaction has ended"):
        transaction.stage(load("w"))
