"""Functions of the project whose names say what they are for, where their bodies do not show it."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from headgate.diagrams.source import shown
from headgate.diagrams.source.byhand import ALONE
from headgate.diagrams.source.flow import Block, Call, Part, Place, Step, Stop
from headgate.diagrams.source.modules import FunctionNode
from headgate.diagrams.source.names import part_of, words
from headgate.diagrams.source.rows import BY_HAND, holds_rows
from headgate.diagrams.source.values import (
    NOTHING,
    Called,
    Function,
    Instance,
    Items,
    Known,
    Pairs,
    Thing,
    Value,
    origins_of,
)

if TYPE_CHECKING:
    from headgate.diagrams.source.machine import Machine

DATA = (Part.EXTRACT, Part.TRANSFORM, Part.LOAD)
RUNS = ("run", "execute", "process", "__call__", "apply", "call")
"""Methods that say nothing: the name of the class does."""
FEWEST = 2
"""Keys that make a mapping a row."""


def told(machine: Machine, function: Function, call: Called, node: ast.AST) -> Value:
    """A function that tells people: where the message goes is in its body."""
    with machine.block() as block:
        step = machine.step(Part.NOTIFY, call.name, node)
    texts = [
        one.text for one in (*call.args, *call.kwargs.values()) if isinstance(one, Known) and isinstance(one.value, str)
    ]
    step.tell(*(shown.cut(shown.clean(text)) for text in texts[:1]))
    step.writes += [place for place in _within(machine, function, call) if place.kind in ("api", "topic")]
    made = function.this.info if isinstance(function.this, Instance) else function.owner
    owner = made.name if made else function.module.stem if function.module else ""
    machine.emit(Call(owner, call.name, Part.NOTIFY, block, line=step.line))
    return Known(value=None)


def _within(machine: Machine, function: Function, call: Called) -> list[Place]:
    from headgate.diagrams.source.calls import follow
    from headgate.diagrams.source.machine import DEEPEST

    if not isinstance(function.node, FunctionNode) or function.node in machine.active or len(machine.active) >= DEEPEST:
        return []
    with machine.block() as block:
        follow(machine, function, call.args, call.kwargs)
    return list(dict.fromkeys(place for step in block.steps() for place in step.writes))


def left(
    machine: Machine, function: Function, call: Called, block: Block, result: Value, node: ast.AST
) -> Value | None:
    """What a function's name adds to what its body showed; None where that is nothing."""
    if all(isinstance(one, Stop) and "NotImplemented" in one.text for one in block.items):
        block.items.clear()
    what, part = _meant(function, call)
    steps = [step for step in block.steps() if step.part in DATA]
    done = {step.part for step in steps}
    given = [*call.args, *call.kwargs.values()]
    if part is Part.VALIDATE and done and Part.LOAD not in done and _raises(block):
        _asks(steps)
        _put(machine, block, part, what, node, frozenset(one.number for one in steps))
        return None
    if part is Part.TRANSFORM and done == {part} and _named_by(steps, what):
        return None
    if done or part is Part.NOTIFY or call.name.startswith("__"):
        return None
    if part is None:
        return _row_made(machine, call, block, result, node)
    rows = any(holds_rows(one) for one in given) or (function.this is not None and holds_rows(_inside(function.this)))
    empty = isinstance(result, Known) and (result.value is None or isinstance(result.value, bool | int))
    if part is Part.EXTRACT and (empty or not _worthy(call.name)):
        return None
    if part in (Part.TRANSFORM, Part.LOAD, Part.VALIDATE) and not rows and not UNFOLDS.match(what):
        return None
    if part is Part.TRANSFORM and empty:
        return None
    step = _put(machine, block, part, what, node, origins_of(given))
    if part is Part.VALIDATE or (part is Part.LOAD and empty):
        return None
    return _with_step(result, step)


UNFOLDS = re.compile(r"_*(decrypt|decompress|unzip|gunzip|unpack)", re.I)
"""What is done to whole files, whose names are no rows."""


def _meant(function: Function, call: Called) -> tuple[str, Part | None]:
    part = part_of(call.name)
    info = function.this.info if isinstance(function.this, Instance) else None
    if part in (None, Part.TRANSFORM) and call.name in RUNS and info is not None:
        of_class = part_of(info.name)
        if of_class is Part.VALIDATE:
            return words(info.name), of_class
    return call.name, part


def _put(machine: Machine, block: Block, part: Part, what: str, node: ast.AST, inputs: frozenset[int]) -> Step:
    """A step at the beginning of a function's own block."""
    step = machine.step(part, what, node, inputs)
    block.items.insert(0, machine.blocks[-1].items.pop())
    return step


def _asks(steps: list[Step]) -> None:
    """What a check asks a database is part of the check."""
    for step in steps:
        if step.part is Part.EXTRACT and step.what == "SELECT":
            step.part = Part.VALIDATE


def _named_by(steps: list[Step], what: str) -> bool:
    """Columns that are computed by hand in a function that says for what: the function's name says more."""
    if not all(step.what in BY_HAND for step in steps):
        return False
    steps[0].what = what
    return True


def _row_made(machine: Machine, call: Called, block: Block, result: Value, node: ast.AST) -> Value | None:
    """A row that became another row: one that takes a row and gives a new mapping."""
    origins = origins_of([*call.args, *call.kwargs.values()])
    new = isinstance(result, Pairs) and len(result.pairs) >= FEWEST and all(result is not one for one in call.args)
    if not origins or not new:
        return None
    step = _put(machine, block, Part.TRANSFORM, "map rows", node, origins)
    step.tell(call.name)
    return _with_step(result, step)


def _with_step(result: Value, step: Step) -> Value:
    """The same rows, now those of a step."""
    here = frozenset({step.number})
    match result:
        case Items() if result.items:
            return Items(here, tuple(replace(one, origins=here) for one in result.items))
        case Pairs() if result.pairs:
            return Pairs(here, {key: replace(one, origins=here) for key, one in result.pairs.items()})
        case Thing():
            return Thing(here, result.path)
        case _:
            return Thing(here, "rows")


def _raises(block: Block) -> bool:
    return any(isinstance(item, Stop) and item.kind == "raise" for item in block.walk())


def _inside(this: Value) -> Value:
    return Pairs(NOTHING, this.attributes) if isinstance(this, Instance) else this


def _worthy(name: str) -> bool:
    return bool(ALONE.match(name)) or bool(
        re.match(r"_*(get_(data|rows|records)|read_|collect|pull|query)", name, re.I)
    )
