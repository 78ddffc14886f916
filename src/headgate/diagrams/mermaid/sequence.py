"""Messages as a Mermaid sequence diagram."""

from __future__ import annotations

from collections.abc import Iterator

from headgate.diagrams.mermaid.words import Names, condition, header, lines
from headgate.diagrams.sequence import Block, Item, Message, Note, Sequence

INDENT = "    "


def sequence_diagram(diagram: Sequence, *, icons: bool = True) -> str:
    """The diagram's text, with a newline at its end."""
    return "\n".join(_lines(diagram, icons)) + "\n"


def _lines(diagram: Sequence, icons: bool) -> Iterator[str]:
    names = Names()
    yield from header(diagram.title)
    yield "sequenceDiagram"
    for one in diagram.participants:
        label = f"{one.icon} {one.label}" if icons and one.icon else one.label
        yield f"{INDENT}participant {names[one.id]} as {lines([label])}"
    yield from _items(diagram.items, names, INDENT)


def _items(items: tuple[Item, ...], names: Names, indent: str) -> Iterator[str]:
    for item in items:
        match item:
            case Message():
                arrow = "-x" if item.failed else "->>"
                dashed = "-" if item.reply else ""
                yield f"{indent}{names[item.sender]}{dashed}{arrow}{names[item.receiver]}: {lines([item.text])}"
            case Note():
                over = ",".join(names[name] for name in dict.fromkeys((item.over[0], item.over[-1])))
                yield f"{indent}Note over {over}: {lines([item.text])}"
            case Block():
                for number, (when, inner) in enumerate(item.sections):
                    word = item.kind if number == 0 else "else"
                    yield f"{indent}{word} {condition(when)}"
                    yield from _items(inner, names, indent + INDENT)
                yield f"{indent}end"
