"""Data flow: stores, the steps between them, and which step takes whose rows."""

from __future__ import annotations

from collections.abc import Sequence

from headgate.diagrams.drawings.words import ROLES, detail, label
from headgate.diagrams.graph import Graph
from headgate.diagrams.palette import Role
from headgate.diagrams.pipelines.sketch import Sketch
from headgate.diagrams.source.flow import Entry, Part, Place, Step

GROUPS = {Part.EXTRACT: "Extract", Part.TRANSFORM: "Transform", Part.LOAD: "Load", Part.VALIDATE: "Validate"}


def dataflow(title: str, entries: Sequence[Entry]) -> Graph:
    """One picture of all that the entries do to data; a table that one writes and another reads is one store."""
    sketch = Sketch(title, "LR")
    for part in GROUPS.values():
        sketch.group(part, part)
    written = {_id(place) for entry in entries for step in entry.body.steps() for place in step.writes}
    steps: dict[int, Step] = {}
    for entry in entries:
        steps.update((step.number, step) for step in entry.body.steps() if step.part in GROUPS)
    for step in steps.values():
        sketch.node(_step(step.number), label(step), ROLES[step.part], detail(step, places=False), GROUPS[step.part])
    for step in steps.values():
        _edges(sketch, step, steps, written)
    return sketch.graph()


def _edges(sketch: Sketch, step: Step, steps: dict[int, Step], written: set[str]) -> None:
    for place in step.reads:
        store = sketch.node(
            _id(place), place.name, Role.TARGET if _id(place) in written else Role.SOURCE, _where(place)
        )
        sketch.edge(store, _step(step.number))
    for number in _nearest(step, steps):
        sketch.edge(_step(number), _step(step.number))
    for place in step.writes:
        sketch.edge(_step(step.number), sketch.node(_id(place), place.name, Role.TARGET, _where(place)))


def _nearest(step: Step, steps: dict[int, Step]) -> list[int]:
    """Inputs without those that another input already takes."""
    inputs = [number for number in sorted(step.inputs) if number in steps and number != step.number]
    behind = {before for number in inputs for before in _behind(number, steps)}
    return [number for number in inputs if number not in behind]


def _behind(number: int, steps: dict[int, Step]) -> set[int]:
    found: set[int] = set()
    rest = list(steps[number].inputs)
    while rest:
        here = rest.pop()
        if here not in found and here in steps and here != number:
            found.add(here)
            rest += steps[here].inputs
    return found


def _step(number: int) -> str:
    return f"step {number}"


def _id(place: Place) -> str:
    return f"{place.kind} {place.system} {place.name}"


def _where(place: Place) -> tuple[str, ...]:
    """A store's own line: its system, else what kind of place it is."""
    if place.kind == "system":
        return ()
    return (place.system,) if place.system else (place.kind,)
