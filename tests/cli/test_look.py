"""Looking ahead and around, for people and as JSON."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

Call = Callable[..., Any]


def replace(project: Path, old: str, new: str) -> None:
    file = project / "headgate.yml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize("arguments", [["check"], ["check", "--offline"], ["check", "orders"]])
def test_a_good_project_is_ok(headgate: Call, arguments: list[str]) -> None:
    text = headgate(*arguments)
    assert text.status == 0
    assert text.out.endswith("OK\n")
    document = headgate(*arguments, "-o", "json")
    assert document.status == 0
    assert document.json["ok"] is True
    assert document.json["problems"] == []


def test_check_tells_that_a_day_is_one_of_utc(headgate: Call, project: Path) -> None:
    """Whoever names another zone might expect that runs are for its days."""
    assert headgate("check", "--offline", "-o", "json").json["notes"] == []
    replace(project, "project: ", "defaults: {timezone: Asia/Tokyo}\nproject: ")
    answer = headgate("check", "--offline", "-o", "json")
    assert answer.json["ok"]
    assert answer.json["notes"][0].startswith(
        "defaults.timezone: Asia/Tokyo is the zone of schedules only; days of --date"
    )


def test_a_table_that_another_pipeline_will_make_is_no_problem(headgate: Call) -> None:
    assert headgate("check", "-o", "json").json["notes"] == ["totals: orders is made by the first run of orders"]
    headgate("run", "orders")
    assert headgate("check", "-o", "json").json["notes"] == []


def test_a_table_that_is_not_there_is_made_by_no_pipeline_of_another_store(headgate: Call, project: Path) -> None:
    """Not by one that writes a table of that name elsewhere; what must not be made is told in every kind of store."""
    (project / "pipelines").mkdir()
    (project / "pipelines" / "stores.yml").write_text(
        "lends: {source: {table: orders}, target: {connection: lite, table: goods}}\n"
        "borrows: {source: {connection: duck, table: goods}, target: {table: a}}\n"
        "keeps: {source: {table: orders}, target: {connection: duck, table: goods, create: false}}\n"
        "stays: {source: {table: orders}, target: {connection: lite, table: bads, create: false}}\n"
    )
    replace(
        project, "connections:", "connections:\n  lite: {type: sqlite, path: l.db}\n  duck: {type: duckdb, path: d.db}"
    )
    headgate("run", "orders")
    with duckdb.connect(str(project / "d.db")) as other, closing(sqlite3.connect(project / "l.db")) as one:
        other.execute("CREATE TABLE unasked (a INT)")
        one.execute("CREATE TABLE unasked (a INT)")
    answer = headgate("check", "-o", "json").json
    told = {one["path"]: one["message"].partition(";")[0] for one in answer["problems"]}
    assert told == {
        "pipelines.borrows": 'there is no table "goods"',
        "pipelines.keeps.targets.0.table": 'there is no table "goods", and create: false forbids to make it',
        "pipelines.stays.targets.0.table": 'there is no table "bads", and create: false forbids to make it',
    }
    assert answer["notes"] == []


def test_a_pipeline_for_a_day_is_checked_without_one(headgate: Call, project: Path) -> None:
    replace(project, '"orders/*.csv", mode: incremental', '"orders/*.csv"')
    replace(project, "status <> 'test'", "status <> 'test' AND {{ ds }} > DATE '2000-01-01'")
    answer = headgate("check", "orders", "-o", "json")
    assert answer.status == 0, answer.out
    assert "orders: {{ ds }} stood for " in answer.json["notes"][0]
    assert "--date" in answer.json["notes"][0]
    assert headgate("check", "orders", "--date", "2024-01-01", "-o", "json").json["notes"] == []
    replace(project, "quantity * price", "quantty * price")
    assert '"quantty" not found' in headgate("check", "orders").out


def test_files_of_a_day_need_not_be_there_to_be_checked(headgate: Call, project: Path) -> None:
    replace(project, '"orders/*.csv", mode: incremental', '"orders/{{ ds }}.csv"')
    answer = headgate("check", "orders", "-o", "json")
    assert answer.status == 0, answer.out
    assert answer.json["notes"][1].endswith("is not there, so its columns were not looked at")
    assert headgate("check", "orders", "--date", "2024-01-01").status == 2


def test_check_tells_all_problems_of_the_files_at_once(headgate: Call, project: Path) -> None:
    replace(project, "mode: append", "mode: appendix")
    replace(project, "type: aggregate, group_by", "type: aggregate, grup_by")
    answer = headgate("check", "--offline", "-o", "json")
    assert answer.status == 2
    assert answer.json["ok"] is False
    problems = answer.json["problems"]
    assert {problem["file"] for problem in problems} == {"headgate.yml"}
    assert all(problem["line"] and problem["path"] and problem["message"] for problem in problems)
    assert any("appendix" in problem["message"] for problem in problems)
    assert any("grup_by" in problem["message"] for problem in problems)
    text = headgate("check", "--offline")
    assert text.status == 2
    assert "headgate.yml:16: pipelines.orders.target.mode" in text.out


def test_a_target_that_the_first_run_makes_is_healthy_before_it(headgate: Call) -> None:
    answer = headgate("health")
    assert (answer.status, answer.out.splitlines()[-1]) == (0, "Overall health: HEALTHY")
    assert "books.db will be created" in answer.out


def test_a_database_that_one_pipeline_makes_and_another_reads_is_healthy_before_it_is_made(
    headgate: Call, project: Path
) -> None:
    (project / "pipelines").mkdir()
    (project / "pipelines" / "more.yml").write_text(
        "more: {source: {connection: books, table: orders}, target: {table: copied}}\n"
    )
    answer = headgate("health")
    assert (answer.status, "books.db will be created" in answer.out) == (0, True)


def test_a_broken_pipeline_hides_no_mistake_of_another(headgate: Call, project: Path) -> None:
    """Neither one that cannot be read at all, nor one with a bad step; what they would write is still to come."""
    (project / "pipelines").mkdir()
    (project / "pipelines" / "unread.yml").write_text("unread: {sorce: {table: a}, target: {table: made_elsewhere}}\n")
    (project / "pipelines" / "steps.yml").write_text(
        "steps: {source: {table: orders}, transformations: [{type: fliter}], target: {table: b}}\n"
    )
    (project / "pipelines" / "wrong.yml").write_text(
        "wrong: {source: {connection: inbox, path: 'orders/*.csv'}, target: {table: c},"
        " transformations: [{type: filter, condition: quantty > 1}]}\n"
    )
    (project / "pipelines" / "waits.yml").write_text("waits: {source: {table: made_elsewhere}, target: {table: d}}\n")
    answer = headgate("check", "-o", "json")
    told = {(one["path"].split(".")[1], one["message"].partition(";")[0]) for one in answer.json["problems"]}
    assert {name for name, _ in told} == {"unread", "steps", "wrong"}
    assert ("unread", 'unknown key "sorce"') in told
    assert ("steps", 'unknown step "fliter"') in told
    assert ("wrong", 'column "quantty" not found') in told
    assert "waits: made_elsewhere is made by the first run of unread" in answer.json["notes"]
    named = headgate("check", "wrong", "-o", "json").json["problems"]
    assert {one["path"].split(".")[1] for one in named} == {"unread", "wrong"}


def test_check_finds_a_wrong_column_and_points_to_its_line(headgate: Call, project: Path) -> None:
    replace(project, "quantity * price", "quantty * price")
    assert headgate("check", "--offline").status == 0
    answer = headgate("check", "orders", "-o", "json")
    assert answer.status == 2
    (problem,) = answer.json["problems"]
    assert problem["line"] == 12
    assert problem["path"].startswith("pipelines.orders.transformations.1")
    assert 'column "quantty" not found; did you mean "quantity"?' in problem["message"]


def test_check_finds_a_missing_source_unless_it_is_offline(headgate: Call, project: Path) -> None:
    (project / "inbox" / "orders" / "1.csv").unlink()
    assert headgate("check", "orders", "--offline").status == 0
    answer = headgate("check", "orders", "-o", "json")
    assert answer.status == 2
    assert answer.json["problems"][0]["file"] == "headgate.yml"


def test_plan_is_stages_sql_schema_and_lineage(headgate: Call, project: Path) -> None:
    plan = headgate("plan", "orders", "-o", "json").json
    assert [stage["stage"] for stage in plan["stages"]] == [
        "claim", "scan", "transform", "check", "write", "audit", "publish", "acknowledge", "clean",
    ]  # fmt: skip
    assert plan["schema"][-1] == {"name": "total", "type": "BIGINT"}
    assert plan["lineage"]["total"] == ["source.price", "source.quantity"]
    assert plan["scans"] == 1
    assert "SELECT" in plan["sql"]
    assert plan["writes"] == [{"table": "orders", "store": "lake", "mode": "append", "keys": []}]
    assert not (project / ".headgate" / "lake").exists()


def test_plan_tells_people_what_a_run_would_do(headgate: Call) -> None:
    text = headgate("plan", "orders").out
    assert "scan orders/*.csv of inbox (5 columns, incremental)" in text
    assert "transform source into calculate: filter → calculate" in text
    assert "not_null (quarantine), range (fail)" in text
    assert "publish data, watermark and run record in one commit of lake" in text
    assert "source.price, source.quantity" in text


def test_plan_knows_that_nothing_is_new(headgate: Call) -> None:
    headgate("run", "orders")
    assert headgate("plan", "orders", "-o", "json").json["notes"] == ["nothing new since the last run"]


def test_plan_refuses_what_cannot_be_planned(headgate: Call) -> None:
    unknown = headgate("plan", "nonsense", "-o", "json")
    assert unknown.status == 2
    assert unknown.json["error"]["code"] == "NOT_FOUND"
    assert headgate("plan", "orders", "--date", "tomorrow").status == 2


def test_query_shows_tables(headgate: Call) -> None:
    headgate("run", "orders")
    answer = headgate("query", "SELECT customer, total FROM orders ORDER BY id", "-o", "json")
    assert answer.json == {"columns": ["customer", "total"], "rows": [["Ann", 20], ["Bob", 6]]}
    text = headgate("query", "SELECT customer, total FROM orders ORDER BY id")
    assert text.out == "customer  total\nAnn       20\nBob       6\n"
    assert text.err == "2 rows\n"


def test_control_characters_in_data_are_shown_and_not_obeyed(headgate: Call) -> None:
    headgate("run", "orders")
    shown = headgate("query", "SELECT chr(27) || '[2J' || chr(7) || 'é' AS cleared FROM orders LIMIT 1")
    assert "\\x1b[2J\\x07é" in shown.out
    refused = headgate("query", "SELECT CAST(chr(27) || '[2J' AS INTEGER) FROM orders")
    assert "\x1b" not in refused.err


def test_query_joins_tables_and_reads_its_own_ctes(headgate: Call) -> None:
    headgate("run", "orders")
    sql = """WITH orders AS (SELECT * FROM orders WHERE customer = 'Ann')
        SELECT (SELECT COUNT(*) FROM orders) AS a, COUNT(*) AS b FROM orders x, orders y"""
    assert headgate("query", sql, "-o", "json").json["rows"] == [[1, 1]]


def test_query_reads_other_stores(headgate: Call) -> None:
    headgate("run", "orders", "totals")
    answer = headgate("query", "SELECT * FROM totals t ORDER BY 1", "--connection", "books", "-o", "json")
    assert [row[0] for row in answer.json["rows"]] == ["Ann", "Bob"]
    assert headgate("query", "SELECT 1 FROM totals", "--connection", "boks").status == 2


def test_query_reads_a_table_as_it_was(headgate: Call, project: Path) -> None:
    first = headgate("run", "orders", "-o", "json").json["targets"][0]["commit"]
    (project / "inbox" / "orders" / "2.csv").write_text("id,customer,quantity,price,status\n5,Cleo,1,1,paid\n")
    headgate("run", "orders")
    count = "SELECT COUNT(*) AS n FROM orders"
    assert headgate("query", count, "-o", "json").json["rows"] == [[3]]
    assert headgate("query", count, "--at", first, "-o", "json").json["rows"] == [[2]]


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("DROP TABLE orders", "USAGE"),
        ("SELECT 1; SELECT 2", "USAGE"),
        ("SELEC 1", "USAGE"),
        ("", "USAGE"),
        ("WITH x AS (DELETE FROM orders RETURNING *) SELECT * FROM x", "USAGE"),
        ("COPY orders TO 'x.csv'", "USAGE"),
        ("SELECT nonsense FROM orders", "USAGE"),
        ("SELECT * FROM read_csv('/etc/passwd')", "USAGE"),
        ("SELECT * FROM '/etc/passwd'", "TABLE_NOT_FOUND"),
        ("SELECT * FROM nonsense", "TABLE_NOT_FOUND"),
    ],
)
def test_query_refuses_everything_but_one_select_over_tables(headgate: Call, sql: str, code: str) -> None:
    headgate("run", "orders")
    answer = headgate("query", sql, "-o", "json")
    assert answer.status == 2
    assert answer.json["error"]["code"] == code
    assert headgate("query", "SELECT COUNT(*) AS n FROM orders", "-o", "json").json["rows"] == [[2]]


def test_connections_are_listed_with_who_uses_them(headgate: Call) -> None:
    answer = headgate("connections", "list", "-o", "json")
    assert answer.json == [
        {"name": "inbox", "type": "local", "pipelines": ["orders"]},
        {"name": "books", "type": "sqlite", "pipelines": ["totals"]},
        {"name": "lake", "type": "iceberg", "pipelines": ["orders", "totals"]},
    ]
    assert "books  sqlite" in headgate("connections", "list").out


def test_connections_are_tested(headgate: Call, project: Path) -> None:
    good = headgate("connections", "test", "inbox", "-o", "json")
    assert good.status == 0
    assert [probe["ok"] for probe in good.json] == [True]
    (project / "inbox").rename(project / "elsewhere")
    bad = headgate("connections", "test", "inbox")
    assert bad.status == 1
    assert bad.out.startswith("FAIL inbox (local): ")
    assert headgate("connections", "test", "inbocks").status == 2


def test_health_is_a_line_each_and_a_verdict(headgate: Call, project: Path) -> None:
    headgate("run", "orders", "totals")
    good = headgate("health")
    assert good.status == 0
    assert good.out.splitlines()[-1] == "Overall health: HEALTHY"
    assert good.out.count("PASS ") == 4
    (project / "inbox").rename(project / "elsewhere")
    bad = headgate("health")
    assert bad.status == 1
    assert bad.out.count("FAIL ") == 1
    assert bad.out.splitlines()[-1] == "Overall health: UNHEALTHY"
    document = headgate("health", "-o", "json")
    assert document.status == 1
    assert document.json["healthy"] is False
    assert [probe["name"] for probe in document.json["checks"] if not probe["ok"]] == ["inbox"]
