"""Pipelines as records: created, changed and deleted in the project's files, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headgate.commands.models import CreatePipeline, DeletePipeline, UpdatePipeline
from headgate.config.files import PIPELINE_MARKS, read_files
from headgate.config.write import create_pipeline, delete_pipeline, set_pipeline
from headgate.config.yaml import parse, plain
from headgate.core.errors import Code, FatalError
from headgate.core.registry import PackageRegistry
from headgate.core.results import Result
from headgate.execute.workspace import Workspace


def change(command: CreatePipeline | UpdatePipeline | DeletePipeline, workspace: Workspace) -> Result[Any]:
    """Do it in the project's files; the value is ``{"name", "file"}``."""
    return change_in(command, workspace.project.root)


def change_in(command: CreatePipeline | UpdatePipeline | DeletePipeline, root: Path) -> Result[Any]:
    """As :func:`change`, also in a project that has problems: mending it must be possible.

    Raises:
        FatalError: NOT_FOUND; CONFIG_INVALID with every problem that the change would bring.
    """
    registry = PackageRegistry()
    match command:
        case CreatePipeline(replace=True) if _exists(root, command.name):
            path = set_pipeline(root, command.name, _replaced(root, command), registry)
        case CreatePipeline():
            path = create_pipeline(root, command.name, command.definition, registry)
        case UpdatePipeline():
            path = set_pipeline(root, command.name, command.updates, registry)
        case DeletePipeline():
            path = delete_pipeline(root, command.name, registry)
    return Result.ok({"name": command.name, "file": str(path.relative_to(root))})


def definition_of(text: str, file: str) -> dict[str, Any]:
    """The pipeline in a text: itself, or the only one under some name.

    Raises:
        FatalError: CONFIG_INVALID with file and line.
    """
    document: dict[str, Any] = plain(parse(text, file))
    found: Any = document.get("pipelines", document)
    if isinstance(found, dict) and len(found) == 1 and not PIPELINE_MARKS & found.keys():
        found = next(iter(found.values()))
    if not isinstance(found, dict) or not found:
        raise FatalError(
            Code.CONFIG_INVALID,
            "it holds no pipeline",
            operation="read",
            object=file,
            hint="write a mapping with source and target",
        )
    return found


def value_of(text: str) -> Any:
    """A value as YAML reads it; ``null`` removes the key."""
    return plain(parse(f"value: {text}", "VALUE"))["value"]


def _exists(root: Path, name: str) -> bool:
    return name in read_files(root).pipelines


def _replaced(root: Path, command: CreatePipeline) -> dict[str, Any]:
    """Updates that make the whole pipeline what the command says."""
    section, _ = read_files(root).pipelines[command.name]
    return {**dict.fromkeys(section), **command.definition}
