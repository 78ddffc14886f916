"""Components and the messages between them, in the order of calls. Plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headgate.diagrams.palette import Role


@dataclass(frozen=True)
class Participant:
    """Who sends and receives. ``id``: any text, unique in the diagram."""

    id: str
    label: str
    role: Role = Role.PROCESS
    icon: str = ""


@dataclass(frozen=True)
class Message:
    """``reply``: what comes back (dashed); ``failed``: it ends in an error (a cross)."""

    sender: str
    receiver: str
    text: str
    reply: bool = False
    failed: bool = False


@dataclass(frozen=True)
class Note:
    """A remark over one participant, or from the first to the last of several."""

    over: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Block:
    """Messages that are repeated, optional, alternatives or an early end.

    Each section has its condition and its items; only ``alt`` may have several, and the first is the normal case.
    """

    kind: Literal["loop", "opt", "alt", "break"]
    sections: tuple[tuple[str, tuple[Item, ...]], ...]


Item = Message | Note | Block


@dataclass(frozen=True)
class Sequence:
    """Raises ValueError for participants that occur twice, and for messages to one that is not there."""

    title: str = ""
    participants: tuple[Participant, ...] = ()
    items: tuple[Item, ...] = ()

    def __post_init__(self) -> None:
        known = {one.id for one in self.participants}
        if len(known) != len(self.participants) or "" in known:
            raise ValueError("a participant's id is empty or occurs twice")
        self._check(self.items, known)

    def _check(self, items: tuple[Item, ...], known: set[str]) -> None:
        for item in items:
            match item:
                case Message():
                    names: tuple[str, ...] = (item.sender, item.receiver)
                case Note():
                    names = item.over
                case Block():
                    names = ()
                    if not item.sections or (item.kind != "alt" and len(item.sections) > 1):
                        raise ValueError(f"a block of kind {item.kind} with {len(item.sections)} sections")
                    for _, inner in item.sections:
                        self._check(inner, known)
            for name in names:
                if name not in known:
                    raise ValueError(f"a message names {name!r}, who is no participant")
