"""Small projects in different styles, and the steps that a person sees in them: ``part what place`` a line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"
NAMES = sorted(file.stem for file in FOLDER.glob("*.txt"))


@dataclass(frozen=True)
class Label:
    """``place`` is part of the name of a table, file, topic or address; "" where the step has none."""

    part: str
    what: str
    place: str = ""


def labels(name: str) -> list[Label]:
    return [Label(*line.split(" ", 2)) for line in _sections(name)["steps"].splitlines() if line]


def lay_out(name: str, folder: Path) -> Path:
    """Write the project's files."""
    for file, text in _sections(name).items():
        if file != "steps":
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text)
    return folder


def _sections(name: str) -> dict[str, str]:
    parts = ("\n" + (FOLDER / f"{name}.txt").read_text()).split("\n== ")[1:]
    return {head: body + "\n" for head, _, body in (part.partition("\n") for part in parts)}
