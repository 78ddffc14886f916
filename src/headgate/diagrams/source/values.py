"""Values as far as a source tells them without running it."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, product
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headgate.diagrams.source.modules import ClassInfo, Module

NOTHING: frozenset[int] = frozenset()
MOST = 12
"""Alternatives that one value is followed through."""


@dataclass(frozen=True, eq=False)
class Value:
    """Anything. ``origins``: numbers of the steps whose rows are in it."""

    origins: frozenset[int] = NOTHING

    def texts(self) -> list[str]:
        """What it may be as text; what is not known stands in braces."""
        return ["{…}"]

    @property
    def text(self) -> str:
        return self.texts()[0]


@dataclass(frozen=True, eq=False)
class Known(Value):
    """A constant. ``whole``: nothing in it was left in braces."""

    value: Any = None
    whole: bool = True

    def texts(self) -> list[str]:
        return [self.value if isinstance(self.value, str) else repr(self.value)]


@dataclass(frozen=True, eq=False)
class Either(Value):
    """One of several."""

    options: tuple[Value, ...] = ()

    def texts(self) -> list[str]:
        return list(dict.fromkeys(text for one in self.options for text in one.texts()))[:MOST]


@dataclass(frozen=True, eq=False)
class Items(Value):
    """A list, tuple or set."""

    items: tuple[Value, ...] = ()

    def texts(self) -> list[str]:
        return [", ".join(item.text for item in self.items)]


@dataclass(frozen=True, eq=False)
class Pairs(Value):
    """A mapping, or the keyword arguments of a call; changed in place by ``d[key] = …``."""

    pairs: dict[str, Value] = field(default_factory=dict)

    def texts(self) -> list[str]:
        return [", ".join(f"{key}: {value.text}" for key, value in self.pairs.items())]


@dataclass(frozen=True, eq=False)
class Called:
    """One call in a chain: its name, and its arguments."""

    name: str
    args: tuple[Value, ...] = ()
    kwargs: Mapping[str, Value] = field(default_factory=dict)

    def argument(self, position: int | None, *names: str) -> Value | None:
        for name in names:
            if name in self.kwargs:
                return self.kwargs[name]
        return self.args[position] if position is not None and position < len(self.args) else None


@dataclass(frozen=True, eq=False)
class Thing(Value):
    """Something from outside of the project, or unknown: how it is reached, and the calls on the way.

    ``path`` is dotted, from the name that was imported (``pandas.DataFrame``) or, where that is unknown, from ``?`` and
    the name in the source (``?df``); a call on the way has ``()`` after its name.
    """

    path: str = "?"
    calls: tuple[Called, ...] = ()
    shown: str = ""

    def texts(self) -> list[str]:
        if self.shown:
            return [self.shown]
        path = self.path.replace("()", "").replace("[]", "").removeprefix("?")
        return ["{" + (path.rpartition(".")[2] if "(" in self.path else path) + "}"]

    def call(self, name: str) -> Called | None:
        """The last call of that name in the chain."""
        return next((one for one in reversed(self.calls) if one.name == name), None)


@dataclass(frozen=True, eq=False)
class Function(Value):
    """A function of the project. ``this``: the object it is a method of; ``env``: the names around it."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | None = None
    module: Module | None = None
    owner: ClassInfo | None = None
    this: Value | None = None
    env: Mapping[str, Value] = field(default_factory=dict)
    bound: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Class(Value):
    info: ClassInfo | None = None


@dataclass(frozen=True, eq=False)
class Instance(Value):
    """An object of a class of the project, with its attributes as they were last set."""

    info: ClassInfo | None = None
    attributes: dict[str, Value] = field(default_factory=dict)
    made_with: tuple[Value, ...] = ()

    def texts(self) -> list[str]:
        return ["{" + (self.info.name if self.info else "object") + "}"]


@dataclass(frozen=True, eq=False)
class SuperRef(Value):
    """``super()``: what comes behind a class in the line of an object."""

    info: ClassInfo | None = None
    after: ClassInfo | None = None
    this: Value | None = None


@dataclass(frozen=True, eq=False)
class ModuleRef(Value):
    """A module of the project."""

    module: Module | None = None


def known(value: Value | None) -> Any:
    """The constant that a value is, or None."""
    return value.value if isinstance(value, Known) and value.whole else None


def merged(first: Value, second: Value) -> Value:
    """What a name may be after two ways met."""
    if first is second:
        return first
    origins = first.origins | second.origins
    if isinstance(first, Known) and isinstance(second, Known) and first.value == second.value:
        return Known(origins, first.value, first.whole and second.whole)
    if isinstance(first, Known) and first.value is None:
        return with_origins(second, origins)
    if isinstance(second, Known) and second.value is None:
        return with_origins(first, origins)
    if isinstance(first, Thing) and isinstance(second, Thing) and first.path == second.path:
        return with_origins(first, origins)
    options = [option for one in (first, second) for option in (one.options if isinstance(one, Either) else (one,))]
    return Either(origins, tuple({id(option): option for option in options}.values())[:MOST])


def with_origins(value: Value, origins: frozenset[int]) -> Value:
    """The same with rows of more steps in it."""
    if origins <= value.origins:
        return value
    return replace(value, origins=value.origins | origins)


def joined(parts: Sequence[Value]) -> Value:
    """Texts put together, each alternative of each."""
    origins = frozenset(number for part in parts for number in part.origins)
    every = [part.texts() for part in parts]
    texts = ["".join(combination) for combination in islice(product(*every), MOST)]
    whole = all(isinstance(part, Known) and part.whole for part in parts)
    if len(texts) == 1:
        return Known(origins, texts[0], whole)
    return Either(origins, tuple(Known(origins, text, False) for text in texts))


def origins_of(values: Sequence[Value]) -> frozenset[int]:
    """Every step whose rows are in any of them, also within lists and mappings."""
    found: set[int] = set()
    rest, seen = list(values), 0
    while rest and seen < 2000:
        value = rest.pop()
        seen += 1
        found |= value.origins
        if isinstance(value, Items):
            rest += value.items
        elif isinstance(value, Pairs):
            rest += value.pairs.values()
    return frozenset(found)
