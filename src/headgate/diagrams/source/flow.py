"""What a piece of Python does to data, as plain facts: steps, the places they touch, and the control flow around them.

Drawings are made of these alone; nothing here knows how the source was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal


class Part(StrEnum):
    """What a step is for."""

    EXTRACT = "extract"
    TRANSFORM = "transform"
    LOAD = "load"
    VALIDATE = "validate"
    NOTIFY = "notify"
    LOG = "log"
    CONFIG = "config"


PlaceKind = Literal["table", "file", "topic", "api", "object", "model", "system"]


@dataclass(frozen=True, order=True)
class Place:
    """Where data lies: a table, file, topic, address; ``system`` says in what, where the source says it."""

    kind: PlaceKind
    name: str
    system: str = ""


@dataclass
class Step:
    """One thing done to data.

    Args:
        number: unique within a :class:`Source`, in the order in which they were met.
        what: the verb as the source has it (``read_csv``, ``groupby``).
        detail: arguments that tell something (``GROUP BY region``, ``batch_size=10000``).
        inputs: numbers of the steps whose rows it takes.
    """

    number: int
    part: Part
    what: str
    detail: list[str] = field(default_factory=list)
    reads: list[Place] = field(default_factory=list)
    writes: list[Place] = field(default_factory=list)
    inputs: set[int] = field(default_factory=set)
    level: str = ""  # of a log call
    file: str = ""
    line: int = 0

    def tell(self, *lines: str) -> None:
        """Add details, each once."""
        self.detail += [line for line in lines if line and line not in self.detail]


@dataclass
class Choice:
    """``if``: ``test`` as the source has it, then what happens on yes and on no."""

    test: str
    yes: Block
    no: Block
    line: int = 0


@dataclass
class Loop:
    """``retry``: the loop does the same thing again, as a policy says."""

    text: str
    body: Block
    line: int = 0
    retry: Retry | None = None


@dataclass
class Attempt:
    """``try``: the body, what happens per exception, and what happens in any case."""

    body: Block
    handlers: list[tuple[str, Block]]
    final: Block
    line: int = 0


@dataclass
class Stop:
    """What leaves a function: ``raise`` with an exception, an early ``return``, the end of the program."""

    kind: Literal["raise", "return", "exit"]
    text: str
    line: int = 0


@dataclass(frozen=True)
class Retry:
    """How often and how long: what the decorator says; None where it does not."""

    attempts: str = ""
    wait: str = ""


@dataclass
class Call:
    """A function of the project, entered: whose it is, what for, and what it does."""

    component: str
    function: str
    part: Part | None
    body: Block
    retry: Retry | None = None
    arguments: str = ""
    inputs: set[int] = field(default_factory=set)
    line: int = 0


Item = Step | Choice | Loop | Attempt | Stop | Call


@dataclass
class Block:
    items: list[Item] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.items)

    def walk(self) -> Iterator[Item]:
        """Every item within, in the order of the source."""
        for item in self.items:
            yield item
            for block in inner(item):
                yield from block.walk()

    def steps(self) -> Iterator[Step]:
        for item in self.walk():
            if isinstance(item, Step):
                yield item


def inner(item: Item) -> Iterable[Block]:
    """The blocks within an item."""
    match item:
        case Step() | Stop():
            return ()
        case Choice():
            return (item.yes, item.no)
        case Loop() | Call():
            return (item.body,)
        case Attempt():
            return (item.body, *(block for _, block in item.handlers), item.final)


@dataclass
class Entry:
    """Where something begins: a script, a pipeline's run method, a function that nobody else calls."""

    name: str
    component: str
    file: str
    line: int
    body: Block
    retry: Retry | None = None

    @property
    def weight(self) -> int:
        """How much of it moves data."""
        return sum(step.part in (Part.EXTRACT, Part.TRANSFORM, Part.LOAD) for step in self.body.steps())


Layer = Literal["orchestration", "extract", "transform", "load", "utilities", "configuration"]


@dataclass
class Component:
    """A class, or a module of functions."""

    name: str
    layer: Layer
    file: str
    line: int
    kind: Literal["class", "module"] = "class"
    bases: tuple[str, ...] = ()
    abstract: bool = False
    parts: dict[str, str] = field(default_factory=dict)  # attribute -> component
    uses: dict[str, str] = field(default_factory=dict)  # what is used beside -> how it is named
    configs: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()


@dataclass
class Source:
    """Everything that a tree of Python files was found to do."""

    name: str
    components: list[Component] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
