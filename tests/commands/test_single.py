"""Extract, transform and load as commands run one-stage plans on the same machinery as every pipeline."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from headgate.commands.handle import handle
from headgate.commands.models import ExtractData, LoadData, TransformData
from headgate.core.errors import Code
from headgate.execute.workspace import Workspace
from headgate.queries.tables import query


def rows(workspace: Workspace, table: str, connection: str | None = None) -> list[tuple[Any, ...]]:
    return sorted(query(workspace, f"SELECT * FROM {table}", connection=connection).rows)


def test_a_table_is_extracted_into_the_lake(workspace: Workspace) -> None:
    result = handle(ExtractData(source_name="shop", table_name="orders", extract_mode="full"), workspace)
    assert result.failure is None, result.failure
    assert result.unwrap().rows.loaded == 3
    assert rows(workspace, "orders") == [(1, 10), (2, 20), (3, 30)]
    again = handle(
        ExtractData(source_name="shop", table_name="orders", extract_mode="full", target_table="copy"), workspace
    )
    assert again.unwrap().published
    assert rows(workspace, "copy") == rows(workspace, "orders")


def test_a_file_is_extracted_into_a_table_named_after_it(workspace: Workspace) -> None:
    result = handle(ExtractData(source_name="inbox", table_name="new orders.csv", extract_mode="full"), workspace)
    assert result.unwrap().targets[0].table == "new_orders"
    assert rows(workspace, "new_orders") == [(1, 10), (2, 20)]


def test_files_are_extracted_incrementally(workspace: Workspace) -> None:
    command = ExtractData(source_name="inbox", table_name="*.csv", extract_mode="incremental", target_table="landed")
    assert handle(command, workspace).unwrap().rows.loaded == 2
    assert handle(command, workspace).unwrap().status.value == "skipped"
    (workspace.project.root / "inbox" / "more.csv").write_text("id,total\n9,90\n")
    assert handle(command, workspace).unwrap().rows.loaded == 1
    assert rows(workspace, "landed") == [(1, 10), (2, 20), (9, 90)]


def test_a_table_is_transformed_into_another(workspace: Workspace) -> None:
    handle(ExtractData(source_name="shop", table_name="orders", extract_mode="full"), workspace).unwrap()
    command = TransformData(
        input_source="orders",
        output_destination="big",
        transformation_rules=(
            {"type": "filter", "condition": "total > 10"},
            {"type": "calculate", "columns": {"twice": "total * 2"}},
        ),
    )
    receipt = handle(command, workspace).unwrap()
    assert (receipt.rows.filtered, receipt.rows.loaded) == (1, 2)
    assert rows(workspace, "big") == [(2, 20, 40), (3, 30, 60)]


@pytest.mark.parametrize(("mode", "expected"), [("append", 4), ("overwrite", 2), ("replace", 2), ("upsert", 2)])
def test_a_file_is_loaded_into_a_target(workspace: Workspace, mode: str, expected: int) -> None:
    keys = ("id",) if mode == "upsert" else ()
    command = LoadData(
        source_data="inbox/new orders.csv",
        target_connection="shop",
        target_table="loaded",
        load_mode=mode,
        merge_keys=keys,
    )
    for _ in range(2):
        result = handle(command, workspace)
        assert result.failure is None, result.failure
    assert len(rows(workspace, "loaded", "shop")) == expected


@pytest.mark.parametrize(
    ("command", "code", "hint"),
    [
        (ExtractData(source_name="shopp", table_name="orders"), Code.SOURCE_NOT_FOUND, 'did you mean "shop"?'),
        (ExtractData(source_name="shop", table_name="nonsense", extract_mode="full"), Code.TABLE_NOT_FOUND, ""),
        (
            LoadData(source_data="inbox/new orders.csv", target_connection="shopp", target_table="t"),
            Code.TARGET_CONNECTION_NOT_FOUND,
            'did you mean "shop"?',
        ),
        (
            LoadData(source_data="inbox/none.csv", target_connection="shop", target_table="t"),
            Code.SOURCE_LOAD_FAILED,
            "",
        ),
        (LoadData(source_data="nonsense", target_connection="shop", target_table="t"), Code.SOURCE_LOAD_FAILED, ""),
        (
            TransformData(
                input_source="inbox/new orders.csv", output_destination="t", transformation_rules=({"type": "explode"},)
            ),
            Code.CONFIG_INVALID,
            "",
        ),
    ],
)
def test_a_failure_has_its_code_and_changes_nothing(workspace: Workspace, command: Any, code: Code, hint: str) -> None:
    result = handle(command, workspace)
    assert result.is_failure
    assert result.error_code is code, result.error
    assert result.failure is not None
    assert hint in result.failure.hint
    assert workspace.store(workspace.lake()).tables() == []


def test_a_command_is_checked_when_it_is_made() -> None:
    with pytest.raises(ValidationError):
        ExtractData(source_name="", table_name="orders")
    with pytest.raises(ValidationError):
        TransformData(input_source="a", output_destination="b", transformation_rules=())
