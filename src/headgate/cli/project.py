"""The project itself: make one, show its configuration, change pipelines as records, print the schema."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.cli.face import Face

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The pipeline.")]


def init(
    face: Face, folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where.", show_default=False)] = Path()
) -> None:
    """Make a small project that runs as it is."""
    from headgate.commands.init import init_project
    from headgate.commands.models import InitProject

    made = init_project(InitProject(folder=str(face.directory / folder))).unwrap()
    if face.json:
        face.document(made)
        return
    for name in made["files"]:
        face.line(f"created {name}")
    where = "" if Path(made["folder"]) == Path.cwd() else f" -C {folder}"
    face.line()
    face.line("next:", "cyan")
    face.line(f"  headgate check{where}")
    face.line(f"  headgate run orders{where}")


def schema(face: Face) -> None:
    """Print the JSON Schema of the YAML."""
    from headgate.config.schema import project_schema
    from headgate.core.registry import PackageRegistry

    face.document(project_schema(PackageRegistry()))


def config_list(face: Face) -> None:
    """List the pipelines."""
    with face.workspace() as workspace:
        found = [
            {
                "name": pipeline.name,
                "file": pipeline.file,
                "type": pipeline.type,
                "owner": pipeline.owner,
                "schedule": pipeline.schedule,
                "tags": list(pipeline.tags),
                "depends_on": list(pipeline.depends_on),
                "description": pipeline.description,
            }
            for pipeline in workspace.project.pipelines.values()
        ]
    if face.json:
        face.document(found)
    elif found:
        columns = ("name", "file", "owner", "schedule", "description")
        face.table(columns, [[one[column] for column in columns] for one in found])
    else:
        face.line("no pipelines yet: write one to pipelines/")


def config_show(
    face: Face, name: Annotated[str | None, typer.Argument(metavar="NAME", help="One pipeline; default all.")] = None
) -> None:
    """Show pipelines in the one canonical spelling, secrets as references."""
    from headgate.config.write import as_yaml

    with face.workspace() as workspace:
        names = [name] if name else list(workspace.project.pipelines)
        found: dict[str, Any] = {one: workspace.project.pipeline(one).canonical() for one in names}
    document = found[name] if name else found
    if face.json:
        face.document(document)
    else:
        face.line(as_yaml({"pipelines": found}).rstrip("\n"))


def config_create(
    face: Face,
    name: NameArgument,
    file: Annotated[Path, typer.Option("--from", metavar="FILE", help="YAML or JSON of the pipeline; - is stdin.")],
    replace: Annotated[bool, typer.Option("--replace", help="Replace a pipeline of this name.")] = False,
) -> None:
    """Add a pipeline to the project, if the project is valid with it."""
    from headgate.commands.records import definition_of

    text = sys.stdin.read() if str(file) == "-" else _read(file)
    _create(face, name, definition_of(text, str(file)), replace=replace)


def config_set(
    face: Face,
    name: NameArgument,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Dotted, such as source.mode or targets.0.table.")],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="YAML, such as append, 5 or [a, b].")],
) -> None:
    """Change one value of a pipeline, if the project is valid with it."""
    from headgate.commands.records import changed

    with face.workspace() as workspace:
        definition = changed(workspace.project.pipeline(name).canonical(), key, value)
    _create(face, name, definition, replace=True)


def config_delete(face: Face, name: NameArgument) -> None:
    """Remove a pipeline from the project; its tables and its history stay."""
    from headgate.commands.models import DeletePipeline

    _change(face, DeletePipeline(name=name), f"deleted {name}")


def _create(face: Face, name: str, definition: dict[str, Any], *, replace: bool) -> None:
    from headgate.commands.models import CreatePipeline

    command = CreatePipeline(name=name, definition=definition, replace=replace)
    _change(face, command, f"{'changed' if replace else 'created'} {name}")


def _change(face: Face, command: Any, done: str) -> None:
    from headgate.commands.handle import handle

    with face.workspace() as workspace:
        value = handle(command, workspace).unwrap()
    if face.json:
        face.document(value)
    else:
        face.line(f"{done}: {value['file']}")


def _read(file: Path) -> str:
    from headgate.core.errors import Code, FatalError

    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise FatalError(
            Code.USAGE, reason, operation="read", object=str(file), hint="--from FILE, or - for stdin"
        ) from None
