"""States as a Mermaid state diagram."""

from __future__ import annotations

from collections.abc import Iterator

from headgate.diagrams.mermaid.flowchart import classes
from headgate.diagrams.mermaid.loops import joined
from headgate.diagrams.mermaid.words import Names, header, text
from headgate.diagrams.states import END, START, States

INDENT = "    "


def state_diagram(diagram: States) -> str:
    """The diagram's text, with a newline at its end."""
    return "\n".join(_lines(diagram)) + "\n"


def _lines(diagram: States) -> Iterator[str]:
    names = Names()
    yield from header(diagram.title)
    yield "stateDiagram-v2"
    yield f"{INDENT}direction {diagram.direction}"
    for state in diagram.states:
        yield f'{INDENT}state "{text(state.label)}" as {names[state.id]}'
    for one in joined(diagram.transitions, lambda way: (way.source, way.target)):
        source = "[*]" if one.source == START else names[one.source]
        target = "[*]" if one.target == END else names[one.target]
        label = f" : {text(one.label)}" if one.label.strip() else ""
        yield f"{INDENT}{source} --> {target}{label}"
    for state in diagram.states:
        if state.note.strip():
            yield f"{INDENT}note right of {names[state.id]}"
            yield f"{INDENT * 2}{text(state.note)}"
            yield f"{INDENT}end note"
    yield from classes(((state.role, names[state.id]) for state in diagram.states), INDENT)
