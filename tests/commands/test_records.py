"""Pipelines as records: whole or not at all, under one name each."""

from __future__ import annotations

import pytest

from headgate.commands.handle import handle
from headgate.commands.models import CreatePipeline, DeletePipeline, UpdatePipeline
from headgate.commands.records import definition_of, value_of
from headgate.core.errors import Code, FatalError
from headgate.execute.workspace import Workspace

ORDERS = {"source": {"connection": "shop", "table": "orders"}, "target": {"table": "orders", "mode": "overwrite"}}


def reloaded(workspace: Workspace) -> Workspace:
    return Workspace.load(workspace.project.root, deep=True)


def test_a_record_is_created_updated_replaced_and_deleted(workspace: Workspace) -> None:
    created = handle(CreatePipeline(name="orders", definition=ORDERS), workspace)
    assert created.value == {"name": "orders", "file": "pipelines/orders.yml"}
    assert reloaded(workspace).project.pipeline("orders").targets[0].mode == "overwrite"
    taken = handle(CreatePipeline(name="orders", definition=ORDERS), workspace)
    assert taken.error_code is Code.CONFIG_INVALID
    assert "already exists" in str(taken.error)
    assert not handle(
        UpdatePipeline(name="orders", updates={"owner": "me", "target.mode": "append"}), workspace
    ).is_failure
    changed = reloaded(workspace).project.pipeline("orders")
    assert (changed.owner, changed.targets[0].mode) == ("me", "append")
    assert not handle(CreatePipeline(name="orders", definition=ORDERS, replace=True), workspace).is_failure
    assert reloaded(workspace).project.pipeline("orders").owner is None
    assert not handle(DeletePipeline(name="orders"), workspace).is_failure
    assert dict(reloaded(workspace).project.pipelines) == {}
    assert handle(DeletePipeline(name="orders"), workspace).error_code is Code.NOT_FOUND


def test_a_record_that_brings_problems_is_refused(workspace: Workspace) -> None:
    result = handle(CreatePipeline(name="orders", definition={**ORDERS, "sorce": 1}), workspace)
    assert result.error_code is Code.CONFIG_INVALID
    assert not (workspace.project.root / "pipelines").exists()


@pytest.mark.parametrize(
    "text",
    [
        "source: {table: a}\ntarget: {table: b}",
        "b: {source: {table: a}, target: {table: b}}",
        "pipelines: {b: {source: {table: a}, target: {table: b}}}",
        '{"source": {"table": "a"}, "target": {"table": "b"}}',
    ],
)
def test_a_definition_is_read_in_every_shape_that_files_have(text: str) -> None:
    assert definition_of(text, "stdin") == {"source": {"table": "a"}, "target": {"table": "b"}}


@pytest.mark.parametrize("text", ["", "pipelines: {}", "- a", "a: [", "b: 5"])
def test_what_is_no_pipeline_is_refused(text: str) -> None:
    with pytest.raises(FatalError) as raised:
        definition_of(text, "stdin")
    assert raised.value.code is Code.CONFIG_INVALID


def test_values_are_read_as_yaml() -> None:
    assert value_of("5") == 5
    assert value_of("[a, b]") == ["a", "b"]
    assert value_of("null") is None
    assert value_of("append") == "append"
