"""Deployment: the parts of infrastructure by what they are for, with counts, memory and images as given."""

from __future__ import annotations

from collections.abc import Sequence

from headgate.diagrams.deployments import AREAS, Area, Deployment
from headgate.diagrams.graph import EdgeKind, Graph
from headgate.diagrams.palette import Role, Shape
from headgate.diagrams.pipelines.sketch import Sketch

ROLES: dict[Area, Role] = {
    "orchestration": Role.ORCHESTRATION,
    "source": Role.SOURCE,
    "processing": Role.PROCESSING,
    "target": Role.TARGET,
    "monitoring": Role.MONITORING,
    "metadata": Role.CONFIG,
}


def deployment(title: str, several: Sequence[Deployment]) -> Graph:
    sketch = Sketch(title, "LR")
    for area, text in AREAS.items():
        sketch.group(area, text)
    for number, one in enumerate(several):
        for part in one.parts.values():
            shape = Shape.STORE if part.store else Shape.BOX
            sketch.node(f"{number} {part.id}", part.label, ROLES[part.area], part.detail, part.area, shape)
        for user, used, label in one.edges:
            sketch.edge(f"{number} {user}", f"{number} {used}", label, EdgeKind.USES)
    return sketch.graph()
