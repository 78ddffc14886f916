"""Collects what is wrong with a project, each with file, line, path and a hint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from headgate.config.yaml import Section, place
from headgate.core.errors import HeadgateError, Problem

Path = tuple[str | int, ...]


@dataclass
class Report:
    """Problems so far. ``document`` is what paths lead through; ``prefix`` stands before every path that is shown."""

    document: Section
    file: str
    prefix: Path = ()
    problems: list[Problem] = field(default_factory=list)

    def note(self, message: str, path: Path, hint: str = "", line: int = 0) -> None:
        """One more problem, at ``path`` within the document."""
        where, shown = line or self.line(path), dotted((*self.prefix, *path))
        if given := self.document.given.get(shown):
            hint = f"{given} sets it; {hint}" if hint else f"{given} sets it"
        self.problems.append(Problem(message, self.file, where, shown, hint))

    def line(self, path: Path) -> int:
        return place(self.document, path) or 1

    def note_error(self, error: HeadgateError, path: Path) -> None:
        self.note(error.message, path, error.hint)


def dotted(path: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in path)
