"""Slots and roles as people make, share, lose and forget them: what a run says, and that nothing is lost in silence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from tests.conftest import Server, running_server
from tests.followed import Followed, following

CDC = {"connection": "shop", "table": "t", "mode": "cdc"}


def named(followed: Followed, slot: str, **others: Any) -> None:
    followed.define(source={**CDC, "cdc": {"slot": slot}}, target=followed.pipeline["target"], **others)


def test_a_slot_that_was_dropped(followed: Followed) -> None:
    assert followed.go().status == 0
    followed.shop("DELETE FROM t WHERE id = 1", f"SELECT pg_drop_replication_slot('{followed.slots()[0][0]}')")
    told = followed.refused("STATE_INVALID", "was dropped", status=1)
    assert "--full-refresh" in told.hint
    followed.anew()


def test_a_slot_that_was_dropped_and_made_again(followed: Followed) -> None:
    assert followed.go().status == 0
    name = followed.slots()[0][0]
    followed.shop(
        "DELETE FROM t WHERE id = 1",
        f"SELECT pg_drop_replication_slot('{name}')",
        f"SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')",
        "DELETE FROM t WHERE id = 2",
    )
    told = followed.refused("STATE_INVALID", "stands at", status=1)
    assert "--full-refresh" in told.hint
    followed.anew()


def test_a_slot_that_somebody_else_read(followed: Followed) -> None:
    """Also another target of the same project: each needs a slot of its own."""
    assert followed.go().status == 0
    name = followed.slots()[0][0]
    publication = followed.rows("SELECT pubname FROM pg_publication", followed.source)[0][0]
    followed.shop(
        "DELETE FROM t WHERE id = 1",
        f"SELECT count(*) FROM pg_logical_slot_get_binary_changes('{name}', NULL, NULL, 'proto_version', '1',"
        f" 'publication_names', '{publication}')",
        "DELETE FROM t WHERE id = 2",
    )
    told = followed.refused("STATE_INVALID", "somebody else read the slot", status=1)
    assert "a slot of its own" in told.hint
    followed.anew()


def test_a_slot_that_the_server_gave_up(followed: Followed) -> None:
    assert followed.go().status == 0
    followed.shop("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'", "SELECT pg_reload_conf()")
    try:
        for turn in range(4):
            followed.shop(f"INSERT INTO t VALUES ({1000 + turn}, 'x', 1)", "SELECT pg_switch_wal()")
        followed.shop("CHECKPOINT")
    finally:
        followed.shop("ALTER SYSTEM RESET max_slot_wal_keep_size", "SELECT pg_reload_conf()")
    told = followed.refused("STATE_INVALID", "the server gave up its changes", status=1)
    assert "max_slot_wal_keep_size" in told.hint
    followed.anew()


def test_a_slot_that_another_session_reads(followed: Followed) -> None:
    assert followed.go().status == 0
    name = followed.slots()[0][0]
    followed.shop("DELETE FROM t WHERE id = 1")
    with closing(psycopg.connect(followed.source + "&replication=database", autocommit=True)) as other:
        publication = followed.rows("SELECT pubname FROM pg_publication", followed.source)[0][0]
        other.pgconn.send_query(
            f"START_REPLICATION SLOT {name} LOGICAL 0/0 (proto_version '1', publication_names '{publication}')".encode()
        )
        while not followed.rows(
            f"SELECT 1 FROM pg_replication_slots WHERE active AND slot_name = '{name}'", followed.source
        ):
            pass
        told = followed.refused("CONFLICT", "somebody else reads", status=1)
        assert "slot of its own" in told.hint
        followed.refused("CONFLICT", "somebody else reads", status=1, options=("--full-refresh",))
    while followed.rows(f"SELECT 1 FROM pg_replication_slots WHERE active AND slot_name = '{name}'", followed.source):
        pass
    assert followed.go().status == 0
    assert followed.same()


@pytest.mark.parametrize("plugin", ["pgoutput", "physical"])
def test_a_first_run_drops_no_slot_of_somebody_else(followed: Followed, plugin: str) -> None:
    """A slot of the configured name is theirs until they say that nobody needs it."""
    name = "theirs_" + followed.rows("SELECT current_database()", followed.source)[0][0]
    kind = "physical" if plugin == "physical" else "logical"
    arguments = f"'{name}'" if plugin == "physical" else f"'{name}', '{plugin}'"
    followed.shop(f"SELECT pg_create_{kind}_replication_slot({arguments})")
    named(followed, name)
    try:
        told = followed.refused("UNSUPPORTED", f'there is a replication slot "{name}" already', status=2)
        assert f"pg_drop_replication_slot('{name}')" in told.hint
        followed.refused("UNSUPPORTED", "already", status=2, options=("--full-refresh",))
    finally:
        followed.shop(f"SELECT pg_drop_replication_slot('{name}')")
    assert followed.go().status == 0
    followed.anew()


def test_two_pipelines_cannot_share_a_slot(followed: Followed) -> None:
    named(followed, "shared_" + followed.rows("SELECT current_database()", followed.source)[0][0])
    assert followed.go().status == 0
    before = followed.slots()
    text = (
        (followed.root / "headgate.yml").read_text().replace("  load:", "  other:").replace("table: out", "table: out2")
    )
    (followed.root / "headgate.yml").write_text(text)
    told = followed.headgate("run", "other")
    assert (told.status, told.error) == (2, "UNSUPPORTED")
    assert followed.slots() == before


def test_a_first_run_that_failed_is_tried_again_with_a_slot_of_the_configured_name(followed: Followed) -> None:
    """It is a remainder of the same run's first attempt."""
    named(
        followed,
        "mine_" + followed.rows("SELECT current_database()", followed.source)[0][0],
        error_handling={"retry": {"max_attempts": 3, "base": "100ms"}},
    )
    followed.goal("CREATE TABLE out (id int PRIMARY KEY, name text, n numeric(12,2))")
    with psycopg.connect(followed.target) as other:
        other.execute("LOCK TABLE out IN EXCLUSIVE MODE")
        waiting_little(followed, "goal")
        told = followed.go()
    assert (told.status, told.error) == (1, "CONFLICT"), told
    assert "lock timeout" in told.text


def waiting_little(followed: Followed, connection: str) -> None:
    """Its sessions wait a fifth of a second for locks."""
    file = followed.root / "headgate.yml"
    document = yaml.safe_load(file.read_text())
    document["connections"][connection]["lock_timeout"] = "200ms"
    file.write_text(yaml.safe_dump(document))


def test_a_transaction_that_keeps_the_first_run_waiting(followed: Followed) -> None:
    """A slot begins where no older transaction is open, in any database of the server."""
    waiting_little(followed, "shop")
    with psycopg.connect(followed.target) as other:
        other.execute("CREATE TABLE somewhere (id int)")
        told = followed.refused("CONFLICT", "once every transaction that was open has ended", status=1)
        assert "pg_stat_activity" in told.hint
    assert followed.go().status == 0
    assert followed.same()


def test_another_slot_than_before(followed: Followed) -> None:
    assert followed.go().status == 0
    (before, _), database = followed.slots()[0], followed.rows("SELECT current_database()", followed.source)[0][0]
    named(followed, f"another_{database}")
    told = followed.refused("STATE_INVALID", f'the last run read the slot "{before}"', status=1)
    assert f"pg_drop_replication_slot('{before}')" in told.hint
    followed.anew()


def test_a_slot_of_the_configured_name_that_an_earlier_first_run_left(followed: Followed) -> None:
    """The first run ended without a commit, in a program of its own: the history knows its slot."""
    slot = "left_" + followed.rows("SELECT current_database()", followed.source)[0][0]
    never = [{"type": "row_count", "min": 10_000, "on_fail": "fail"}]
    named(followed, slot, quality_rules=never)
    assert followed.go().status != 0
    before = followed.slots()
    assert [name for name, _ in before] == [slot]
    followed.shop("DELETE FROM t WHERE id = 1")
    named(followed, slot)
    assert followed.go().status == 0
    assert followed.slots() != before
    assert followed.same()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Followed]:
    """The source is on a server with a single slot."""
    with running_server("max_replication_slots = 1\n") as server:
        yield from following(tmp_path, (server, server))


def test_a_server_without_a_free_slot(small: Followed) -> None:
    small.shop("SELECT pg_create_logical_replication_slot('theirs', 'pgoutput')")
    told = small.refused("EXTRACTION_FAILED", "all replication slots are in use", status=1)
    assert "max_replication_slots" in told.hint
    small.shop("SELECT pg_drop_replication_slot('theirs')")
    assert small.go().status == 0
    small.anew()


def test_a_server_that_keeps_no_changes(tmp_path: Path) -> None:
    with running_server("wal_level = replica\n") as server:
        for followed in following(tmp_path, (server, server)):
            told = followed.refused("UNSUPPORTED", "wal_level is replica", status=2)
            assert "wal_level = logical" in told.hint


def as_role(followed: Followed, server: Server, role: str) -> None:
    """The source is read by a role that may do little."""
    database = followed.rows("SELECT current_database()", followed.source)[0][0]
    owner, followed.source = followed.source, server.url(database, user=role)
    followed.write()
    followed.source = owner


@pytest.fixture
def role(postgres_server: Server) -> Iterator[str]:
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as session:
        session.execute("CREATE ROLE follower LOGIN")
        yield "follower"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as session:
        session.execute("DROP ROLE follower")


def test_a_role_gets_what_it_lacks_one_after_the_other(followed: Followed, postgres_server: Server, role: str) -> None:
    as_role(followed, postgres_server, role)
    try:
        told = followed.refused("EXTRACTION_FAILED", "permission denied for table t", status=1)
        assert "grant" in told.hint
        followed.shop(f"GRANT SELECT ON t TO {role}")
        told = followed.refused("UNSUPPORTED", "this role may not publish the table", status=2)
        followed.shop(told.hint.partition("let the owner run: ")[2].strip())
        told = followed.refused("AUTHENTICATION_FAILED", "permission denied to start WAL sender", status=1)
        assert "REPLICATION" in told.hint
        followed.shop(f"ALTER ROLE {role} REPLICATION")
        assert followed.go().status == 0
        assert followed.same()
        followed.shop("DELETE FROM t WHERE id = 1")
        assert followed.go().status == 0
        assert followed.same()

        followed.shop(f"ALTER ROLE {role} NOREPLICATION", "DELETE FROM t WHERE id = 2")
        told = followed.refused("AUTHENTICATION_FAILED", "permission denied to use replication slots", status=1)
        assert "REPLICATION" in told.hint
        followed.shop(f"ALTER ROLE {role} REPLICATION", f"REVOKE SELECT ON t FROM {role}")
        followed.refused("EXTRACTION_FAILED", "permission denied for table t", status=1)
        followed.shop(f"GRANT SELECT ON t TO {role}")
        assert followed.go().status == 0
        assert followed.same()
    finally:
        followed.shop(f"DROP OWNED BY {role}")


def test_a_role_from_which_row_security_hides_rows(followed: Followed, postgres_server: Server, role: str) -> None:
    as_role(followed, postgres_server, role)
    followed.shop(
        f"ALTER ROLE {role} REPLICATION", f"GRANT SELECT ON t TO {role}", "ALTER TABLE t ENABLE ROW LEVEL SECURITY"
    )
    try:
        told = followed.refused("UNSUPPORTED", "row security hides rows", status=2)
        assert "BYPASSRLS" in told.hint
    finally:
        followed.shop(f"DROP OWNED BY {role}")


def test_position_and_slot_move_on_together_while_only_other_tables_change(followed: Followed) -> None:
    """Without a run of rules, which would ask what is not there."""
    followed.define(source=CDC, target=followed.pipeline["target"], rules=[{"type": "row_count", "min": 1}])
    assert followed.go().status == 0
    first = followed.slots()
    followed.shop("CREATE TABLE other (x int)", "INSERT INTO other VALUES (1)")
    assert "skipped" in followed.go().out
    assert followed.slots() == first
    followed.shop(*["INSERT INTO other SELECT generate_series(1, 100000)"] * 3)
    assert followed.headgate("plan", "load").status == 0
    assert followed.slots() == first, "looking moves nothing"
    assert "skipped" in followed.go().out
    assert followed.slots() != first
    position = followed.rows("SELECT m::text FROM headgate_watermarks m")[0][0]
    assert followed.slots()[0][1] in position
    followed.shop("DELETE FROM t WHERE id = 1")
    assert followed.go().status == 0
    assert followed.same()


@pytest.mark.parametrize("own", [True, False], ids=["own slot", "named slot"])
def test_after_a_reset_the_snapshot_takes_away_what_was_deleted_meanwhile(followed: Followed, own: bool) -> None:
    """The log of what was deleted is given up with the position, and the slot made anew in its place."""
    if not own:
        named(followed, "kept_" + followed.rows("SELECT current_database()", followed.source)[0][0])
    assert followed.go().status == 0
    (slot,) = followed.slots()
    followed.shop("DELETE FROM t WHERE id <= 10", "UPDATE t SET n = 0 WHERE id = 11")
    assert followed.headgate("state", "reset", "load").status == 0
    assert "reset by hand" in followed.headgate("state", "show").out
    assert "everything in one snapshot" in followed.headgate("plan", "load").out
    assert followed.run(limit=5).rows.extracted == 5
    receipt = followed.run()
    assert (receipt.rows.extracted, [each.deleted for each in receipt.targets]) == (90, [10])
    assert followed.same()
    assert [name for name, _ in followed.slots()] == [slot[0]]
    followed.shop("DELETE FROM t WHERE id = 12")
    assert followed.go().status == 0
    assert followed.same()
    assert "reset by hand" not in followed.headgate("state", "show").out


def test_a_first_run_leaves_rows_alone_that_were_in_the_target_before(followed: Followed) -> None:
    followed.goal("CREATE TABLE out (id int PRIMARY KEY, name text, n numeric(12,2))", "INSERT INTO out VALUES (-1)")
    assert followed.go().status == 0
    assert followed.rows("SELECT count(*) FROM out") == [(101,)]


def test_after_a_reset_versions_end_of_rows_that_were_deleted_meanwhile(followed: Followed) -> None:
    followed.define(source=CDC, target={"connection": "goal", "table": "out", "mode": "scd2", "keys": "id"})
    assert followed.go().status == 0
    followed.shop("DELETE FROM t WHERE id <= 10")
    assert followed.headgate("state", "reset", "load").status == 0
    assert followed.go().status == 0
    assert followed.rows("SELECT count(*) FROM out WHERE is_current") == [(90,)]
    assert followed.rows("SELECT count(*) FROM out") == [(100,)]


def test_after_a_reset_an_empty_snapshot_needs_to_be_meant(followed: Followed) -> None:
    assert followed.go().status == 0
    followed.shop("DELETE FROM t")
    assert followed.headgate("state", "reset", "load").status == 0
    told = followed.refused("LOAD_EXECUTION_FAILED", "replace what is there by nothing", status=1)
    assert "allow_empty" in told.hint
    followed.define(source=CDC, target={**followed.pipeline["target"], "allow_empty": True})
    assert followed.go().status == 0
    assert followed.same()
