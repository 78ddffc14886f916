"""Profiles for people: a table in the terminal, a page for the browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.cli.face import Face

if TYPE_CHECKING:
    from headgate.queries.profile import Profile

_BARS = " ▁▂▃▄▅▆▇█"


def profile(
    face: Face,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A pipeline, whose first target is meant, or a table.")],
    connection: Annotated[
        str | None, typer.Option(metavar="NAME", help="The connection that the table is in; default the lake.")
    ] = None,
    at: Annotated[str | None, typer.Option(metavar="VERSION", help="The table as it was: a commit or a time.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page for the browser too.")] = None,
) -> None:
    """Show what the columns of a table hold."""
    from headgate.queries.profile import profile as query

    with face.workspace() as workspace:
        found = query(workspace, name, connection=connection, at=at)
    if html is not None:
        _write(html, found)
    if face.json:
        face.document(found.as_dict())
        return
    face.line(f"{found.table}: {found.rows:,} rows, {len(found.columns)} columns", "cyan")
    columns = ("column", "type", "null %", "distinct ~", "min", "max", "mean", "spread or frequent")
    face.table(columns, [_row(column) for column in found.as_dict()["columns"]])
    if html is not None:
        face.note(f"written: {html}")


def _row(column: dict[str, Any]) -> tuple[Any, ...]:
    return (
        column["name"],
        column["type"],
        f"{column['null_percentage']:.3g}",
        "" if column["distinct"] is None else f"{column['distinct']:,}",
        _short(column["min"]),
        _short(column["max"]),
        "" if column["mean"] is None else f"{column['mean']:.6g}",
        bars(column["histogram"]) if column["histogram"] else _short(", ".join(map(str, column["top"])), 32),
    )


def bars(shares: list[float]) -> str:
    """A histogram of one line."""
    highest = max(shares, default=0)
    if not highest:
        return ""
    return "".join(_BARS[max(1, round(share / highest * 8)) if share else 0] for share in shares)


def _short(value: Any, width: int = 24) -> str:
    text = "" if value is None else " ".join(str(value).split())
    return text if len(text) <= width else text[: width - 1] + "…"


def _write(path: Path, found: Profile) -> None:
    from headgate.core.errors import Code, FatalError
    from headgate.queries.profile_page import page

    try:
        path.write_text(page(found), encoding="utf-8")
    except OSError as error:
        raise FatalError(
            Code.STORAGE_FAILED,
            str(error),
            operation="profile",
            object=str(path),
            hint="name another file",
        ) from error
