"""Tasks of foreign DAGs by what they are for, or in the groups that the source has, after what starts them."""

from __future__ import annotations

from collections.abc import Sequence

from headgate.diagrams.dags import Dag
from headgate.diagrams.graph import Graph
from headgate.diagrams.palette import Role, Shape
from headgate.diagrams.pipelines.sketch import Sketch

FRAMES = {
    Role.SCHEDULE: "Schedule",
    Role.DEPENDENCY: "Dependency",
    Role.SOURCE: "Source",
    Role.EXTRACT: "Extract",
    Role.TRANSFORM: "Transform",
    Role.LOAD: "Load",
    Role.VALIDATION: "Validation",
    Role.NOTIFICATION: "Notification",
}


def dag(one: Dag) -> Graph:
    """One DAG; its title is the DAG's id."""
    sketch = Sketch(f"{one.what}: {one.id}", "LR")
    _draw(sketch, one, "")
    return sketch.graph()


def dags(name: str, several: Sequence[Dag]) -> Graph:
    """Several DAGs, each in a frame of its own."""
    if len(several) == 1:
        return dag(several[0])
    sketch = Sketch(name, "LR")
    for number, one in enumerate(several):
        frame = sketch.group(f"dag {number} {one.id}", f"{one.what}: {one.id}")
        _draw(sketch, one, frame)
    return sketch.graph()


def _draw(sketch: Sketch, one: Dag, frame: str) -> None:
    prefix = f"{frame} " if frame else ""
    for id_, (label, parent) in one.groups.items():
        sketch.group(f"{prefix}group {id_}", label, f"{prefix}group {parent}" if parent else frame)
    if one.schedule or one.words:
        group = _framed(sketch, prefix, Role.SCHEDULE, frame) if not one.groups else frame
        detail = [one.schedule] if one.schedule != one.words else []
        sketch.node(f"{prefix}trigger", one.words or one.schedule, Role.SCHEDULE, [*detail, *one.detail], group)
        for name in one.heads:
            sketch.edge(f"{prefix}trigger", f"{prefix}task {name}")
    for task in one.tasks.values():
        if task.group:
            group = f"{prefix}group {task.group}"
        else:
            group = _framed(sketch, prefix, task.role, frame) if not one.groups and task.role in FRAMES else frame
        shape = Shape.BOX if task.role is Role.SCHEDULE else None
        sketch.node(f"{prefix}task {task.id}", task.id, task.role, task.detail, group, shape)
    for before, after, label in one.edges:
        sketch.edge(f"{prefix}task {before}", f"{prefix}task {after}", label)


def _framed(sketch: Sketch, prefix: str, role: Role, parent: str) -> str:
    return sketch.group(f"{prefix}role {role.value}", FRAMES[role], parent)
