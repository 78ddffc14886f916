"""Any diagram as plain lines with arrows, for terminals, mails and runbooks."""

from __future__ import annotations

from collections.abc import Iterator

from headgate.diagrams.commits import Branch, Commit, Commits, Merge
from headgate.diagrams.document import Diagram
from headgate.diagrams.graph import EdgeKind, Graph
from headgate.diagrams.mermaid.words import clean
from headgate.diagrams.sequence import Block, Item, Message, Note, Sequence
from headgate.diagrams.states import END, START, States

INDENT = "  "


def text(diagram: Diagram) -> str:
    """Lines, with a newline at the end of each."""
    title = [clean(diagram.title), ""] if diagram.title else []
    return "".join(f"{line}\n" for line in [*title, *_lines(diagram)])


def _lines(diagram: Diagram) -> Iterator[str]:
    match diagram:
        case Graph():
            yield from _graph(diagram)
        case Sequence():
            names = {one.id: _one(one.label) for one in diagram.participants}
            yield from _items(diagram.items, names, "")
        case States():
            labels = {state.id: _one(state.label) for state in diagram.states} | {START: "(start)", END: "(end)"}
            for way in diagram.transitions:
                yield _arrow(labels[way.source], labels[way.target], way.label)
        case Commits():
            yield from _commits(diagram)
        case _:
            for table in diagram.tables:
                yield _one(table.label)
                for column in table.columns:
                    keys = f" {' '.join(column.keys)}" if column.keys else ""
                    yield f"{INDENT}{_one(column.name)} {_one(column.type)}{keys}"
            labels = {table.id: _one(table.label) for table in diagram.tables}
            for relation in diagram.relations:
                yield _arrow(labels[relation.left], labels[relation.right], relation.label)


def _graph(graph: Graph) -> Iterator[str]:
    """Chains of arrows: a line goes on as long as one way leads on."""
    labels = {node.id: _one(node.label) for node in graph.nodes}
    ways: dict[str, list[tuple[str, str]]] = {node.id: [] for node in graph.nodes}
    incoming = dict.fromkeys(labels, 0)
    for edge in graph.edges:
        fixed = edge.kind in (EdgeKind.IMPLEMENTS, EdgeKind.CONFIGURES)
        ways[edge.source].append((edge.target, edge.label or (edge.kind.value if fixed else "")))
        incoming[edge.target] += 1
    heads = [id_ for id_ in labels if incoming[id_] != 1 or _forks(id_, graph, ways)]
    drawn: set[tuple[str, int]] = set()
    for head in [*heads, *labels]:
        for number in range(len(ways[head])):
            if (head, number) not in drawn:
                yield _chain(head, number, ways, labels, incoming, drawn)
    for id_, label in labels.items():
        if not ways[id_] and not incoming[id_]:
            yield label


def _forks(id_: str, graph: Graph, ways: dict[str, list[tuple[str, str]]]) -> bool:
    """Whether what leads here leads elsewhere too."""
    before = next(edge.source for edge in graph.edges if edge.target == id_)
    return len(ways[before]) != 1


def _chain(
    head: str,
    number: int,
    ways: dict[str, list[tuple[str, str]]],
    labels: dict[str, str],
    incoming: dict[str, int],
    drawn: set[tuple[str, int]],
) -> str:
    line, here = labels[head], head
    while True:
        drawn.add((here, number))
        here, label = ways[here][number]
        line = _arrow(line, labels[here], label)
        if len(ways[here]) != 1 or incoming[here] != 1 or (here, 0) in drawn:
            return line
        number = 0


def _items(items: tuple[Item, ...], names: dict[str, str], indent: str) -> Iterator[str]:
    for item in items:
        match item:
            case Message():
                yield indent + _arrow(names[item.sender], names[item.receiver], "") + f": {_one(item.text)}"
            case Note():
                yield f"{indent}({', '.join(names[one] for one in item.over)}: {_one(item.text)})"
            case Block():
                for number, (condition, inner) in enumerate(item.sections):
                    yield f"{indent}{item.kind if number == 0 else 'else'} {_one(condition)}"
                    yield from _items(inner, names, indent + INDENT)


def _commits(diagram: Commits) -> Iterator[str]:
    for step in diagram.steps:
        match step:
            case Commit():
                tag = f" [{_one(step.tag)}]" if step.tag else ""
                yield f"{_one(step.branch)}: {_one(step.id)}{tag}"
            case Branch():
                yield _arrow(_one(step.source), _one(step.name), "branch")
            case Merge():
                yield _arrow(_one(step.branch), _one(step.into), "merge")


def _arrow(source: str, target: str, label: str) -> str:
    return f"{source} --{_one(label)}--> {target}" if label.strip() else f"{source} --> {target}"


def _one(label: str) -> str:
    return " ".join(clean(label).split())
