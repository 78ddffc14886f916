"""Modes of loading, from the line of YAML to the rows in the target."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.plan.projects import Row, SmallProject

from headgate.core.errors import Code, HeadgateError
from headgate.core.runs import Receipt
from headgate.queries.stages import words

COLUMNS = {"id": "INTEGER", "city": "TEXT", "op": "TEXT", "day": "DATE"}
OUT = "SELECT id, city FROM out"
VERSIONS = "SELECT id, city, version, is_current, substr(valid_from, 1, 10), substr(valid_to, 1, 10) FROM out"


@pytest.fixture
def shop(tmp_path: Path) -> SmallProject:
    return SmallProject(tmp_path)


def orders(project: SmallProject, *rows: Row) -> SmallProject:
    return project.table("orders", COLUMNS, [(*row, *(None,) * (4 - len(row))) for row in rows])


def into(project: SmallProject, rules: list[dict[str, Any]] | None = None, **target: Any) -> SmallProject:
    return project.define(target={"table": "out", **target}, rules=rules or [])


def counts(receipt: Receipt) -> tuple[int, int, int, int]:
    (commit,) = receipt.targets
    return commit.inserted, commit.updated, commit.deleted, commit.unchanged


def refusal(project: SmallProject, **options: Any) -> HeadgateError:
    """How a run is refused: by its plan or its rows, or by the configuration before it begins."""
    with pytest.raises(HeadgateError) as caught:
        project.attempt(**options).unwrap()
    return caught.value


def test_rows_that_a_condition_marks_delete_their_key(shop: SmallProject) -> None:
    into(shop, mode="merge", keys=["id"], delete_when="op = 'D'")
    assert counts(orders(shop, (1, "Bonn", "I"), (2, "Köln", None), (3, "Ulm", "I")).run()) == (3, 0, 0, 0)
    assert counts(orders(shop, (1, "Bonn", "I"), (2, "Essen", None), (3, "Ulm", "D")).run()) == (0, 1, 1, 1)
    assert shop.out(OUT) == [(1, "Bonn"), (2, "Essen")]
    assert counts(shop.run(full_refresh=True)) == (2, 0, 2, 0)


def test_a_condition_that_is_no_condition_is_refused_with_its_line(shop: SmallProject) -> None:
    orders(shop)
    error = refusal(into(shop, mode="merge", keys=["id"], delete_when="id + 1"))
    assert error.code is Code.PLAN_INVALID
    assert "neither true nor false" in str(error)
    assert error.problems[0].path == "pipelines.small.targets.0.delete_when"
    assert error.problems[0].line > 0
    error = refusal(into(shop, mode="merge", keys=["id"], delete_when="cty = 'Bonn'"))
    assert 'did you mean "city"?' in error.hint + error.message


def test_what_a_full_read_no_longer_has_is_deleted(shop: SmallProject) -> None:
    into(shop, mode="merge", keys=["id"], delete_missing=True)
    orders(shop, (1, "Bonn"), (2, "Köln")).run()
    assert counts(orders(shop, (2, "Köln"), (3, "Ulm")).run()) == (1, 0, 1, 1)
    assert shop.out(OUT) == [(2, "Köln"), (3, "Ulm")]
    error = refusal(orders(shop))
    assert "by nothing" in str(error)
    assert "allow_empty" in error.hint
    assert refusal(shop, date="2024-01-15").code is Code.USAGE


def test_rows_that_were_held_back_are_not_missing(shop: SmallProject) -> None:
    rule = {"type": "not_null", "column": "city", "on_fail": "quarantine"}
    into(shop, [rule], mode="merge", keys=["id"], delete_missing=True)
    orders(shop, (1, "Bonn"), (2, "Köln")).run()
    error = refusal(orders(shop, (1, "Bonn"), (2, None)))
    assert "held back" in str(error)
    assert shop.out(OUT) == [(1, "Bonn"), (2, "Köln")]


def test_deleting_what_is_missing_needs_a_full_read(shop: SmallProject) -> None:
    orders(shop)
    source = {"connection": "shop", "table": "orders", "max_records": 5}
    shop.define(source=source, target={"table": "out", "mode": "merge", "keys": ["id"], "delete_missing": True})
    error = refusal(shop)
    assert error.code is Code.PLAN_INVALID
    assert "full read" in str(error)


def test_a_read_that_ends_at_max_records_says_so(shop: SmallProject) -> None:
    orders(shop, (1, "Bonn"), (2, "Köln"))
    for most, told in ((1, True), (3, False)):
        source = {"connection": "shop", "table": "orders", "max_records": most}
        shop.define(source=source, target={"table": "out", "mode": "overwrite"})
        assert any("max_records" in warning for warning in shop.run().warnings) is told


def test_a_snapshot_keeps_each_run_under_its_date(shop: SmallProject) -> None:
    into(shop, mode="snapshot", snapshot_column="taken_on")
    orders(shop, (1, "Bonn"), (2, "Köln")).run(date="2024-01-15")
    assert counts(orders(shop, (1, "Essen")).run(date="2024-01-16")) == (1, 0, 0, 0)
    taken = "SELECT taken_on, id, city FROM out"
    assert shop.out(taken) == [
        ("2024-01-15", 1, "Bonn"),
        ("2024-01-15", 2, "Köln"),
        ("2024-01-16", 1, "Essen"),
    ]
    assert counts(orders(shop, (3, "Ulm")).run(date="2024-01-15", force=True)) == (1, 0, 2, 0)
    assert shop.out(taken) == [("2024-01-15", 3, "Ulm"), ("2024-01-16", 1, "Essen")]
    assert refusal(shop, full_refresh=True).code is Code.UNSUPPORTED


def test_an_interval_is_replaced_and_rows_outside_of_it_are_refused(shop: SmallProject) -> None:
    into(shop, mode="overwrite", scope="interval", interval_column="day")
    january = [(1, "Bonn", None, "2024-01-15"), (2, "Köln", None, "2024-01-15")]
    orders(shop, *january).run(date="2024-01-15")
    orders(shop, (3, "Ulm", None, "2024-01-16")).run(date="2024-01-16")
    assert counts(orders(shop, (4, "Essen", None, "2024-01-15")).run(date="2024-01-15", force=True)) == (1, 0, 2, 0)
    assert shop.out(OUT) == [(3, "Ulm"), (4, "Essen")]
    error = refusal(orders(shop, *january, (9, "Trier", None, "2024-01-16")), date="2024-01-15", force=True)
    assert "1 rows lie outside" in str(error)
    assert refusal(shop).code is Code.USAGE
    assert shop.out(OUT) == [(3, "Ulm"), (4, "Essen")]


def test_only_the_partitions_that_the_rows_have_are_replaced(shop: SmallProject) -> None:
    into(shop, mode="overwrite", scope="partition", partition_by=["city"])
    orders(shop, (1, "Bonn"), (2, "Köln"), (3, None)).run()
    assert counts(orders(shop, (4, "Köln"), (5, None)).run()) == (2, 0, 2, 0)
    assert shop.out(OUT) == [(1, "Bonn"), (4, "Köln"), (5, None)]


def test_a_history_by_the_time_of_the_runs(shop: SmallProject) -> None:
    into(shop, mode="scd2", keys=["id"], track=["city"])
    orders(shop, (1, "Bonn"), (2, "Köln")).run(date="2024-01-15")
    assert counts(orders(shop, (1, "Bonn", "other"), (2, "Essen")).run(date="2024-01-20")) == (1, 1, 0, 1)
    assert counts(shop.run(date="2024-01-21")) == (0, 0, 0, 2)
    assert shop.out(VERSIONS) == [
        (1, "Bonn", 1, 1, "2024-01-15", "9999-12-31"),
        (2, "Essen", 2, 1, "2024-01-20", "9999-12-31"),
        (2, "Köln", 1, 0, "2024-01-15", "2024-01-20"),
    ]
    assert refusal(shop, full_refresh=True).code is Code.UNSUPPORTED


def test_a_history_by_a_column_of_the_rows_with_names_of_ones_own(shop: SmallProject) -> None:
    history = {"valid_from": "day", "valid_to": "until", "is_current": "live", "version": "n"}
    into(shop, mode="scd2", keys=["id"], track=["city"], effective="day", history=history, delete_when="op = 'D'")
    orders(shop, (1, "Bonn", None, "2024-01-01"), (1, "Ulm", None, "2024-03-01"), (2, "Köln", None, "2024-01-01")).run()
    orders(shop, (1, "Trier", None, "2024-02-01"), (2, None, "D", "2024-02-01")).run()
    assert shop.out("SELECT id, city, day, until, live, n FROM out") == [
        (1, "Bonn", "2024-01-01", "2024-02-01", 0, 1),
        (1, "Trier", "2024-02-01", "2024-03-01", 0, 2),
        (1, "Ulm", "2024-03-01", "9999-12-31", 1, 3),
        (2, "Köln", "2024-01-01", "2024-02-01", 0, 1),
    ]


def test_columns_of_the_history_may_not_be_there_already(shop: SmallProject) -> None:
    shop.table("orders", {"id": "INTEGER", "version": "TEXT"}, [(1, "x")])
    error = refusal(into(shop, mode="scd2", keys=["id"]))
    assert error.code is Code.PLAN_INVALID
    assert '"version"' in str(error)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({"mode": "scd2"}, "scd2 needs keys"),
        ({"mode": "merge"}, "merge needs keys"),
        ({"mode": "append", "delete_missing": True}, "delete_missing means nothing in mode append"),
        ({"mode": "merge", "keys": ["id"], "track": ["a"]}, "track means nothing in mode merge"),
        ({"mode": "overwrite", "scope": "partition"}, "scope partition needs partition_by"),
        ({"mode": "overwrite", "scope": "interval"}, "scope interval needs interval_column"),
        ({"mode": "overwrite", "partition_by": ["id"]}, "the scope is table"),
        ({"mode": "append", "scope": "partition"}, "scope means nothing"),
        ({"mode": "scd2", "keys": ["id"], "history": {"version": "valid_to"}}, "one name"),
        ({"mode": "append", "dead_letter": "OUT"}, "cannot go into it"),
    ],
)
def test_options_that_do_not_go_together_are_refused(shop: SmallProject, target: Any, said: str) -> None:
    orders(shop)
    error = refusal(into(shop, **target))
    assert error.code is Code.CONFIG_INVALID
    assert said in str(error)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"load_mode": "scd_type2", "business_key": "id", "track_columns": ["city"]}, "scd2"),
        ({"write_mode": "merge", "merge_keys": ["id"]}, "merge"),
        ({"if_exists": "replace"}, "overwrite"),
        ({"load_mode": "upsert", "conflict_columns": ["id"]}, "upsert"),
        ({"truncate_before_load": True}, "overwrite"),
        ({"truncate_before_load": True, "load_mode": "append"}, "overwrite"),
        ({"truncate_before_load": False, "load_mode": "append"}, "append"),
        ({"load_mode": "overwrite", "scope": "partition", "partition_column": "city"}, "overwrite"),
    ],
)
def test_other_spellings_of_modes_mean_the_same(shop: SmallProject, given: Any, meant: str) -> None:
    orders(shop, (1, "Bonn"))
    into(shop, **given).run()
    assert [row[:2] for row in shop.out(OUT)] == [(1, "Bonn")]
    from headgate.plan.stages import Write

    (write,) = [stage for stage in shop.plan().stages if isinstance(stage, Write)]
    assert write.mode == meant


def test_rows_that_the_target_rejects_are_dead_letters_and_count_as_bad_rows(shop: SmallProject) -> None:
    orders(shop, (1, "Bonn"), (2, "Köln"))
    into(shop, mode="upsert", keys=["id"]).run()
    orders(shop, (2, "again"), (3, "Ulm"), (4, "Trier"))
    into(shop, mode="append", dead_letter="rejected").change(error_handling={"max_error_percentage": 30})
    error = refusal(shop)
    assert error.code is Code.ERROR_RATE_EXCEEDED
    assert len(shop.out(OUT)) == 2
    shop.change(error_handling={"max_error_percentage": 40})
    receipt = shop.run()
    assert receipt.warnings == ("1 row was rejected by constraints of out",)
    assert [(commit.inserted, commit.rejected) for commit in receipt.targets] == [(2, 1)]
    assert (receipt.rows.extracted, receipt.rows.loaded, receipt.rows.rejected) == (3, 2, 1)
    assert receipt.rows.imbalance == 0
    ((payload, reason, run),) = shop.out("SELECT payload, reason, run_id FROM rejected")
    assert json.loads(payload) == {"id": 2, "city": "again", "op": None, "day": None}
    assert "UNIQUE" in reason
    assert run == receipt.run_id


def test_rows_that_several_targets_reject_are_counted_once(shop: SmallProject) -> None:
    steps = [{"type": "filter", "name": "some", "condition": "id < 9"}]
    tables = [{"table": "out"}, {"table": "also"}, {"table": "before", "from": "some"}]
    keyed = [{**table, "mode": "upsert", "keys": ["id"]} for table in tables]
    shop.define(steps=[*steps, {"type": "filter", "condition": "id < 5"}], targets=keyed)
    orders(shop, (1, "Bonn"), (2, "Köln"), (3, "Ulm"), (9, "Jena")).run()
    appended = [{**table, "mode": "append", "dead_letter": f"{table['table']}_rejected"} for table in tables]
    shop.change(targets=[{"connection": "goal", **table} for table in appended])
    with closing(sqlite3.connect(shop.root / "goal.db")) as goal, goal:
        goal.execute("DELETE FROM also WHERE id > 1")
    receipt = orders(shop, (2, "Köln"), (3, "Ulm"), (4, "Trier"), (7, "Hof")).run()
    done = {commit.table: (commit.inserted, commit.rejected) for commit in receipt.targets}
    assert done == {"out": (1, 2), "also": (3, 0), "before": (2, 2)}
    rows = receipt.rows
    assert (rows.extracted, rows.filtered, rows.loaded, rows.rejected, rows.imbalance) == (4, 1, 1, 2, 0)


def test_a_target_without_constraints_has_no_dead_letters(shop: SmallProject) -> None:
    orders(shop)
    shop.define(target={"table": "out", "connection": "inbox", "dead_letter": "rejected"})
    assert "does not catch rows that a constraint rejects" in str(refusal(shop))


def test_a_target_without_partition_tables_says_so(shop: SmallProject) -> None:
    orders(shop)
    into(shop, partitioning={"column": "day", "by": "month"})
    assert "made on demand in PostgreSQL only" in str(refusal(shop))


def test_rows_with_values_in_new_columns_are_held_back_where_the_table_is_to_stay(shop: SmallProject) -> None:
    into(shop, evolve="quarantine")
    shop.table("orders", {"id": "INTEGER", "city": "TEXT"}, [(1, "Bonn")]).run()
    wider = {"id": "INTEGER", "city": "TEXT", "price": "INTEGER"}
    receipt = shop.table("orders", wider, [(2, "Ulm", None), (3, "Trier", 5), (4, "Köln", None)]).run()
    assert (receipt.rows.loaded, receipt.rows.quarantined) == (2, 1)
    assert shop.out() == [(1, "Bonn"), (2, "Ulm"), (4, "Köln")]
    (entry,) = [one["id"] for one in shop.entries() if one["status"] == "held"]
    (row,) = shop.held(entry)
    assert (row["id"], row["price"]) == (3, 5)
    assert row["_reasons"] == ["columns of out: expected no value in price: out has no such column"]
    into(shop)  # the table may grow now
    assert shop.replay(entry).unwrap().rows.loaded == 1
    assert shop.out("SELECT id, price FROM out WHERE price IS NOT NULL") == [(3, 5)]


def test_the_plan_says_what_becomes_of_the_table(shop: SmallProject) -> None:
    orders(shop)

    def said(**target: Any) -> str:
        return next(line for line in map(words, into(shop, **target).plan().stages) if " to out in " in line)

    assert said() == "append extracted to out in goal, where no reader sees it"
    assert "by id" in said(mode="scd2", keys=["id"], delete_when="op = 'D'")
    assert said(mode="scd2", keys=["id"], delete_when="op = 'D'").endswith(
        ": since the time of the run; some rows delete their key"
    )
    assert said(mode="snapshot").endswith(": under the run's date in snapshot_date")
    assert said(mode="overwrite", scope="partition", partition_by=["day"]).endswith("the partitions of the rows (day)")
    assert said(dead_letter="bad").endswith("a constraint rejects go to bad")
