"""Lineage: which columns of a target come from which columns of what was read."""

from __future__ import annotations

from collections.abc import Sequence

from headgate.diagrams.graph import Graph
from headgate.diagrams.palette import Role, Shape
from headgate.diagrams.pipelines.sketch import Sketch
from headgate.plan.stages import Plan, Scan, Write


def lineage(plan: Plan) -> Graph:
    """A frame for each relation read and each table written; columns that come from no column stand alone."""
    sketch = Sketch(f"Column lineage of {plan.pipeline}", "LR")
    scans = [stage for stage in plan.stages if isinstance(stage, Scan)]
    writes = [stage for stage in plan.stages if isinstance(stage, Write)]
    wanted = {origin for write in writes for _, origins in write.lineage for origin in origins}
    for scan in scans:
        _read(sketch, scan, wanted)
    for write in writes:
        _written(sketch, write, [scan.relation for scan in scans])
    return sketch.graph()


def _read(sketch: Sketch, scan: Scan, wanted: set[str]) -> None:
    """The columns of one relation that something comes from; ``*`` stands for all of it."""
    frame = sketch.group(f"read {scan.relation}", f"{scan.object} of {scan.connection}")
    names = [column.name for column in scan.columns if f"{scan.relation}.{column.name}" in wanted]
    types = {column.name: column.type for column in scan.columns}
    for name in names + (["*"] if f"{scan.relation}.*" in wanted else []):
        label = "every column" if name == "*" else name
        detail = (types[name],) if name in types else ()
        sketch.node(f"{scan.relation}.{name}", label, Role.SOURCE, detail, frame, Shape.BOX, "")


def _written(sketch: Sketch, write: Write, relations: Sequence[str]) -> None:
    frame = sketch.group(f"write {write.target}", f"{write.table} in {write.store}")
    lineage = dict(write.lineage)
    for column in write.columns:
        key = "🔑" if column.name in write.keys else ""
        here = sketch.node(
            f"write {write.target}.{column.name}", column.name, Role.TARGET, (column.type,), frame, Shape.BOX, key
        )
        for origin in lineage.get(column.name, ()):
            if origin not in sketch.nodes:
                _unknown(sketch, origin, relations)
            sketch.edge(origin, here)


def _unknown(sketch: Sketch, origin: str, relations: Sequence[str]) -> None:
    """An origin that no relation of the plan lists, such as a column of a table that only a query names."""
    relation, _, name = origin.rpartition(".")
    frame = f"read {relation}"
    if relation not in relations and frame not in sketch.groups:
        sketch.group(frame, relation)
    sketch.group(frame, relation or "elsewhere")
    sketch.node(origin, "every column" if name == "*" else name, Role.SOURCE, (), frame, Shape.BOX, "")
