"""Filters that the source applies itself: the same rows, counts and receipt as if the engine had dropped them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tests.placement.shops import Shop, make_shop

from headgate.queries.stages import words

COLUMNS = {
    "postgres": "id bigint, small smallint, price numeric(10,2), name text, day date, moment timestamp, flag boolean",
    "mysql": "id bigint, small smallint, price decimal(10,2), name varchar(20), day date, moment datetime(6),"
    " flag boolean",
    "sqlite": "id integer, small smallint, price decimal(10,2), name text collate nocase, day date, moment timestamp,"
    " flag boolean",
    "duckdb": "id bigint, small smallint, price decimal(10,2), name varchar collate nocase, day date, moment timestamp,"
    " flag boolean",
}
ROWS = """
(1, 1, 1.10, 'Ann', '2024-01-31', '2024-01-31 10:00:00.123456', {true}),
(2, -1, -0.01, 'ann', '2024-01-01', '2024-01-01 00:00:00', {false}),
(3, 32767, 99999999.99, 'Ann ', '9999-12-31', '9999-12-31 23:59:59.999999', {true}),
(4, 0, 0, '', '1000-01-01', '1000-01-01 00:00:00', NULL),
(5, NULL, NULL, NULL, NULL, NULL, NULL),
(NULL, 5, 5.00, 'é😀', '2024-02-29', '2024-02-29 23:59:59.999999', {false})
"""


@pytest.fixture(params=["postgres", "mysql", "sqlite", "duckdb"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    kind = request.param
    truth = {"true": "1", "false": "0"} if kind in ("sqlite", "mysql") else {"true": "true", "false": "false"}
    made = make_shop(kind, request, tmp_path)
    made.execute(f"CREATE TABLE t ({COLUMNS[kind]})", f"INSERT INTO t VALUES {ROWS.format(**truth)}")
    return made


ONE = pytest.mark.parametrize("shop", ["sqlite"], indirect=True)
"""What is the plan's work is the same for all of them."""

CONDITIONS = (
    *("id > 2", "id <> 2", "NOT (id = 2)", "2 < id", "id BETWEEN 2 AND 4", "id IN (1, 3, NULL)", "id IS NULL"),
    *("id IS NOT NULL AND small >= 0", "id = 1 OR small IS NULL", "id > -2", "small < 32767.5"),
    *("price > 1", "price = 1.10", "price <= -0.01", "price BETWEEN 0 AND 99999999.99", "price IN (0, 5)"),
    *("name = 'Ann'", "name <> 'ann'", "name IN ('', 'é😀')", "name IS NULL OR name = 'Ann '"),
    *("day >= '2024-01-31'", "day < DATE '2024-02-29'", "day = '9999-12-31'", "NOT (day > '1999-12-31')"),
    *("moment >= '2024-01-31'", "moment = '2024-01-31 10:00:00.123456'", "moment < TIMESTAMP '2024-01-31 10:00:00.2'"),
    *("moment = '2024-01-01'", "flag", "NOT flag", "flag IS NOT TRUE", "(id > 1) IS TRUE", "flag = false"),
)


def test_every_condition_keeps_the_same_rows_wherever_it_is_asked(shop: Shop) -> None:
    for conditions in (CONDITIONS[start::2] for start in range(2)):
        steps = [{"type": "filter", "condition": f"({condition}) IS NOT FALSE"} for condition in conditions]
        scan = shop.define(steps).scan
        assert (len(scan.keeps), scan.unsifted) == (len(conditions), "")
        shop.same()


@ONE
def test_the_plan_says_what_is_asked_of_the_source_and_what_is_not_and_why(shop: Shop) -> None:
    shop.define(
        [
            {"type": "filter", "condition": "id > 1 AND upper(name) = 'ANN'", "name": "few"},
            {"type": "filter", "condition": "id > 2", "name": "fewer"},
        ]
    )
    said = words(shop.scan)
    assert "the source leaves out all but" in said
    assert "few is the engine's work: the rest of it: UPPER(name) = 'ANN' is not compared there" in said.replace(
        '"', ""
    )
    assert shop.same()["rows"]["filtered"] == 6


@ONE
def test_what_is_behind_a_step_that_may_hold_rows_back_is_not_asked(shop: Shop) -> None:
    shop.define(
        [
            {"type": "filter", "condition": "id > 1"},
            {"type": "calculate", "columns": {"squared": "CAST(small * 2 AS SMALLINT)"}},
            {"type": "filter", "condition": "id > 2", "name": "later"},
        ],
        error_handling={"on_row_error": "quarantine"},
    )
    assert len(shop.scan.keeps) == 1
    assert shop.scan.unsifted.startswith("later is the engine's work: an expression before it")
    assert shop.same()["rows"]["quarantined"] == 1


@ONE
def test_a_column_that_a_step_renamed_is_known(shop: Shop) -> None:
    shop.define([{"type": "rename", "columns": {"id": "number"}}, {"type": "filter", "condition": "number > 2"}])
    assert len(shop.scan.keeps) == 1
    assert shop.same()["rows"]["filtered"] == 3


@ONE
def test_rules_in_front_of_the_steps_see_every_row(shop: Shop) -> None:
    rule = {"type": "range", "column": "id", "min": 2, "stage": "extract", "on_fail": "quarantine"}
    shop.define([{"type": "filter", "condition": "id > 2"}], quality_rules=[rule])
    assert shop.scan.keeps == ()
    assert "a rule looks at the rows as they were read" in shop.scan.unsifted
    assert shop.same()["rows"]["quarantined"] == 1


@ONE
def test_a_share_of_bad_rows_is_one_of_all_that_there_are(shop: Shop) -> None:
    """One of six rows is bad: with those that were left out it is a share of 17 %, without them of 50 %."""
    rule = {"type": "range", "column": "small", "max": 10, "on_fail": "quarantine"}
    handling = {"max_error_percentage": 20}
    shop.define([{"type": "filter", "condition": "id > 2"}], quality_rules=[rule], error_handling=handling)
    assert len(shop.scan.keeps) == 1
    assert shop.same()["status"] == "success"


@ONE
def test_a_trial_of_some_rows_is_one_of_the_first(shop: Shop) -> None:
    shop.define([{"type": "filter", "condition": "id > 1"}])
    found = [shop.outcome(engine, limit=2)[0]["rows"] for engine in ("duckdb", "auto")]
    assert found[0] == found[1]
    assert found[0]["extracted"] == 2


@ONE
def test_a_watermark_moves_with_rows_that_a_filter_drops(shop: Shop) -> None:
    source = {
        "connection": "shop",
        "table": "t",
        "mode": "incremental",
        "incremental": {"column": "id", "nulls": "ignore"},
    }
    shop.define([{"type": "filter", "condition": "id < 4"}], source=source)
    assert shop.scan.keeps == ()
    assert "the cursor's values must be seen by the client" in shop.scan.unsifted
    assert shop.same()["rows"]["filtered"] == 2


ODD = {
    "postgres": (
        ["ALTER TABLE t ALTER price TYPE numeric, ALTER day TYPE date"],
        ["UPDATE t SET price = 'NaN' WHERE id = 1", "UPDATE t SET price = 0.12345678901 WHERE id = 2"],
    ),
    "mysql": (
        ["ALTER TABLE t MODIFY flag tinyint(1)"],
        [
            "SET SESSION sql_mode = 'ALLOW_INVALID_DATES'",
            "UPDATE t SET day = '0000-00-00' WHERE id = 1",
            "UPDATE t SET day = '2024-02-31' WHERE id = 2",
            "UPDATE t SET flag = 7 WHERE id = 3",
        ],
    ),
    "sqlite": (
        [],
        [
            "UPDATE t SET id = 'one' WHERE id = 1",
            "UPDATE t SET day = '31.1.2024' WHERE id = 2",
            "UPDATE t SET price = 1.005 WHERE id = 3",
            "INSERT INTO t (id, price) VALUES (-6, 0.1 + 0.2)",
            "UPDATE t SET flag = 7 WHERE id = 4",
            "INSERT INTO t (id, day, moment) VALUES (0, '0000-01-01', NULL), (-1, NULL, '0000-01-01 00:00:00')",
            "INSERT INTO t (id, day) VALUES (-2, 20240131), (-3, '2024-02-30')",
            "INSERT INTO t (id, moment) VALUES (-4, '2024-02-30 10:00:00'), (-5, '2024-02-01 24:00:00')",
        ],
    ),
    "duckdb": (
        ["ALTER TABLE t ALTER small TYPE hugeint"],
        ["UPDATE t SET small = 170141183460469231731687303715884105727"],
    ),
}
"""Values that become row errors when the engine casts them: changes of the table, and of its rows."""


@pytest.mark.parametrize(
    ("shop", "handling"),
    [(kind, "quarantine") for kind in ODD] + [("sqlite", "null")],
    indirect=["shop"],
)
def test_a_row_in_error_is_held_back_though_a_filter_would_drop_it(shop: Shop, handling: str) -> None:
    for statements in ODD[shop.kind]:
        shop.execute(*statements)
    shop.define([{"type": "filter", "condition": "id > 4"}], error_handling={"on_row_error": handling})
    assert len(shop.scan.keeps) == 1
    assert shop.same()["status"] == "success"


@ONE
def test_a_query_is_run_once(shop: Shop) -> None:
    shop.define([{"type": "filter", "condition": "id > 1"}], source={"connection": "shop", "query": "SELECT * FROM t"})
    assert shop.scan.keeps == ()
    assert "a query would be run twice" in shop.scan.unsifted


@pytest.mark.parametrize("shop", ["mysql", "postgres"], indirect=True)
def test_rows_are_counted_in_the_state_that_is_read(shop: Shop) -> None:
    """Rows that come and go while a run reads are in both its counts or in none: it writes as often as it reads."""
    shop.execute(*(f"INSERT INTO t (id) VALUES ({number})" for number in range(100, 130)))
    shop.define([{"type": "filter", "condition": "id < 3"}]).write("auto")
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            shop.execute("UPDATE t SET id = id + 1000 WHERE id = 1", "UPDATE t SET id = 1 WHERE id = 1001")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        rows = [shop.outcome("auto")[0]["rows"] for _ in range(2)]
    finally:
        stop.set()
        writer.join()
    assert [row["extracted"] for row in rows] == [36, 36]
