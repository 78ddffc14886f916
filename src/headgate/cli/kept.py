"""What stores keep beside tables: watermarks and the quarantine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli.face import Face

if TYPE_CHECKING:
    from headgate.commands.handle import AnyCommand

NamesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="NAME", help="Pipelines; default all.", show_default=False)
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The pipeline.")]
SourceOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="One of its sources, as state show names it; default all.")
]
EntryArgument = Annotated[str, typer.Argument(metavar="ID", help="The entry, as quarantine list names it.")]


def state_show(face: Face, names: NamesArgument = None) -> None:
    """Show how far published runs have read."""
    from headgate.core.errors import exit_status
    from headgate.queries.state import watermarks

    with face.workspace() as workspace:
        shown = watermarks(workspace, names or ())
    found, failure = shown.found, shown.failure
    if face.json:
        if failure is not None:
            face.trace(failure)
        face.document(found if failure is None else {"error": failure.as_dict(), "watermarks": found})
    elif found:
        columns = ("pipeline", "source", "column", "value", "run_id")
        face.table(columns, [[mark[column] for column in columns] for mark in found])
    elif failure is None:
        face.line("no watermark yet: the next runs read from the beginning")
    if failure is not None:
        if not face.json:
            face.tell(failure)
        raise typer.Exit(exit_status(failure.code))


def state_set(
    face: Face,
    name: NameArgument,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="Everything up to and including it counts as read.")],
    source: SourceOption = None,
) -> None:
    """Set a watermark by hand."""
    from headgate.commands.models import SetWatermark

    _change(
        face,
        SetWatermark(pipeline=name, value=value, source=source),
        f"{name}: the next run reads what lies after {value}",
    )


def state_reset(face: Face, name: NameArgument, source: SourceOption = None) -> None:
    """Forget a watermark: the next run reads from the beginning."""
    from headgate.commands.models import ResetWatermark

    _change(face, ResetWatermark(pipeline=name, source=source), f"{name}: the next run reads from the beginning")


def quarantine_list(face: Face, names: NamesArgument = None) -> None:
    """List rows that were held back, by run and rule."""
    from headgate.queries.quarantine import entries

    with face.workspace() as workspace:
        found = entries(workspace, names or ())
    if face.json:
        face.document(found)
    elif found:
        columns = ("id", "pipeline", "rule", "rows", "status", "run_id")
        face.table(columns, [[entry[column] for column in columns] for entry in found])
    else:
        face.line("no rows were held back")


def quarantine_show(
    face: Face,
    entry: EntryArgument,
    limit: Annotated[int, typer.Option(metavar="N", help="At most so many rows.", min=1)] = 100,
) -> None:
    """Show rows that were held back, with their reasons."""
    from headgate.queries.quarantine import held_rows

    with face.workspace() as workspace:
        found = held_rows(workspace, entry, limit).as_dict()
    if face.json:
        face.document(found)
    else:
        face.table(found["columns"], found["rows"])


def quarantine_replay(face: Face, entry: EntryArgument) -> None:
    """Send rows that were held back through the rest of the plan again."""
    from headgate.cli.runs import finish
    from headgate.commands.handle import handle
    from headgate.commands.models import ReplayQuarantine

    with face.listening() as listeners, face.workspace(listeners) as workspace:
        result = handle(ReplayQuarantine(entry_id=entry), workspace)
    finish(face, [result], alone=True)


def quarantine_mend(
    face: Face,
    entry: EntryArgument,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="COLUMN=EXPRESSION", help="A column's new value, in SQL; may be given often."),
    ] = None,
    sql: Annotated[str | None, typer.Option(metavar="SELECT", help="Or one SELECT over input, all columns.")] = None,
) -> None:
    """Change rows that were held back by SQL, and send them through the rest of the plan again, in one commit."""
    from pydantic import ValidationError

    from headgate.cli.runs import finish
    from headgate.commands.handle import handle
    from headgate.commands.models import MendQuarantine
    from headgate.core.errors import Code, FatalError

    pairs = [one.partition("=") for one in set_ or ()]
    try:
        values = {
            name.strip(): text.strip() for name, equals, text in pairs if equals and name.strip() and text.strip()
        }
        if len(values) < len(pairs):
            raise ValueError("a column is set twice, or there is no COLUMN=EXPRESSION")
        command = MendQuarantine(entry_id=entry, values=values, sql=sql)
    except (ValidationError, ValueError) as error:
        said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        detail = said.removeprefix("Value error, ")
        hint = "--set COLUMN=EXPRESSION, or --sql 'SELECT … FROM input'"
        raise FatalError(Code.USAGE, detail, operation="mend", object=entry, hint=hint) from None
    with face.listening() as listeners, face.workspace(listeners) as workspace:
        result = handle(command, workspace)
    finish(face, [result], alone=True)


def quarantine_export(
    face: Face,
    entry: EntryArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file: .csv, .jsonl or .parquet.")],
) -> None:
    """Write rows that were held back, with their reasons, into a file."""
    from headgate.core.values import counted
    from headgate.queries.exports import export

    with face.workspace() as workspace:
        rows = export(workspace, entry, file)
    if face.json:
        face.document({"id": entry, "file": str(file), "rows": rows})
    else:
        face.line(f"{counted(rows, 'row')} in {file}")


def quarantine_expire(
    face: Face,
    older_than: Annotated[str, typer.Option(metavar="DURATION", help="Such as 30d: held longer ago than that.")],
    names: NamesArgument = None,
) -> None:
    """Let go of rows that were held back long ago, and remove them, with those replayed or discarded since."""
    from headgate.commands.handle import handle
    from headgate.commands.models import ExpireQuarantine
    from headgate.core.errors import Code, FatalError
    from headgate.core.models import duration
    from headgate.core.values import counted

    try:
        age = duration(older_than)
    except ValueError as error:
        raise FatalError(Code.USAGE, str(error), operation="expire", hint="--older-than 30d") from None
    with face.workspace() as workspace:
        done = handle(ExpireQuarantine(older_than=age, pipelines=tuple(names or ())), workspace).unwrap()
    if face.json:
        face.document(done)
        return
    expired = counted(len(done["expired"]), "entry", "entries")
    face.line(f"{expired} expired; the rows of {done['freed']} removed")
    if done["unknown"]:
        face.line(f"of {len(done['unknown'])} nobody knows the age: their runs are not in the history")


def quarantine_discard(face: Face, entry: EntryArgument) -> None:
    """Mark rows that were held back as not wanted, and remove them."""
    from headgate.commands.models import DiscardQuarantine

    _change(face, DiscardQuarantine(entry_id=entry), f"{entry}: discarded")


def _change(face: Face, command: AnyCommand, done: str) -> None:
    from headgate.commands.handle import handle

    with face.workspace() as workspace:
        value = handle(command, workspace).unwrap()
    if face.json:
        face.document(value)
    else:
        face.line(done)
