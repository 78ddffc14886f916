"""Commits as a Mermaid gitGraph."""

from __future__ import annotations

from collections.abc import Iterator

from headgate.diagrams.commits import Branch, Commit, Commits, Merge
from headgate.diagrams.mermaid.words import Names, header, text

INDENT = "    "


def git_graph(diagram: Commits) -> str:
    """The diagram's text, with a newline at its end."""
    return "\n".join(_lines(diagram)) + "\n"


def _lines(diagram: Commits) -> Iterator[str]:
    names = Names()
    yield from header(diagram.title)
    yield "gitGraph"
    here = diagram.main
    for step in diagram.steps:
        branch = step.branch if isinstance(step, Commit) else step.source if isinstance(step, Branch) else step.into
        if branch != here:
            yield f"{INDENT}checkout {_name(branch, diagram, names)}"
            here = branch
        match step:
            case Commit():
                kind = "" if step.kind == "normal" else f" type: {step.kind.upper()}"
                yield f'{INDENT}commit id: "{text(step.id)}"{kind}{_tag(step.tag)}'
            case Branch():
                yield f"{INDENT}branch {_name(step.name, diagram, names)}"
                here = step.name
            case Merge():
                named = f' id: "{text(step.id)}"' if step.id.strip() else ""
                yield f"{INDENT}merge {_name(step.branch, diagram, names)}{named}{_tag(step.tag)}"


def _name(branch: str, diagram: Commits, names: Names) -> str:
    return "main" if branch == diagram.main else names[branch]


def _tag(tag: str) -> str:
    return f' tag: "{text(tag)}"' if tag.strip() else ""
