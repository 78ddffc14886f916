"""Documentation as pages, the recommended pattern with its reasons, and the checklist."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.cli.face import Face

if TYPE_CHECKING:
    from headgate.diagrams.pages.checklist import Line

MARKS = {"done": ("[x]", "green"), "open": ("[ ]", "yellow"), "wrong": ("[!]", "red")}


class Latency(StrEnum):
    REAL_TIME = "real-time"
    NEAR_REAL_TIME = "near-real-time"
    BATCH = "batch"


class Complexity(StrEnum):
    SIMPLE = "simple"
    MODERATE = "moderate"
    COMPLEX = "complex"


class Power(StrEnum):
    LIMITED = "limited"
    MODERATE = "moderate"
    POWERFUL = "powerful"


def docs(
    face: Face,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where the site is written, relative to the project.")
    ] = Path("site"),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; name what differs from the project, and exit with 1.")
    ] = False,
    live: Annotated[
        bool, typer.Option("--live", help="Ask the sources too: lineage, tables and messages of each plan.")
    ] = False,
) -> None:
    """Write the project's documentation as a static site."""
    from headgate.queries.documentation import drift, pages

    with face.workspace() as workspace:
        wanted = pages(workspace, live=live, variables=face.variables)
        place = workspace.project.root / folder
    found = drift(wanted, place)
    if not check:
        _write(place, wanted, [one["path"] for one in found if one["problem"] == "no longer wanted"])
    if face.json:
        face.document({"folder": str(folder), "files": len(wanted), "changed": found})
    elif check:
        for one in found:
            face.line(f"{one['problem']}: {one['path']}", "red")
        face.line(
            f"{folder} is up to date" if not found else "write it again: headgate docs", "green" if not found else None
        )
    else:
        face.line(f"{len(wanted)} files in {folder}, {len(found)} changed; open {folder / 'index.html'}", "green")
    if check and found:
        raise typer.Exit(1)


def _write(folder: Path, wanted: dict[str, bytes], old: list[str]) -> None:
    """Write what differs, and remove pages that an earlier call wrote; a folder of something else is not touched."""
    from headgate.core.errors import Code, FatalError
    from headgate.io import files

    mark = folder / "assets" / "site.js"
    if folder.is_dir() and any(folder.iterdir()) and not mark.is_file():
        raise FatalError(
            Code.USAGE,
            "the folder holds something else",
            operation="docs",
            object=str(folder),
            hint="name an empty folder, or one that headgate docs wrote",
        )
    with files.told("write", folder):
        for path, content in wanted.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.is_file() or file.read_bytes() != content:
                file.write_bytes(content)
        for path in old:
            (folder / path).unlink(missing_ok=True)


def recommend(
    face: Face,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Count sources and know the target of it.", show_default=False)
    ] = None,
    volume: Annotated[float | None, typer.Option("--volume", metavar="GB", help="GB a day.")] = None,
    latency: Annotated[Latency | None, typer.Option(help="How old data may be.")] = None,
    sources: Annotated[int | None, typer.Option(metavar="N", help="Systems that are read.")] = None,
    complexity: Annotated[Complexity | None, typer.Option(help="How much is done to the data.")] = None,
    power: Annotated[Power | None, typer.Option(help="What the target can compute; default by its kind.")] = None,
    target: Annotated[
        str | None, typer.Option(metavar="KIND", help="The target, such as snowflake or postgres.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Somebody wants the data as it came.")] = False,
) -> None:
    """Recommend a pattern (ETL, ELT, streaming), by stated rules and with reasons."""
    from headgate.queries.recommend import recommend as query
    from headgate.queries.recommend import requirements

    given = requirements(
        volume=volume,
        latency=latency.value if latency else None,
        sources=sources,
        complexity=complexity.value if complexity else None,
        power=power.value if power else None,
        target=target,
        raw=raw,
        chain=_chain(face, name) if name else None,
    )
    found = query(given)
    if face.json:
        face.document({"requirements": given.model_dump(), **found.as_dict()})
        return
    face.line(found.pattern, "green")
    face.line(f"rule: {found.rule}")
    face.line(f"with headgate: {found.with_headgate}")
    face.line()
    face.table(("requirement", "speaks for", "because"), [(r.requirement, r.speaks_for, r.why) for r in found.reasons])


def _chain(face: Face, name: str) -> Any:
    from headgate.diagrams.pipelines.chain import chain_of

    with face.workspace() as workspace:
        return chain_of(workspace.project, name)


def checklist_show(
    face: Face,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Pipelines; default all.", show_default=False)
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 while anything is open or wrong.")] = False,
) -> None:
    """Show what must be known and true before data is relied on; what can be checked is."""
    from headgate.diagrams.pages.checklist import document
    from headgate.queries.checklist import checklist

    with face.workspace() as workspace:
        lines = checklist(workspace, tuple(names or ()))
    found = document(lines)
    if face.json:
        face.document(found)
    else:
        _print_checklist(face, lines)
        left = len(found["open"])
        face.line()
        face.line(
            f"{left} of {len(lines)} items are open" if left else "nothing is open", "yellow" if left else "green"
        )
    if strict and found["open"]:
        raise typer.Exit(1)


def _print_checklist(face: Face, lines: list[Line]) -> None:
    part = ""
    for line in lines:
        if line.part != part:
            part = line.part
            face.line()
            face.line(part, "cyan")
        mark, colour = MARKS[line.state]
        said = f"  {line.said}" if line.said and line.said != "checked" else ""
        face.line(f"{mark} {line.key}: {line.text}{said}", colour)  # type: ignore[arg-type]
        if line.hint:
            face.line(f"      if this fails: {line.hint}" if line.state == "wrong" else f"      {line.hint}")


def checklist_answer(
    face: Face,
    key: Annotated[str, typer.Argument(metavar="ITEM", help="The item, as show names it.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The answer; empty takes it back.")],
) -> None:
    """Answer an item; answers are kept in requirements.yml."""
    from headgate.commands.handle import handle
    from headgate.commands.models import AnswerChecklist

    with face.workspace() as workspace:
        answered = handle(AnswerChecklist(key=key, answer=text), workspace).unwrap()
    if face.json:
        face.document(answered)
    else:
        face.line(f"{key}: {text}" if text else f"{key}: open again", "green")
