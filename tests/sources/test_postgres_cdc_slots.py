"""Replication slots of pipelines that follow changes: made, moved on, lost, and never replaced in silence."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from tests.conftest import Server
from tests.sources.conftest import Database
from tests.sources.follower import Follower, follow, logged_database

from headgate.core.errors import Code, HeadgateError
from headgate.io.postgres import slots
from headgate.sources.postgres import Cdc


@pytest.fixture
def database(postgres_server: Server) -> Iterator[Database]:
    with logged_database(postgres_server) as found:
        yield found


@pytest.fixture
def follower(database: Database) -> Follower:
    return follow(database)


def test_a_slot_that_is_gone_is_told_and_never_replaced_in_silence(follower: Follower) -> None:
    follower.run()
    follower.database.execute(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()"
    )
    with pytest.raises(HeadgateError, match="was dropped") as caught:
        follower.run()
    assert caught.value.code is Code.STATE_INVALID


def test_a_slot_that_the_server_gave_up_is_told_and_never_replaced_in_silence(follower: Follower) -> None:
    follower.run()
    follower.database.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'", "SELECT pg_reload_conf()")
    try:
        for turn in range(4):
            follower.database.execute(f"INSERT INTO t VALUES ({10 + turn}, 'x', 1)", "SELECT pg_switch_wal()")
        follower.database.execute("CHECKPOINT")
    finally:
        follower.database.execute("ALTER SYSTEM RESET max_slot_wal_keep_size", "SELECT pg_reload_conf()")
    with pytest.raises(HeadgateError, match="fell too far behind") as refused:
        follower.run()
    assert refused.value.code is Code.STATE_INVALID
    assert "--full-refresh" in refused.value.hint
    follower.position = None
    follower.run()
    assert follower.agrees()


def test_a_first_run_that_never_published_is_begun_anew(follower: Follower) -> None:
    follower.run(acknowledge=False)
    follower.position, follower.rows = None, {}
    follower.database.execute("DELETE FROM t WHERE id = 1")
    assert len(follower.run()) == 2
    assert follower.agrees()


def test_a_slot_moves_on_with_the_position_though_only_other_tables_change(follower: Follower) -> None:
    """It is never ahead of what the target has: a slot that is, was read by somebody else."""
    follower.run()
    first = follower.position
    assert first is not None
    follower.database.execute("CREATE TABLE other (x int)", "INSERT INTO other SELECT generate_series(1, 1000)")
    assert follower.run() == []
    assert follower.position == first, "so little log may wait"
    follower.database.execute(
        *["INSERT INTO other SELECT generate_series(1, 100000)"] * 3,
        "SELECT pg_switch_wal()",
        "INSERT INTO other VALUES (1)",
    )
    assert follower.run() == []
    with psycopg.connect(follower.database.url) as session:
        slot = session.execute(
            "SELECT slot_name, confirmed_flush_lsn::text FROM pg_replication_slots WHERE database = current_database()"
        ).fetchone()
    assert slot is not None
    assert slots.number(slot[1]) == follower.position["lsn"] > first["lsn"]
    follower.database.execute("INSERT INTO t VALUES (60, 'x', 1)")
    assert follower.run() == ["60"]


def test_the_note_tells_how_healthy_the_slot_is(follower: Follower) -> None:
    follower.run()
    follower.database.execute("INSERT INTO t VALUES (61, 'x', 1)")
    window = follower.window()
    assert window is not None
    assert "1 changes" in window.note
    assert "reserved" in window.note


def test_two_pipelines_have_a_slot_each(follower: Follower) -> None:
    other = Follower(follower.database)
    other.context = replace(other.context, pipeline="other")
    follower.run()
    other.run()
    follower.database.execute("INSERT INTO t VALUES (70, 'x', 1)")
    assert follower.run() == other.run() == ["70"]


def test_a_trial_leaves_no_slot(follower: Follower) -> None:
    source = follower.database.open()
    context = replace(follower.context, trial=True)
    window = source.probe(follower.read, context, None)
    assert window is not None
    scan = source.scan(follower.read, context, window)
    assert scan.batches is not None
    assert scan.batches.read_all().num_rows == 3
    scan.close()
    source.close()
    with psycopg.connect(follower.database.url) as session:
        assert session.execute(
            "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"
        ).fetchone() == (0,)


def test_names_of_slots_are_what_the_server_allows() -> None:
    assert slots.slot_name(("My Shop", "täglich", "public.Orders")).startswith(
        "headgate_my_shop_t_glich_public_orders_"
    )
    assert len(slots.slot_name(("x" * 99, "y", "z"))) <= slots.LONGEST
    with pytest.raises(ValueError, match="pattern"):
        Cdc(slot="Robert'); DROP TABLE t")


@pytest.fixture
def named(follower: Follower, postgres_server: Server) -> Iterator[Follower]:
    """Follows by a slot of its own name, in a history; its first run was killed."""
    notes: dict[str, Any] = {}
    found = Follower(follower.database, cdc=Cdc(slot=f"own_{secrets.token_hex(4)}"))
    found.context = replace(found.context, note=notes.__setitem__, noted=notes.get)
    found.run(acknowledge=False)
    found.position, found.rows = None, {}
    yield found
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as session:
        session.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s",
            (slot_of(found),),
        )


def slot_of(follower: Follower) -> str:
    assert follower.read.cdc is not None
    assert follower.read.cdc.slot is not None
    return follower.read.cdc.slot


def test_a_slot_of_a_name_that_a_killed_run_made_is_made_anew(named: Follower) -> None:
    named.database.execute("DELETE FROM t WHERE id = 1")
    assert len(named.run()) == 2
    named.database.execute("INSERT INTO t VALUES (80, 'x', 1)")
    assert named.run() == ["80"]
    assert named.agrees()


@pytest.mark.parametrize(
    "meanwhile",
    [
        ("SELECT pg_replication_slot_advance('{slot}', pg_current_wal_lsn())",),
        (
            "SELECT pg_drop_replication_slot('{slot}')",
            "SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')",
        ),
    ],
    ids=["read", "made anew"],
)
def test_a_slot_that_was_read_or_made_by_others_meanwhile_is_theirs(
    named: Follower, meanwhile: tuple[str, ...]
) -> None:
    named.database.execute("INSERT INTO t VALUES (81, 'x', 1)")
    named.database.execute(*(statement.format(slot=slot_of(named)) for statement in meanwhile))
    with pytest.raises(HeadgateError, match="somebody may read it") as refused:
        named.run()
    assert refused.value.code is Code.UNSUPPORTED


def test_a_slot_of_a_name_is_anybodys_where_the_history_was_lost(named: Follower) -> None:
    named.context = replace(named.context, noted=lambda _name: None)
    with pytest.raises(HeadgateError, match="somebody may read it"):
        named.run()
