"""``TransformData``: its limits and defaults, and one test for each code of failure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError

from headgate.commands.handle import handle
from headgate.commands.models import TransformData
from headgate.core.errors import Code
from headgate.core.results import Result
from headgate.execute.workspace import Workspace
from headgate.queries.tables import query

BAD = "id,total\n" + "".join(f"{number},{number}\n" for number in range(1, 96)) + "x1,1\nx2,1\nx3,1\nx4,1\nx5,1\n"
CAST = {"type": "cast", "name": "ids", "columns": {"id": "INTEGER"}}


def command(**options: Any) -> TransformData:
    given: dict[str, Any] = {
        "input_source": "inbox/new orders.csv",
        "output_destination": "out",
        "transformation_rules": [{"type": "calculate", "name": "double", "columns": {"twice": "total * 2"}}],
        **options,
    }
    return TransformData(**given)


def result(workspace: Workspace, **options: Any) -> Result[Any]:
    return handle(command(**options), workspace)


def rows(workspace: Workspace) -> list[Any]:
    return sorted(query(workspace, "SELECT * FROM out").rows, key=repr)


@pytest.mark.parametrize("missing", ["input_source", "output_destination", "transformation_rules"])
def test_what_is_required_is_named(missing: str) -> None:
    options = {"input_source": "a", "output_destination": "b", "transformation_rules": [{"type": "filter"}]}
    del options[missing]
    with pytest.raises(ValidationError, match=missing):
        TransformData(**options)


def test_at_least_one_rule_and_its_columns_are_required() -> None:
    with pytest.raises(ValidationError, match="At least one transformation rule is required"):
        command(transformation_rules=[])
    records = [{"rule_type": "filter", "source_columns": ["a"]}, {"rule_type": "column_rename", "source_columns": []}]
    with pytest.raises(ValidationError, match="source_columns required for rule 1"):
        command(transformation_rules=records)


def test_the_defaults_are_those_that_are_documented() -> None:
    made = command()
    assert (made.chunk_size, made.error_handling, made.max_error_percentage) == (10_000, "fail", 5.0)
    assert made.validate_output


@for_all(st.integers(), st.floats(allow_nan=False))
def test_limits_hold(chunk: int, percentage: float) -> None:
    fine = 1 <= chunk <= 1_000_000 and 0 <= percentage <= 100
    try:
        command(chunk_size=chunk, max_error_percentage=percentage)
    except ValidationError:
        assert not fine
    else:
        assert fine


@pytest.mark.parametrize("chunk_size", [1, 2, 1_000_000])
def test_the_result_does_not_depend_on_the_chunk_size(workspace: Workspace, chunk_size: int) -> None:
    assert result(workspace, chunk_size=chunk_size).unwrap().rows.loaded == 2
    assert rows(workspace) == [(1, 10, 20), (2, 20, 40)]


@pytest.mark.parametrize(
    ("record", "columns", "expected"),
    [
        (
            {
                "rule_type": "column_rename",
                "source_columns": ["total", "id"],
                "parameters": {"mapping": {"total": "t", "id": "key"}},
            },
            "key, t",
            [(1, 10), (2, 20)],
        ),
        (
            {
                "rule_type": "data_type",
                "source_columns": ["id", "total"],
                "target_column": None,
                "parameters": {"target_type": "string"},
            },
            "id, total",
            [("1", "10"), ("2", "20")],
        ),
        (
            {
                "rule_type": "aggregation",
                "source_columns": ["total"],
                "target_column": "sold",
                "parameters": {"function": "sum"},
            },
            "sold",
            [(30,)],
        ),
        (
            {
                "rule_type": "join",
                "source_columns": ["id"],
                "parameters": {"join_table": "orders", "connection": "shop", "suffix": "_then"},
            },
            "id, total_then",
            [(1, 10), (2, 20)],
        ),
        (
            {"rule_type": "column_rename", "source_columns": ["total"], "target_column": "t"},
            "id, t",
            [(1, 10), (2, 20)],
        ),
        (
            {"rule_type": "data_type", "source_columns": ["total"], "parameters": {"target_type": "float"}},
            "id, total",
            [(1, 10.0), (2, 20.0)],
        ),
        (
            {
                "rule_type": "calculation",
                "source_columns": ["total", "id"],
                "target_column": "t",
                "parameters": {"expression": "total * id"},
            },
            "id, t",
            [(1, 10), (2, 40)],
        ),
        (
            {
                "rule_type": "calculation",
                "source_columns": ["total"],
                "target_column": "t",
                "parameters": {"expression": "total * 2"},
                "condition": "id = 1",
            },
            "id, t",
            [(1, 20), (2, None)],
        ),
        ({"rule_type": "filter", "source_columns": ["total"], "condition": "total > 10"}, "id", [(2,)]),
        (
            {"rule_type": "filter", "source_columns": ["total"], "parameters": {"condition": "total < 20"}},
            "id",
            [(1,)],
        ),
        ({"rule_type": "aggregation", "source_columns": ["total"], "parameters": {}}, "total_sum", [(30,)]),
        (
            {
                "rule_type": "aggregation",
                "source_columns": ["total"],
                "parameters": {"group_by": ["id"], "function": "max"},
            },
            "id, total_max",
            [(1, 10), (2, 20)],
        ),
        (
            {
                "rule_type": "join",
                "source_columns": ["id"],
                "parameters": {"join_table": "orders", "connection": "shop", "join_key": "id", "suffix": "_then"},
            },
            "id, total_then",
            [(1, 10), (2, 20)],
        ),
        (
            {
                "rule_type": "pivot",
                "source_columns": ["total"],
                "parameters": {"keys": ["total"], "column": "id", "values": {"one": 1}, "from": "total"},
            },
            "",
            None,
        ),
        (
            {"rule_type": "unpivot", "source_columns": ["id", "total"], "parameters": {"names_to": "n"}},
            "n, value",
            [("id", 1), ("id", 2), ("total", 10), ("total", 20)],
        ),
    ],
)
def test_rule_records_run(workspace: Workspace, record: dict[str, Any], columns: str, expected: Any) -> None:
    done = result(workspace, transformation_rules=[{"rule_name": "r", **record}])
    if expected is None:
        assert "is a key too" in str(done.error)
        return
    done.unwrap()
    assert sorted(query(workspace, f"SELECT {columns} FROM out").rows) == expected


def test_a_ninth_kind_of_rule_is_refused_with_its_place(workspace: Workspace) -> None:
    records = [
        {"rule_type": "filter", "source_columns": ["id"], "condition": "id > 0"},
        {"rule_type": "explode", "source_columns": ["id"]},
    ]
    failed = result(workspace, transformation_rules=records)
    assert failed.error_code is Code.CONFIG_INVALID
    assert "transformations.1" in str(failed.error)


def test_input_that_is_not_there(workspace: Workspace) -> None:
    failed = result(workspace, input_source="inbox/none.csv")
    assert failed.error_code is Code.INPUT_LOAD_FAILED


def test_a_rule_that_cannot_be_planned_is_named(workspace: Workspace) -> None:
    failed = result(workspace, transformation_rules=[{"type": "filter", "name": "big", "condition": "totl > 1"}])
    assert failed.error_code is Code.TRANSFORMATION_FAILED
    assert "Rule 'big' failed: column \"totl\" not found" in str(failed.error)


def test_a_rule_that_fails_for_a_row_is_named(workspace: Workspace) -> None:
    (workspace.project.root / "inbox" / "bad.csv").write_text(BAD)
    failed = result(workspace, input_source="inbox/bad.csv", transformation_rules=[CAST])
    assert failed.error_code is Code.TRANSFORMATION_FAILED
    assert "Rule 'ids' failed: " in str(failed.error)
    assert "x1" in str(failed.error), "the first offending row"
    assert workspace.store(workspace.lake()).tables() == []


def test_skip_drops_and_counts_and_log_keeps_going(workspace: Workspace) -> None:
    (workspace.project.root / "inbox" / "bad.csv").write_text(BAD)
    options = {"input_source": "inbox/bad.csv", "transformation_rules": [CAST]}
    skipped = result(workspace, error_handling="skip", **options).unwrap()
    assert (skipped.rows.quarantined, skipped.rows.loaded) == (5, 95)
    logged = result(workspace, error_handling="log", **options).unwrap()
    assert (logged.rows.quarantined, logged.rows.loaded) == (0, 100)
    assert logged.warnings == ("ids: cast id became NULL in 5 rows",)
    assert sum(row[0] is None for row in rows(workspace)) == 5


@pytest.mark.parametrize(("more", "fine"), [("", True), ("x6,1\n", False)])
def test_five_bad_rows_of_a_hundred_pass_and_six_fail(workspace: Workspace, more: str, fine: bool) -> None:
    text = BAD.replace("95,95\n", "") + more if more else BAD
    (workspace.project.root / "inbox" / "bad.csv").write_text(text)
    done = result(workspace, input_source="inbox/bad.csv", transformation_rules=[CAST], error_handling="skip")
    assert done.error_code is (None if fine else Code.ERROR_RATE_EXCEEDED)


def test_nothing_transformed_is_a_failure_and_nothing_to_transform_is_not(workspace: Workspace) -> None:
    inbox = workspace.project.root / "inbox"
    (inbox / "bad.csv").write_text("id,total\nx1,1\nx2,1\n")
    (inbox / "empty.csv").write_text("id,total\n")
    options = {"error_handling": "skip", "max_error_percentage": 100, "transformation_rules": [CAST]}
    assert result(workspace, transformation_rules=[CAST]).unwrap().published
    failed = result(workspace, input_source="inbox/bad.csv", **options)
    assert failed.error_code is Code.NO_DATA_TRANSFORMED
    empty = result(workspace, input_source="inbox/empty.csv", output_destination="nothing", **options).unwrap()
    assert empty.rows.loaded == 0
    logged = result(workspace, input_source="inbox/bad.csv", **{**options, "error_handling": "log"}).unwrap()
    assert (logged.rows.loaded, logged.rows.quarantined) == (2, 0)
    kept = result(workspace, transformation_rules=[{"type": "filter", "condition": "total > 99"}]).unwrap()
    assert (kept.rows.filtered, kept.rows.loaded) == (2, 0)


def test_the_output_schema_is_checked_by_families_before_a_row_is_read(workspace: Workspace) -> None:
    fine = {"id": "int", "twice": "number", "TOTAL": "bigint"}
    assert result(workspace, expected_output_schema=fine).unwrap().published
    wrong = {"id": "string", "absent": "int", "total": "interval", "twice": "nummer"}
    failed = result(workspace, expected_output_schema=wrong, output_destination="other")
    assert failed.error_code is Code.SCHEMA_VALIDATION_FAILED
    for part in (
        "missing: absent",
        "id is BIGINT, not string",
        "total is BIGINT, not interval",
        '"nummer" is not a SQL type',
    ):
        assert part in str(failed.error)
    assert "other" not in workspace.store(workspace.lake()).tables()
    assert result(workspace, expected_output_schema=wrong, validate_output=False).unwrap().published


def test_a_failing_quality_rule_keeps_the_output_from_being_saved(workspace: Workspace) -> None:
    rules = [{"type": "range", "column": "twice", "max": 20}]
    failed = result(workspace, data_quality_rules=rules)
    assert failed.error_code is Code.QUALITY_VALIDATION_FAILED
    assert workspace.store(workspace.lake()).tables() == []
    assert result(workspace, data_quality_rules=rules, validate_output=False).unwrap().published


def test_an_output_that_cannot_be_written(workspace: Workspace) -> None:
    (workspace.project.root / ".headgate").mkdir(exist_ok=True)
    (workspace.project.root / ".headgate" / "lake").write_text("a file is in the way")
    failed = result(workspace)
    assert failed.error_code is Code.OUTPUT_SAVE_FAILED, failed.error
    failed = result(workspace, output_destination="line\nbreak")
    assert failed.error_code is Code.OUTPUT_SAVE_FAILED, failed.error


def test_a_failure_is_told_in_the_options_of_the_command(workspace: Workspace) -> None:
    (workspace.project.root / "inbox" / "bad.csv").write_text(BAD + "x6,1\n")
    bad: dict[str, Any] = {"input_source": "inbox/bad.csv", "transformation_rules": [CAST]}
    assert "error_handling: skip" in str(result(workspace, **bad).error)
    assert "raise max_error_percentage" in str(result(workspace, **bad, error_handling="skip").error)


def test_each_transformation_has_an_id_of_its_own(workspace: Workspace) -> None:
    assert result(workspace).unwrap().run_id != result(workspace).unwrap().run_id
