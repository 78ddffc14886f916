"""Architecture: classes and modules by layer, who implements, makes, uses and configures whom, and the way of data."""

from __future__ import annotations

from headgate.diagrams.drawings.words import LAYERS
from headgate.diagrams.graph import EdgeKind, Graph
from headgate.diagrams.palette import Role
from headgate.diagrams.pipelines.sketch import Sketch
from headgate.diagrams.source.flow import Call, Component, Entry, Item, Part, Place, Source, Step, inner

DATA = (Part.EXTRACT, Part.TRANSFORM, Part.LOAD)
METHODS = 4


def architecture(source: Source) -> Graph:
    return _Drawing(source).graph()


class _Drawing:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.sketch = Sketch(f"Architecture: {source.name}", "LR")
        self.known = {one.name: one for one in source.components}

    def graph(self) -> Graph:
        for layer, (text, _) in LAYERS.items():
            self.sketch.group(layer, text)
        for component in self.source.components:
            self._component(component)
        for component in self.source.components:
            self._edges(component)
        for entry in self.source.entries:
            self._flow(entry)
        return self.sketch.graph()

    def _component(self, one: Component) -> None:
        lines = ["abstract"] if one.abstract else []
        if one.kind == "module":
            lines.append(one.file)
        shown = one.methods[:METHODS]
        lines += [f"{name}()" for name in shown]
        if len(one.methods) > METHODS:
            lines.append(f"and {len(one.methods) - METHODS} more")
        self.sketch.node(_id(one.name), one.name, LAYERS[one.layer][1], lines, one.layer)

    def _edges(self, one: Component) -> None:
        for base in one.bases:
            if base in self.known:
                self.sketch.edge(_id(base), _id(one.name), kind=EdgeKind.IMPLEMENTS)
        for attribute, part in one.parts.items():
            if part in self.known and part != one.name:
                self.sketch.edge(_id(one.name), _id(part), attribute.split(":")[0], EdgeKind.USES)
        for config in one.configs:
            self.sketch.node(f"config {config}", config, Role.CONFIG, (), "configuration")
            self.sketch.edge(f"config {config}", _id(one.name), kind=EdgeKind.CONFIGURES)

    def _flow(self, entry: Entry) -> None:
        """The pipeline's real order: stores to what extracts, from component to component, to stores."""
        owners: dict[int, str] = {}
        order: list[tuple[Step, str]] = []
        self._owned(entry.body.items, entry.component, owners, order)
        for step, owner in order:
            if owner not in self.known:
                continue
            for place in step.reads if step.part in DATA else ():
                self.sketch.edge(self._store(place, Role.SOURCE), _id(owner))
            for number in sorted(step.inputs):
                before = owners.get(number)
                # what a pipeline does itself is not a part that data goes to
                if before and before != owner and before in self.known and self.known[owner].layer != "orchestration":
                    self.sketch.edge(_id(before), _id(owner))
            for place in step.writes if step.part is not Part.NOTIFY else ():
                self.sketch.edge(_id(owner), self._store(place, Role.TARGET))

    def _owned(self, items: list[Item], owner: str, owners: dict[int, str], order: list[tuple[Step, str]]) -> None:
        for item in items:
            here = item.component if isinstance(item, Call) else owner
            if isinstance(item, Call) and here != owner and here in self.known and owner in self.known:
                self._called(owner, here, item)
            if isinstance(item, Step):
                owners[item.number] = owner
                order.append((item, owner))
            for block in inner(item):
                self._owned(block.items, here, owners, order)

    def _called(self, owner: str, here: str, item: Call) -> None:
        """Who calls whom, where composition does not say it already."""
        if here in self.known[owner].parts.values() or here in self.known[owner].bases:
            return
        if item.function != "__init__":
            self.sketch.edge(_id(owner), _id(here), kind=EdgeKind.USES)

    def _store(self, place: Place, role: Role) -> str:
        detail = (place.system,) if place.system and place.kind != "system" else ()
        return self.sketch.node(f"{place.kind} {place.system} {place.name}", place.name, role, detail)


def _id(name: str) -> str:
    return f"component {name}"
