"""What foreign files are read as: a file in this room is a reader, found by its name. No list is kept.

A reader has ``found(tree) -> list[Found]``: what it recognised, each with the kinds of diagram that it can be drawn as.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from headgate.core.errors import Code, FatalError, nearest
from headgate.diagrams.document import Diagram
from headgate.diagrams.tree import Tree

KINDS = ("architecture", "activity", "sequence", "data-flow", "dag", "deployment")


@dataclass(frozen=True)
class Found:
    """Something that can be drawn.

    Args:
        name: how it is asked for; "" for all that a reader found.
        kinds: how to draw each kind, given a depth; the first is the default.
        weight: the heaviest is drawn where several fit.
        prior: the heaviest of the highest decides what is drawn by default.
    """

    name: str
    kinds: Mapping[str, Callable[[int | None], Diagram]]
    weight: int
    prior: int


def found(tree: Tree) -> list[Found]:
    """What all readers recognise."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    return [one for name in names for one in importlib.import_module(f"{__name__}.{name}").found(tree)]


def draw(tree: Tree, name: str = "", kind: str = "", depth: int | None = None) -> tuple[Diagram, str]:
    """The diagram that was asked for, and a remark about what else there is.

    Raises:
        FatalError: NOT_FOUND where nothing was recognised, or nothing of that name or kind.
    """
    every = found(tree)
    if not every:
        raise _missing(
            "nothing was recognised there",
            tree,
            "it reads Python, Airflow, dbt, compose, Kubernetes and Terraform",
            tree.problems,
        )
    named = _named(tree, every, name)
    known = [one for one in KINDS if any(one in found.kinds for found in named)]
    kind = kind or next(iter(max(named, key=lambda one: (one.prior, one.weight)).kinds))
    fitting = [one for one in named if kind in one.kinds]
    if not fitting:
        raise _missing(f"there is nothing to draw as {kind}", tree, f"kinds: {', '.join(known)}", ())
    chosen = max(fitting, key=lambda one: (not one.name, one.weight))
    others = sorted({one.name for one in fitting if one.name and one is not chosen})
    remark = ""
    if chosen.name and others and not name:
        shown = ", ".join(others[:8]) + (f" and {len(others) - 8} more" if len(others) > 8 else "")
        remark = f"drawn: {chosen.name}; there are also {shown}: name one"
    return chosen.kinds[kind](depth), remark


def _named(tree: Tree, every: Sequence[Found], name: str) -> list[Found]:
    if not name:
        return list(every)
    named = [one for one in every if one.name == name] or [
        one for one in every if one.name.rpartition(".")[0] == name or one.name.rpartition(".")[2] == name
    ]
    if not named:
        raise _missing(f'there is no "{name}"', tree, nearest(name, {one.name for one in every if one.name}), ())
    return named


def _missing(message: str, tree: Tree, hint: str, problems: Sequence[object]) -> FatalError:
    return FatalError(
        Code.NOT_FOUND,
        message,
        operation="diagram",
        object=str(tree.root),
        hint=hint,
        problems=tree.problems if problems else (),
    )
