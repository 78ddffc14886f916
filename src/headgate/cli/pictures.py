"""Pictures: diagrams of pipelines, runs and the project."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli.face import Face

if TYPE_CHECKING:
    from headgate.core.errors import HeadgateError
    from headgate.diagrams.document import Diagram


class Kind(StrEnum):
    ARCHITECTURE = "architecture"
    ACTIVITY = "activity"
    LINEAGE = "lineage"
    SEQUENCE = "sequence"
    DAG = "dag"
    ER = "er"
    RUN = "run"
    BRANCH = "branch"
    STATE = "state"
    DATA_FLOW = "data-flow"
    DEPLOYMENT = "deployment"


class Form(StrEnum):
    MERMAID = "mermaid"
    MARKDOWN = "markdown"
    JSON = "json"
    DOT = "dot"
    TEXT = "text"
    SVG = "svg"
    PNG = "png"


class Way(StrEnum):
    TB = "TB"
    BT = "BT"
    LR = "LR"
    RL = "RL"


ENDINGS = {
    ".mmd": Form.MERMAID, ".mermaid": Form.MERMAID, ".md": Form.MARKDOWN, ".json": Form.JSON, ".dot": Form.DOT,
    ".gv": Form.DOT, ".txt": Form.TEXT, ".svg": Form.SVG, ".png": Form.PNG,
}  # fmt: skip


FileOption = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="Write it to FILE, in the format of its ending: .mmd, .md, .json, .dot, .txt, .svg, .png. Or json: print"
        " one JSON document.",
    ),
]


def diagram(
    face: Face,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The pipeline.", show_default=False)] = None,
    kind: Annotated[
        Kind | None,
        typer.Option(help="What is drawn; default architecture, run with --run, dag without a name."),
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="PATH",
            help="Draw what others wrote instead: Python, Airflow DAGs, a dbt manifest, compose, Kubernetes, Terraform."
            " It is read, never run; NAME then chooses what of it.",
            show_default=False,
        ),
    ] = None,
    run: Annotated[str | None, typer.Option(metavar="RUN", help="Put the rows and times of a run on it.")] = None,
    output: FileOption = None,
    form: Annotated[Form | None, typer.Option("--format", help="Default: by the file's ending, else Mermaid.")] = None,
    direction: Annotated[Way | None, typer.Option(help="Where graphs grow: down, up, right, left.")] = None,
    depth: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="dag: pipelines up and down from NAME; architecture: levels of groups."),
    ] = None,
    icons: Annotated[bool, typer.Option("--icons/--no-icons", help="Emoji before names.")] = True,
) -> None:
    """Draw a pipeline, a run or the project; or, with --from, foreign code."""
    from headgate.diagrams.render import Look
    from headgate.diagrams.writing import written

    format_ = form or (_by_ending(output) if output else Form.JSON if face.json else Form.MERMAID)
    found = _foreign(face, from_, name, kind, run, depth) if from_ is not None else _own(face, name, kind, run, depth)
    levels = depth if kind in (Kind.ARCHITECTURE, None) and (name is not None or from_ is not None) else None
    content = written(found, format_.value, Look(icons, direction.value if direction else None, levels))
    if output is not None:
        _write(output, content)
        face.note(f"{output}: {len(content):,} bytes")
    elif format_ is Form.PNG:
        sys.stdout.buffer.write(content)
    elif face.json and format_ is not Form.JSON:
        face.document({"format": format_.value, "diagram": content.decode()})
    else:
        print(content.decode(), end="")


def _own(face: Face, name: str | None, kind: Kind | None, run: str | None, depth: int | None) -> Diagram:
    from headgate.queries.diagrams import Wanted
    from headgate.queries.diagrams import diagram as query

    wanted = Wanted(name or "", kind.value if kind else "", run, depth, face.variables)
    with face.workspace() as workspace:
        return query(workspace, wanted)


def _foreign(
    face: Face, path: Path, name: str | None, kind: Kind | None, run: str | None, depth: int | None
) -> Diagram:
    from headgate.queries.foreign import foreign

    if run is not None:
        raise _usage("foreign code has no runs of headgate", "--run", "leave --run out")
    drawn = foreign(path, name or "", kind.value if kind else "", depth)
    for problem in drawn.problems:
        face.note(str(problem))
    if drawn.remark:
        face.note(drawn.remark)
    return drawn.diagram


def _by_ending(file: Path) -> Form:
    if file.suffix.lower() in ENDINGS:
        return ENDINGS[file.suffix.lower()]
    raise _usage(
        f'"{file.name}" does not say a format', str(file), f"end it with one of {', '.join(ENDINGS)}, or --format"
    )


def _write(file: Path, content: bytes) -> None:
    from headgate.io import files

    with files.told("write", file):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def _usage(message: str, of: str, hint: str = "see: headgate diagram --help") -> HeadgateError:
    from headgate.core.errors import Code, FatalError

    return FatalError(Code.USAGE, message, operation="diagram", object=of, hint=hint)
