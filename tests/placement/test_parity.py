"""The same pipeline and data through every place that is possible: the same rows, counts and receipt."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from tests.movers import Movers

COLUMNS = (
    "id int, small smallint, big bigint, price numeric(15,2), loose numeric, flag boolean, real real, double float8,"
    " name text, code varchar(10), fixed char(5), day date, at timestamp, zoned timestamptz, clock time, data bytea,"
    " ref uuid, doc json, tags text[]"
)
ROWS = r"""
(1, 1, 1, 1.10, 1.5, true, 1.5, 2.5, 'Ann', 'a', 'ab', '2024-01-31', '2024-01-31 10:00:00.123456',
 '2024-01-31 10:00+02', '10:00', '\x00ff', '00000000-0000-0000-0000-000000000001', '{"a": 1}', '{a,NULL}'),
(2, -1, -9223372036854775808, -0.01, 0, false, 'NaN', 'Infinity', '', '', '', '0001-01-01', '1900-01-01',
 '1900-01-01 00:00+00', '00:00', '', NULL, '[]', '{}'),
(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(4, 32767, 9223372036854775807, 9999999999999.99, 12345.0000000001, true, '-0', '-0',
 E'tab\tnew\nline \\ "q"', 'é😀', ' x', '9999-12-31', '9999-12-31 23:59:59.999999',
 '9999-12-31 23:59:59.999999+00', '23:59:59.999999', '\xdeadbeef', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '"x"',
 '{"a b",""}')
"""


@pytest.fixture
def filled(movers: Movers) -> Movers:
    movers.shop(f"CREATE TABLE t ({COLUMNS})", f"INSERT INTO t VALUES {ROWS}")
    return movers


@pytest.fixture
def undecoded(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No run of the test gave up moving and let the engine do it."""
    with caplog.at_level(logging.INFO, "headgate.move"):
        yield
    assert not caplog.get_records("call")


def same(movers: Movers, engines: Sequence[str], *, before: Sequence[str] = (), **options: Any) -> Any:
    """The outcome, once it is the same everywhere."""
    expected = movers.outcome("duckdb", before, **options)
    for engine in engines:
        assert movers.outcome(engine, before, **options) == expected
    return expected


@pytest.mark.usefixtures("undecoded")
def test_every_type_arrives_as_the_engine_would_write_it(filled: Movers) -> None:
    found = same(filled.define(), ["auto", "relay", "source"])
    assert found.receipt["rows"]["loaded"] == 4
    assert filled.plan().placement.place == "relay"


@pytest.mark.usefixtures("undecoded")
def test_into_a_table_that_is_there(filled: Movers) -> None:
    filled.define(
        source={"connection": "shop", "table": "t", "columns": ["id", "small", "code", "price", "ref", "name"]}
    )
    table = (
        "CREATE TABLE out (name varchar(40), small bigint, id numeric(20,0), price numeric, code char(10), ref uuid)"
    )
    found = same(filled, ["auto", "source"], before=[table, "INSERT INTO out (id) VALUES (77)"])
    assert found.receipt["rows"]["inserted"] == 4
    assert len(found.rows) == 5


STEPS: list[dict[str, Any]] = [
    {"type": "filter", "condition": "id IS NOT NULL AND price < 100000"},
    {
        "type": "calculate",
        "columns": {
            "gross": "price * 1.19",
            "net": "price / 4 + double",
            "next": "big - 1 + small",
            "later": "day + 1",
            "shift": "CASE WHEN flag THEN small ELSE id END",
            "label": "name || '/' || code",
            "long": "length(name) > 2",
            "first": "date_trunc('month', at)",
            "on_day": "CAST(at AS DATE)",
            "about": "COALESCE(loose, 0)",
        },
    },
    {"type": "rename", "columns": {"clock": "daytime"}},
]
RULES: list[dict[str, Any]] = [
    {"type": "not_null", "columns": ["id"]},
    {"type": "range", "column": "small", "min": 0, "severity": "warning"},
    {"type": "accepted_values", "column": "name", "values": ["Ann", ""]},
    {"type": "expression", "condition": "gross >= price", "severity": "info"},
    {"type": "unique", "columns": ["id"]},
    {"type": "row_count", "min": 1, "max": 10},
]


@pytest.mark.usefixtures("undecoded")
def test_filters_expressions_and_rules_give_the_same_rows_and_counts(filled: Movers) -> None:
    filled.shop("DELETE FROM t WHERE big < 0")
    found = same(filled.define(STEPS, RULES), ["auto", "source"])
    assert filled.plan().placement.place == "source", filled.plan().placement.reason
    assert found.receipt["rows"]["filtered"] == 2
    assert found.receipt["status"] == "success"


def test_a_broken_rule_refuses_the_run_with_the_same_words_and_evidence(filled: Movers) -> None:
    rules = [{"type": "range", "column": "small", "min": 0}, {"type": "row_count", "min": 9, "severity": "warning"}]
    found = same(filled.define([], rules), ["auto", "source"])
    assert found.receipt["status"] == "refused"
    assert "first id=2" in found.receipt["error"]["message"]


BEYOND = [("price", "'NaN'"), ("loose", "'Infinity'"), ("day", "'infinity'"), ("at", "'-infinity'")]
"""Values of PostgreSQL's that the engine could not hold."""


@pytest.mark.parametrize(("column", "value"), [*BEYOND, ("loose", "0.12345678901")])
@pytest.mark.parametrize("asks", ["a step", "a rule"])
def test_a_value_that_the_engine_cannot_hold_ends_the_same_way_where_something_looks_at_rows(
    filled: Movers, column: str, value: str, asks: str
) -> None:
    filled.shop(f"UPDATE t SET {column} = {value} WHERE id = 4")
    steps: list[Any] = [{"type": "filter", "condition": "small IS NULL OR small < 40000"}]
    rules: list[Any] = [{"type": "range", "column": "small", "max": 40000}]
    for handling in ("fail", "quarantine"):
        filled.define(
            steps if asks == "a step" else [],
            rules if asks == "a rule" else [],
            error_handling={"on_row_error": handling},
        )
        same(filled, ["auto", "source"])


@pytest.mark.parametrize(("column", "value"), [pair for pair in BEYOND if pair[0] != "loose"])
@pytest.mark.parametrize(("engine", "mode"), [("relay", "append"), ("auto", "overwrite"), ("source", "append")])
@pytest.mark.usefixtures("undecoded")
def test_where_nothing_looks_at_it_such_a_value_is_carried_as_it_is(
    filled: Movers, column: str, value: str, engine: str, mode: str
) -> None:
    filled.shop(f"UPDATE t SET {column} = {value} WHERE id = 4")
    filled.define(
        [{"type": "rename", "columns": {"clock": "daytime"}}] if engine == "source" else [],
        [{"type": "row_count", "min": 4}],
        target={"connection": "goal", "table": "out", "mode": mode},
    )
    assert filled.outcome(engine).receipt["rows"]["loaded"] == 4
    assert filled.rows(f"SELECT {column} = {value} FROM out WHERE id = 4") == [(True,)]


def test_a_numeric_without_a_scale_is_refused_where_its_column_would_round_it(filled: Movers) -> None:
    for value in ("'Infinity'", "'NaN'", "0.12345678901"):
        filled.shop(f"UPDATE t SET loose = {value} WHERE id = 4")
        found = same(filled.define(), ["auto", "source"])
        assert found.receipt["status"] == "failed"


@pytest.mark.parametrize("decides", ["keys", "cursor", "partition"])
def test_by_a_value_that_the_engine_cannot_hold_nothing_is_decided(filled: Movers, decides: str) -> None:
    filled.shop("DELETE FROM t WHERE id IS NULL", "UPDATE t SET day = 'infinity' WHERE id = 4")
    match decides:
        case "keys":
            filled.define(target={"connection": "goal", "table": "out", "mode": "upsert", "keys": ["id", "day"]})
        case "cursor":
            filled.define(
                source={"connection": "shop", "table": "t", "mode": "incremental", "incremental": {"column": "day"}}
            )
        case _:
            filled.define(
                target={"connection": "goal", "table": "out", "mode": "overwrite", "scope": "partition",
                        "partition_by": "day"}
            )  # fmt: skip
    found = same(filled, ["auto", "source"])
    assert found.receipt["status"] == "failed"


def test_overflow_in_an_expression_holds_the_row_back_as_the_engine_does(filled: Movers) -> None:
    steps = [{"type": "calculate", "columns": {"more": "big + 1", "less": "small * small"}}]
    filled.define(steps, error_handling={"on_row_error": "quarantine"})
    found = same(filled, ["auto", "source"])
    assert found.receipt["rows"]["quarantined"] == 1


@pytest.mark.parametrize("mode", ["append", "overwrite", "upsert"])
@pytest.mark.parametrize("there", [False, True])
@pytest.mark.usefixtures("undecoded")
def test_every_way_to_load(filled: Movers, mode: str, *, there: bool) -> None:
    filled.shop("DELETE FROM t WHERE id IS NULL")
    target = {"connection": "goal", "table": "out", "mode": mode}
    if mode == "upsert":
        target["keys"] = "id"
    filled.define(target=target, source={"connection": "shop", "table": "t", "columns": ["id", "name", "price"]})
    table = ["CREATE TABLE out (id int PRIMARY KEY, name text, price numeric(15,2))"]
    table.append("INSERT INTO out VALUES (4, 'old', 1), (9, 'stays or goes', 2)" if mode != "append" else "SELECT 1")
    same(filled, ["auto", "relay", "source"], before=table if there else [])


@pytest.mark.usefixtures("undecoded")
def test_an_incremental_run_moves_what_is_new_and_its_watermark(filled: Movers) -> None:
    filled.define(
        source={
            "connection": "shop",
            "table": "t",
            "mode": "incremental",
            "where": "id > 1",
            "incremental": {"column": "big", "nulls": "include"},
        }
    )
    found = same(filled, ["auto", "relay"])
    assert found.receipt["watermark"]["after"] == "9223372036854775807"
    filled.shop("INSERT INTO t (id, big) VALUES (10, 5)")
    assert filled.run().rows.extracted == 1
    assert filled.attempt().unwrap().status.value == "skipped"


@pytest.mark.usefixtures("undecoded")
def test_within_one_database_the_server_moves_the_rows(filled: Movers) -> None:
    filled.target = filled.source
    filled.shop("DELETE FROM t WHERE big < 0")
    for steps, rules in (([], []), (STEPS, RULES)):
        filled.define(steps, rules)
        assert filled.plan().placement.place == "server"
        found = same(filled, ["auto", "server", "source"])
        assert found.receipt["status"] == "success"
    same(filled, ["auto"], before=["CREATE TABLE out (id int)", "INSERT INTO out VALUES (9)"])


@pytest.mark.usefixtures("undecoded")
def test_staged_for_later_it_is_published_as_it_is(filled: Movers) -> None:
    filled.define()
    found = same(filled, ["relay"], publish=False)
    assert found.receipt["status"] == "staged"
    assert found.rows == []


def test_a_trial_asks_the_server_for_no_more_rows_than_it_shows(movers: Movers) -> None:
    """The 101st row cannot be computed: nobody asked for it."""
    movers.define(source={"connection": "shop", "query": "SELECT 1 / (101 - g) AS n FROM generate_series(1, 1000) g"})
    assert movers.run(limit=5).rows.extracted == 5
    assert movers.attempt().is_failure


GROUPED = {
    "type": "aggregate",
    "group_by": ["name", "month", "flag"],
    "metrics": {
        "rows": "COUNT(*)",
        "filled": "COUNT(price)",
        "smalls": "COUNT(DISTINCT small)",
        "names": "COUNT(DISTINCT code)",
        "bigs": "SUM(small)",
        "paid": "SUM(price * 2)",
        "first": "MIN(day)",
        "last": "MAX(at)",
        "least": "MIN(name)",
        "positive": "SUM(price) FILTER (WHERE price > 0)",
        "both": "SUM(price) + COUNT(*)",
    },
}
MONTH = {"type": "calculate", "columns": {"month": "date_trunc('month', at)"}}
KEPT: dict[str, Any] = {"type": "filter", "condition": "small IS NULL OR small <> 1"}
GROUP_RULES = [{"type": "range", "column": "rows", "min": 1}, {"type": "unique", "columns": ["name", "month", "flag"]}]


@pytest.fixture
def grouped(filled: Movers) -> Movers:
    """Groups of several rows: texts that a collation may take for the same, decimals that a double does not hold."""
    more = (
        "SELECT id + 10, small, 1, price + 0.01, loose, flag, real, double, {name}, code, fixed, day, at, zoned, clock,"
        " data, ref, doc, tags FROM t WHERE id < 10 AND price < 1000"
    )
    filled.shop(*(f"INSERT INTO t {more.format(name=name)}" for name in ("upper(name)", "name || ' '", "name")))
    return filled


@pytest.mark.parametrize("steps", [[MONTH, GROUPED], [KEPT, MONTH, GROUPED]], ids=["groups", "a filter, groups"])
@pytest.mark.usefixtures("undecoded")
def test_groups_are_the_same_wherever_they_are_made(grouped: Movers, steps: list[Any]) -> None:
    grouped.define(steps, GROUP_RULES)
    assert grouped.plan().placement.place == "source", grouped.plan().placement.reason
    found = same(grouped, ["auto", "source"])
    assert found.receipt["rows"]["aggregated"] > 0
    grouped.target = grouped.source
    assert grouped.define(steps, GROUP_RULES).plan().placement.place == "server"
    assert same(grouped, ["server"]).rows == found.rows


@pytest.mark.usefixtures("undecoded")
def test_groups_are_told_apart_by_texts_of_any_kind(grouped: Movers) -> None:
    grouped.define([{"type": "aggregate", "group_by": ["code", "fixed"], "metrics": {"rows": "COUNT(*)"}}])
    assert same(grouped, ["source"]).receipt["status"] == "success"


@pytest.mark.usefixtures("undecoded")
def test_all_rows_are_one_group_also_when_there_are_none(grouped: Movers) -> None:
    total = {"type": "aggregate", "metrics": {"rows": "COUNT(*)", "total": "SUM(price)", "most": "MAX(id)"}}
    assert same(grouped.define([total]), ["source"]).rows != []
    grouped.shop("DELETE FROM t")
    assert same(grouped, ["source"]).rows == [("(0,,)",)]


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        ("SUM(double)", "a sum of DOUBLE is the engine's work"),
        ("AVG(price)", "AVG(price) is the engine's work"),
        ("MEDIAN(id)", "MEDIAN(id) is the engine's work"),
        ("MAX(upper(name))", "UPPER(name) is the engine's work"),
    ],
)
def test_what_may_differ_in_a_digit_is_the_engines_work(grouped: Movers, metric: str, reason: str) -> None:
    placement = grouped.define([{"type": "aggregate", "group_by": ["flag"], "metrics": {"m": metric}}]).plan().placement
    assert (placement.place, placement.reason.replace('"', "")) == ("duckdb", reason)


def test_rules_in_front_of_groups_see_the_single_rows(grouped: Movers) -> None:
    named = {**MONTH, "name": "months"}
    rule = {"type": "not_null", "columns": ["id"], "step": "months", "severity": "warning"}
    placement = grouped.define([named, GROUPED], [rule]).plan().placement
    assert placement.reason == "a rule looks at the single rows, before groups are made of them"


@pytest.mark.parametrize(
    "steps", [[MONTH, GROUPED], [{"type": "filter", "condition": "id = 2"}]], ids=["groups", "filter"]
)
def test_a_value_that_the_engine_cannot_hold_is_found_though_nothing_looks_at_it(
    grouped: Movers, steps: list[Any]
) -> None:
    grouped.shop("UPDATE t SET loose = 'NaN' WHERE id = 1")
    grouped.define(steps, error_handling={"on_row_error": "quarantine"})
    assert same(grouped, ["source"]).receipt["rows"]["quarantined"] == 1


def test_a_sum_that_overflows_ends_the_same_way(grouped: Movers) -> None:
    grouped.define([{"type": "aggregate", "metrics": {"total": "SUM(big)"}}])
    grouped.shop("UPDATE t SET big = 9223372036854775807")
    assert same(grouped, ["source"]).receipt["status"] == "failed"
