"""Diagrams of what others wrote: files are read as text, and nothing of them is run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headgate.core.errors import Code, FatalError, Problem
from headgate.diagrams.document import Diagram
from headgate.diagrams.readers import KINDS, draw
from headgate.diagrams.tree import tree


@dataclass(frozen=True)
class Drawn:
    """A diagram, what could not be read, and a remark about what else could be drawn."""

    diagram: Diagram
    problems: tuple[Problem, ...] = ()
    remark: str = ""


def foreign(path: Path, name: str = "", kind: str = "", depth: int | None = None) -> Drawn:
    """Draw what lies at a path.

    Raises:
        FatalError: USAGE for a kind that foreign code is never drawn as; NOT_FOUND where nothing is at the path,
            nothing was recognised there, or nothing of that name or kind.
    """
    if kind and kind not in KINDS:
        raise FatalError(
            Code.USAGE,
            f'foreign code is not drawn as "{kind}"',
            operation="diagram",
            object="--kind",
            hint=f"kinds: {', '.join(KINDS)}",
        )
    found = tree(path)
    diagram, remark = draw(found, name, kind, depth)
    return Drawn(diagram, tuple(found.problems), remark)
