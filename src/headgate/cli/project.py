"""The project itself: make one, show its configuration, change pipelines as records, print the schema."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.cli.face import Face

if TYPE_CHECKING:
    from headgate.commands.models import CreatePipeline, DeletePipeline, UpdatePipeline

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
    from headgate.config.dump import dump

    with face.workspace() as workspace:
        names = [name] if name else list(workspace.project.pipelines)
        found: dict[str, Any] = {one: workspace.project.pipeline(one).canonical() for one in names}
    document = found[name] if name else found
    if face.json:
        face.document(document)
    else:
        face.line(dump({"pipelines": found}).rstrip("\n"))


def config_create(
    face: Face,
    name: NameArgument,
    file: Annotated[Path, typer.Option("--from", metavar="FILE", help="YAML or JSON of the pipeline; - is stdin.")],
    replace: Annotated[bool, typer.Option("--replace", help="Replace a pipeline of this name.")] = False,
) -> None:
    """Add a pipeline to the project, if all is well with it."""
    from headgate.commands.models import CreatePipeline
    from headgate.commands.records import definition_of

    text = sys.stdin.read() if str(file) == "-" else _read(file)
    definition = definition_of(text, "stdin" if str(file) == "-" else str(file))
    _change(face, CreatePipeline(name=name, definition=definition, replace=replace), "wrote")


def config_set(
    face: Face,
    name: NameArgument,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Dotted, such as source.mode.")],
    value: Annotated[
        str, typer.Argument(metavar="VALUE", help="YAML, such as append, 5 or [a, b]; null removes the key.")
    ],
) -> None:
    """Change one value of a pipeline, if all is well with it."""
    from headgate.commands.models import UpdatePipeline
    from headgate.commands.records import value_of

    _change(face, UpdatePipeline(name=name, updates={key: value_of(value)}), "changed")


def config_delete(face: Face, name: NameArgument) -> None:
    """Remove a pipeline; its tables and its history stay."""
    from headgate.commands.models import DeletePipeline

    _change(face, DeletePipeline(name=name), "deleted")


def _change(face: Face, command: CreatePipeline | UpdatePipeline | DeletePipeline, done: str) -> None:
    from headgate.commands.records import change_in

    value = change_in(command, face.root).unwrap()
    if face.json:
        face.document(value)
    else:
        face.line(f"{done} {value['name']} in {value['file']}")


def _read(file: Path) -> str:
    from headgate.core.errors import Code, FatalError

    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise FatalError(
            Code.USAGE, reason, operation="read", object=str(file), hint="--from FILE, or - for stdin"
        ) from None


def config_expectations(
    face: Face,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A suite as JSON.")],
    skip: Annotated[bool, typer.Option("--skip", help="Leave out what has no counterpart, and name it.")] = False,
) -> None:
    """Translate a suite of Great Expectations into quality rules."""
    from headgate.config.dump import dump
    from headgate.config.expectations import rules_of
    from headgate.core.errors import Code, FatalError
    from headgate.io import files

    path = face.directory / file
    with files.told("read", path):
        rules, missing = rules_of(path.read_text(encoding="utf-8"), str(file))
    if missing and not skip:
        raise FatalError(
            Code.UNSUPPORTED,
            f"{len(missing)} of {len(rules) + len(missing)} expectations have no counterpart: {'; '.join(missing)}",
            operation="expectations",
            object=str(file),
            hint="translate the others with --skip, and write these as rules of type sql or python",
        )
    if face.json:
        face.document({"quality_rules": rules, "skipped": missing})
        return
    face.line(dump({"quality_rules": rules}).rstrip("\n"))
    for one in missing:
        face.note(f"left out: {one}")
