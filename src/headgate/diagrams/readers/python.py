"""Python that moves data: scripts, pipelines, whole projects."""

from __future__ import annotations

from headgate.diagrams.drawings.activity import activity
from headgate.diagrams.drawings.architecture import architecture
from headgate.diagrams.drawings.dataflow import dataflow
from headgate.diagrams.drawings.sequence import sequence
from headgate.diagrams.readers import Found
from headgate.diagrams.source.flow import Entry, Source
from headgate.diagrams.source.project import source
from headgate.diagrams.tree import Tree

LAYERS = 2
"""A project of so many layers is drawn as an architecture by default."""


def found(tree: Tree) -> list[Found]:
    if not any(tree.ending(".py", ".pyw")):
        return []
    project = source(tree)
    if not project.entries and not project.components:
        return []
    layered = len({one.layer for one in project.components if one.kind == "class"}) >= LAYERS
    every = [_entry(one, project) for one in project.entries]
    whole = Found(
        "",
        {
            "architecture": lambda _depth: architecture(project),
            **({"data-flow": lambda _depth: dataflow(f"Data flow: {project.name}", project.entries)} if every else {}),
        },
        sum(one.weight for one in every),
        30 if layered else 10,
    )
    return [whole, *every]


def _entry(entry: Entry, project: Source) -> Found:
    return Found(
        entry.name,
        {
            "activity": lambda depth: activity(entry, depth),
            "sequence": lambda depth: sequence(entry, project, depth),
            "data-flow": lambda _depth: dataflow(f"Data flow: {entry.name}", [entry]),
        },
        entry.weight,
        20,
    )
