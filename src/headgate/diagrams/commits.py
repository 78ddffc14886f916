"""Commits on branches, in the order of time. Plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MAIN = "main"


@dataclass(frozen=True)
class Commit:
    """``id``: what is shown beside it, unique in the diagram; ``kind``: how it is drawn."""

    id: str
    branch: str = MAIN
    tag: str = ""
    kind: Literal["normal", "reverse", "highlight"] = "normal"


@dataclass(frozen=True)
class Branch:
    """``name`` begins at the newest commit of ``source``."""

    name: str
    source: str = MAIN


@dataclass(frozen=True)
class Merge:
    """All of ``branch`` comes to ``into``, as a commit there."""

    branch: str
    into: str = MAIN
    id: str = ""
    tag: str = ""


Step = Commit | Branch | Merge


@dataclass(frozen=True)
class Commits:
    """Raises ValueError for branches that are not there or not new, and for what Git could not do either."""

    title: str = ""
    steps: tuple[Step, ...] = ()
    main: str = MAIN

    def __post_init__(self) -> None:
        ids: set[str] = set()
        ahead: dict[str, int] = {self.main: 0}  # commits that a branch has of its own
        for step in self.steps:
            match step:
                case Commit():
                    self._known(step.branch, ahead)
                    ahead[step.branch] += 1
                case Branch():
                    self._known(step.source, ahead)
                    if step.name in ahead or not step.name:
                        raise ValueError(f"the branch {step.name!r} is there already, or has no name")
                    if not ahead[self.main]:
                        raise ValueError(f"the branch {step.name!r} begins before the first commit")
                    ahead[step.name] = 0
                case Merge():
                    self._known(step.branch, ahead)
                    self._known(step.into, ahead)
                    if step.branch == step.into or not ahead[step.branch]:
                        raise ValueError(f"the branch {step.branch!r} has nothing to merge")
                    ahead[step.into] += 1
            if isinstance(step, Commit | Merge) and step.id:
                if step.id in ids:
                    raise ValueError(f"the commit {step.id!r} occurs twice")
                ids.add(step.id)

    @staticmethod
    def _known(name: str, branches: dict[str, int]) -> None:
        if name not in branches:
            raise ValueError(f"the branch {name!r} is not there")
