"""What no table knows: files that are read and written by hand, and calls whose names alone say what they are for."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from headgate.diagrams.source import shown
from headgate.diagrams.source.flow import Part, Place
from headgate.diagrams.source.names import part_of
from headgate.diagrams.source.paths import names_file
from headgate.diagrams.source.rows import holds_rows
from headgate.diagrams.source.values import NOTHING, Called, Known, Thing, Value, origins_of

if TYPE_CHECKING:
    from headgate.diagrams.source.machine import Machine

CONFIG_FILE = re.compile(
    r"(^|[/_.-])(conf|config|configs|configuration|settings|params|credentials)([/_.-]|$)|\.env$|\.ini$", re.I
)
ALONE = re.compile(r"_*(extract|fetch_(?!all|one|many)|download|ingest|scrape|crawl)", re.I)


METHODS = frozenset(
    {"read", "readlines", "readline", "write", "writelines", "read_text", "read_bytes", "write_text", "write_bytes"}
)


def file(machine: Machine, thing: Thing, call: Called, node: ast.Call) -> Value | None:
    """Files that are opened and read or written by hand."""
    opened = next((one for one in thing.calls[-2:] if one.name in ("open", "Path")), None)
    if opened is None or call.name not in METHODS:
        return None
    given = opened.argument(0, "file", "filename")
    name = given.text if given is not None and names_file(given) else ""
    place = Place("file", shown.clean(name))
    if call.name.startswith("read"):
        if CONFIG_FILE.search(name):
            machine.step(Part.CONFIG, "read", node).reads.append(place)
            return Thing(NOTHING, "?config", shown="{config}")
        if name.endswith(".sql"):
            return Thing(NOTHING, "?sql", shown=f"{{{name}}}")
        step = machine.step(Part.EXTRACT, "read file", node, thing.origins)
        step.reads.append(place)
        return Thing(frozenset({step.number}), "?text")
    step = machine.step(Part.LOAD, "write file", node, thing.origins | origins_of(call.args))
    step.writes.append(place)
    return Known(value=None)


def by_name(machine: Machine, path: str, thing: Thing, call: Called, node: ast.Call) -> Value | None:
    """A call of something that is not known at all, whose name says what it is for."""
    if (
        not path.startswith("?")
        or thing.calls
        or path.startswith(("?logger", "?parser", "?re.", "?str.", "?exc", "?e."))
    ):
        return None
    part = part_of(call.name)
    given = [*call.args, *call.kwargs.values()]
    rows = any(holds_rows(one) for one in given)
    if part is None or (part is Part.EXTRACT and not ALONE.match(call.name)):
        return None
    if part in (Part.TRANSFORM, Part.LOAD, Part.VALIDATE) and not rows:
        return None
    if part is Part.TRANSFORM and call.name in ("add", "map", "process", "parse", "apply"):
        return None
    step = machine.step(part, path.removeprefix("?").removeprefix("self."), node, origins_of(given))
    if part in (Part.EXTRACT, Part.TRANSFORM):
        return Thing(frozenset({step.number}), "?rows")
    return Known(value=None)
