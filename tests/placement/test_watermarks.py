"""Watermarks that nothing fools: each fault of ``mode: incremental`` on a real server, with writers beside the runs.

Whatever happens in the source between, during and around the runs, the target in the end has what the source has.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import yaml
from tests.conftest import Server
from tests.movers import Movers

from headgate.core.errors import Code

UPSERT = {"connection": "goal", "table": "out", "mode": "upsert", "keys": "id"}
TABLE = "CREATE TABLE t (id bigint PRIMARY KEY, name text, at timestamptz)"
BY_TABLE = {"connection": "shop", "table": "t"}
BY_VALUE = {"connection": "shop", "query": "SELECT * FROM t"}
"""A query has no transaction ids: what is new in it is told by the cursor's values alone."""


def incremental(base: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {**base, "mode": "incremental", "incremental": {"column": "at", "key": "id", **options}}


@pytest.fixture
def shop(movers: Movers) -> Movers:
    movers.shop(TABLE, "INSERT INTO t SELECT g, 'a', now() - interval '1 hour' FROM generate_series(1, 20) g")
    movers.define(source=incremental(BY_TABLE), target=UPSERT)
    return movers


def same(movers: Movers) -> bool:
    select = "SELECT id, name, at FROM {} ORDER BY id"
    return movers.rows(select.format("out")) == movers.rows(select.format("t"), movers.source)


@contextmanager
def writing(movers: Movers, work: Callable[[psycopg.Connection[Any], int, int], None], writers: int) -> Iterator[None]:
    """Writers that call ``work(session, writer, turn)`` again and again meanwhile."""
    stop = threading.Event()

    def write(number: int) -> None:
        with psycopg.connect(movers.source) as session:
            for turn in range(100_000):
                if stop.is_set():
                    return
                work(session, number, turn)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(1, writers + 1)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_rows_that_commit_late_are_read_though_later_ones_were_before(shop: Movers) -> None:
    with psycopg.connect(shop.source) as late:
        late.execute("INSERT INTO t VALUES (100, 'late', now())")
        time.sleep(0.01)
        shop.shop("INSERT INTO t VALUES (101, 'early', now())")
        shop.run()
        late.commit()
    shop.run()
    assert same(shop)


def test_writers_with_savepoints_and_rollbacks_lose_nothing(shop: Movers) -> None:
    chance = random.Random(7)  # noqa: S311 - no secret

    def work(session: psycopg.Connection[Any], number: int, turn: int) -> None:
        key = 1000 * number + turn % 300
        upsert = (
            "INSERT INTO t VALUES (%s, %s, clock_timestamp())"
            " ON CONFLICT (id) DO UPDATE SET name = %s, at = clock_timestamp()"
        )
        session.execute(upsert, (key, f"{turn}", f"{turn}"))
        with session.transaction(force_rollback=chance.random() < 0.3):
            session.execute(upsert, (key + 1, "inner", "inner"))
        time.sleep(chance.random() * 0.01)
        session.commit() if chance.random() < 0.8 else session.rollback()

    with writing(shop, work, writers=3):
        for _ in range(5):
            shop.run()
    shop.run()
    assert same(shop)
    assert shop.run().status.value == "skipped"


@pytest.mark.parametrize("source", [BY_TABLE, BY_VALUE], ids=["table", "query"])
def test_ties_at_the_watermark_are_read_once(shop: Movers, source: dict[str, Any]) -> None:
    shop.write(source=incremental(source), target={"connection": "goal", "table": "out"})
    moment = "2024-01-01 12:00+00"
    shop.shop(f"INSERT INTO t VALUES (200, 'first', '{moment}')", f"UPDATE t SET at = '{moment}'")
    shop.run()
    shop.shop(f"INSERT INTO t VALUES (201, 'same moment', '{moment}')")
    assert shop.run().rows.extracted == 1
    assert same(shop)


def test_a_client_whose_clock_is_slow_loses_no_row(shop: Movers) -> None:
    shop.run()
    shop.shop("INSERT INTO t VALUES (300, 'slow clock', now() - interval '2 days')")
    shop.run()
    assert same(shop)


@pytest.mark.parametrize("source", [BY_TABLE, BY_VALUE], ids=["table", "query"])
@pytest.mark.parametrize(("nulls", "rows"), [("include", 21), ("ignore", 20), ("fail", None)])
def test_rows_without_a_cursor_follow_the_policy(
    shop: Movers, nulls: str, rows: int | None, source: dict[str, Any]
) -> None:
    shop.shop("INSERT INTO t VALUES (400, 'no time', NULL)")
    shop.write(source=incremental(source, nulls=nulls))
    result = shop.attempt()
    if rows is None:
        assert result.error_code is Code.EXTRACTION_FAILED
    else:
        assert shop.rows("SELECT count(*) FROM out") == [(rows,)]


@pytest.mark.parametrize("source", [BY_TABLE, BY_VALUE], ids=["table", "query"])
def test_a_cursor_that_goes_back_takes_the_watermark_nowhere(shop: Movers, source: dict[str, Any]) -> None:
    shop.write(source=incremental(source))
    first = shop.run()
    shop.shop("UPDATE t SET at = at - interval '1 year', name = 'went back' WHERE id <= 19")
    shop.attempt()
    shop.shop("INSERT INTO t VALUES (500, 'new', now())")
    last = shop.run()
    assert last.watermark is not None
    assert first.watermark is not None
    assert last.watermark.after > first.watermark.after
    changed = shop.rows("SELECT count(*) FROM out WHERE name = 'went back'")
    # by transaction ids they are changes like any other; by value alone they lie behind the watermark
    assert changed == [(19 if source is BY_TABLE else 0,)]


@pytest.mark.parametrize("source", [BY_TABLE, BY_VALUE], ids=["table", "query"])
def test_a_cursor_in_the_future_does_not_hide_what_comes_before_it(shop: Movers, source: dict[str, Any]) -> None:
    shop.write(source=incremental(source))
    shop.shop("INSERT INTO t VALUES (600, 'wrong century', '2924-01-01')")
    receipt = shop.run()
    shop.shop("INSERT INTO t VALUES (601, 'today', now())")
    shop.run()
    assert shop.rows("SELECT name FROM out WHERE id = 601") == [("today",)]
    if source is BY_VALUE:
        assert any("1 row lies in the future" in warning for warning in receipt.warnings)
        assert shop.rows("SELECT count(*) FROM out WHERE id = 600") == [(0,)]
        assert shop.run().status.value == "skipped"
        shop.shop("UPDATE t SET at = now() WHERE id = 600")
        shop.run()
    assert same(shop)


def test_a_key_of_two_columns_tells_rows_of_one_moment_apart_however_they_are_cut(movers: Movers) -> None:
    movers.shop(
        "CREATE TABLE t (shop int, nr int, name text, at timestamptz, PRIMARY KEY (shop, nr))",
        "INSERT INTO t SELECT g % 3, g / 3, 'a', timestamptz '2024-01-01' FROM generate_series(1, 20) g",
    )
    cursor = {"column": "at", "key": ["shop", "nr"]}
    source = {**BY_TABLE, "mode": "incremental", "incremental": cursor, "max_records": 7}
    movers.define(source=source, target={"connection": "goal", "table": "out", "mode": "append"})
    loaded = [movers.run().rows.loaded for _ in range(3)]
    movers.shop("INSERT INTO t VALUES (0, 99, 'b', timestamptz '2024-01-01'), (9, 0, 'c', timestamptz '2024-01-02')")
    assert [*loaded, movers.run().rows.loaded] == [7, 7, 6, 2]
    assert movers.run().status.value == "skipped"
    query = "SELECT shop, nr, name FROM {} ORDER BY 1, 2"
    assert movers.rows(query.format("out")) == movers.rows(query.format("t"), movers.source)


@pytest.mark.parametrize("wide", [20_000, 1], ids=["amid the rows", "before the first"])
def test_a_read_that_takes_too_long_ends_with_its_reason_and_loses_nothing(movers: Movers, wide: int) -> None:
    movers.shop("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t SELECT generate_series(1, 400)")
    slow = f"SELECT id, repeat('x', {wide}) AS filling, pg_sleep(0.01)::text AS slept FROM t"
    movers.define(source={"connection": "shop", "query": slow})
    document = yaml.safe_load((movers.root / "headgate.yml").read_text())
    document["connections"]["shop"]["statement_timeout"] = "1s"
    (movers.root / "headgate.yml").write_text(yaml.safe_dump(document))
    failure = movers.attempt().failure
    assert failure is not None
    assert (failure.code, "statement timeout" in failure.message) == (Code.EXTRACTION_FAILED, True)
    assert "statement_timeout" in failure.hint
    assert movers.rows("SELECT to_regclass('out') IS NULL") == [(True,)]
    movers.write()
    assert movers.run().rows.loaded == 400


@pytest.mark.parametrize("base", [BY_TABLE, BY_VALUE], ids=["by transaction ids", "by values"])
def test_nulls_may_become_what_the_refusal_proposes(shop: Movers, base: dict[str, Any]) -> None:
    shop.write(source=incremental(base))
    shop.run()
    shop.shop("INSERT INTO t VALUES (800, 'no time', NULL)")
    failure = shop.attempt().failure
    assert failure is not None
    assert "nulls: include" in failure.hint
    shop.write(source=incremental(base, nulls="include"))
    shop.run()
    assert same(shop)


def test_a_filter_that_changes_is_refused_and_not_read_on_from_the_old_watermark(shop: Movers) -> None:
    shop.write(source={**incremental(BY_TABLE), "where": "id > 10"})
    shop.run()
    shop.write(source=incremental(BY_TABLE))
    failure = shop.attempt().failure
    assert failure is not None
    assert failure.code is Code.STATE_INVALID
    assert "state reset" in failure.hint


def test_a_target_restored_from_a_backup_goes_on_from_where_the_backup_was(
    shop: Movers, postgres_server: Server
) -> None:
    shop.run()
    name = psycopg.conninfo.conninfo_to_dict(shop.target)["dbname"]
    backup = f"{name}_backup"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as session:
        session.execute(f'CREATE DATABASE "{backup}" TEMPLATE "{name}"')
        shop.shop("INSERT INTO t VALUES (700, 'after the backup', now())")
        shop.run()
        session.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        session.execute(f'ALTER DATABASE "{backup}" RENAME TO "{name}"')
    assert not same(shop)
    shop.run()
    assert same(shop)


def test_a_source_restored_from_a_backup_is_told(shop: Movers) -> None:
    """Its transaction ids went back: what was read since is not known, so nothing is guessed."""
    shop.run()
    shop.goal(
        """UPDATE headgate_watermarks SET position = regexp_replace(position, '"xid": ?\\d+', '"xid": 4000000000')"""
    )
    assert shop.attempt().error_code is Code.STATE_INVALID


def test_deleted_rows_stay_until_a_full_read_or_changes_tell(shop: Movers) -> None:
    shop.run()
    shop.shop("DELETE FROM t WHERE id <= 5")
    assert shop.attempt().unwrap().status.value == "skipped"
    assert shop.rows("SELECT count(*) FROM out") == [(20,)]
    shop.run(full_refresh=True)
    assert same(shop)


def test_a_run_that_fails_leaves_the_watermark(shop: Movers) -> None:
    shop.write(quality_rules=[{"type": "range", "column": "id", "max": 1000}])
    shop.run()
    shop.shop("INSERT INTO t VALUES (2000, 'refused', now())")
    assert shop.attempt().error_code is Code.QUALITY_CHECK_FAILED
    shop.shop("DELETE FROM t WHERE id = 2000", "INSERT INTO t VALUES (800, 'good', now())")
    shop.run()
    assert same(shop)


def test_a_cap_is_never_overshot_and_the_rest_is_read_next(shop: Movers) -> None:
    shop.write(source={**incremental(BY_TABLE), "max_records": 7})
    assert [shop.run().rows.extracted for _ in range(3)] == [7, 7, 6]
    assert same(shop)


def test_an_empty_run_leaves_the_watermark(shop: Movers) -> None:
    receipt = shop.run()
    select = "SELECT source, cursor_column, cursor_value, run_id FROM headgate_watermarks"
    before = shop.rows(select)
    assert [(source, column, run) for source, column, _, run in before] == [("t", "at", receipt.run_id)]
    assert shop.run().status.value == "skipped"
    assert shop.rows(select) == before
