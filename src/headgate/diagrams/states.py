"""States and how one leads to another. Plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass

from headgate.diagrams.graph import Direction
from headgate.diagrams.palette import Role

START, END = "[start]", "[end]"
"""Where a life begins and where it ends, as the ends of transitions."""


@dataclass(frozen=True)
class State:
    """``id``: any text, unique in the diagram."""

    id: str
    label: str
    role: Role = Role.PROCESS
    note: str = ""


@dataclass(frozen=True)
class Transition:
    source: str
    target: str
    label: str = ""


@dataclass(frozen=True)
class States:
    """Raises ValueError for ids that occur twice, and for transitions between states that are not there."""

    title: str = ""
    states: tuple[State, ...] = ()
    transitions: tuple[Transition, ...] = ()
    direction: Direction = "TB"

    def __post_init__(self) -> None:
        known = {state.id for state in self.states}
        if len(known) != len(self.states) or known & {"", START, END}:
            raise ValueError("a state's id is empty, kept for start and end, or occurs twice")
        for one in self.transitions:
            if one.source not in known | {START} or one.target not in known | {END}:
                raise ValueError(f"a transition from {one.source!r} to {one.target!r} names a state that is not there")
