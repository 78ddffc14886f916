"""One-stage plans: extract, load and transform as commands, on the same machinery as every pipeline."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, assert_never

from headgate.commands import extract, load, transform, validate
from headgate.commands.models import ExtractData, LoadData, TransformData, ValidateData
from headgate.config.dump import dump
from headgate.config.load import load_project
from headgate.config.models import LAKE
from headgate.core.errors import Code, FatalError
from headgate.core.results import Result
from headgate.execute.workspace import Workspace

Single = ExtractData | LoadData | TransformData | ValidateData
FILE_ENDINGS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".pq")


def run_single(command: Single, workspace: Workspace) -> Result[Any]:
    """Run a command as a pipeline of its own; the value is its receipt.

    Each has a name, and so a lock, an epoch and (for incremental extracts) a watermark of its own.

    Raises:
        FatalError: SOURCE_NOT_FOUND or TARGET_CONNECTION_NOT_FOUND for unknown connections; CONFIG_INVALID for
            options that no pipeline could have; USAGE where it would come in the way of a pipeline of the project.
    """
    name, definition = _pipeline(command, workspace)
    if name in workspace.project.pipelines:
        raise FatalError(
            Code.USAGE,
            f"the command would have the lock and the watermark of the pipeline {name}",
            operation=name.split("-", 1)[0],
            object=name,
            hint="give the pipeline another name, or run it",
        )
    with _extended(workspace, name, definition, command) as extended:
        if isinstance(command, TransformData):
            return transform.run_transform(command, extended, name)
        if isinstance(command, ValidateData):
            return validate.run_validate(command, extended, name)
        if isinstance(command, LoadData):
            return load.run_load(extended, name)
        return extract.run_extract(command, extended, name)


def _extended(
    workspace: Workspace,
    name: str,
    definition: Mapping[str, Any],
    command: Single,
) -> Workspace:
    """The project with one more pipeline, which no file has."""
    text = dump({"pipelines": {name: definition}})
    project = load_project(
        workspace.project.root, workspace.registry, deep=False, instead={f"pipelines/{name}.yml": text}
    )
    if isinstance(command, LoadData):
        project = load.with_workers(command, project)
    return Workspace(project, workspace.registry, workspace.listeners, workspace.clock)


def _pipeline(command: Single, workspace: Workspace) -> tuple[str, dict[str, Any]]:
    match command:
        case ExtractData():
            folder = [command.output_connection] if command.output_connection else []
            target = command.target_table or _free_name(command, workspace)
            usual = not command.target_table and target == _usual_names(command)[0]
            name = _name("extract", command.source_name, command.table_name, *folder, *([] if usual else [target]))
            return name, extract.definition(command, workspace, target)
        case LoadData():
            name = _name("load", command.target_connection, command.target_table)
            return name, load.definition(command, workspace, _from_data(command.source_data))
        case TransformData():
            name = _name("transform", command.output_destination)
            return name, transform.definition(command, _from_data(command.input_source))
        case ValidateData():
            name = _name("validate", *([command.connection] if command.connection else []), command.dataset)
            return name, validate.definition(command, _from_data(command.dataset))
        case _:
            assert_never(command)


def _from_data(text: str) -> dict[str, Any]:
    """A file of the project or a table of the lake, told apart by how the text looks."""
    is_file = "/" in text or "*" in text or PurePath(text).suffix.lower() in FILE_ENDINGS
    return {"path": text} if is_file else {"table": text}


def _usual_names(command: ExtractData) -> list[str]:
    """What the extracted rows may be called where the command does not say it, first choice first."""
    name = _table_name(command.table_name)
    if command.output_connection:
        return [f"{command.source_name}/{name}"]
    return [name, f"{_table_name(command.source_name)}_{name}"]


def _free_name(command: ExtractData, workspace: Workspace) -> str:
    """The first of those that no pipeline of the project publishes: its rows are not to be replaced or mixed with."""
    into = command.output_connection or LAKE
    published = {
        target.table.casefold(): name
        for name, pipeline in workspace.project.pipelines.items()
        for target, address in zip(pipeline.targets, pipeline.target_addresses, strict=True)
        if address.name == into
    }
    names = _usual_names(command)
    for name in names:
        if name.casefold() not in published:
            return name
    raise FatalError(
        Code.USAGE,
        f'the pipeline {published[names[-1].casefold()]} publishes "{names[-1]}", where the rows would go',
        operation="extract",
        object=command.table_name,
        hint="say another target_table",
    )


def _table_name(text: str) -> str:
    """What an extracted table or file is called in the lake."""
    path = PurePath(text)
    stem = path.stem if path.suffix.lower() in FILE_ENDINGS else text.rsplit(".", 1)[-1]
    return re.sub(r"\W+", "_", stem).strip("_") or "extracted"


def _name(*parts: str) -> str:
    """A pipeline's name for a command: readable, and another for every other input."""
    text = "-".join(parts)
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", text)[:80]
    return readable if readable == text else f"{readable}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
