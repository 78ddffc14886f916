"""Files that are settings, because the name that takes them says so."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from headgate.diagrams.source.flow import Part
from headgate.diagrams.source.values import NOTHING, Thing, Value

if TYPE_CHECKING:
    from headgate.diagrams.source.machine import Machine

_NAMES = re.compile(r"_*(conf|config|cfg|settings|options|configuration|params|parameters|secrets|credentials)$", re.I)


def named(machine: Machine, node: ast.Assign, value: Value, before: int) -> Value:
    """``options = json.load(…)``: one file that is read whole is configuration, not rows."""
    target = node.targets[0]
    if not (isinstance(target, ast.Name) and _NAMES.match(target.id)):
        return value
    steps = machine.steps[before:]
    if len(steps) != 1 or steps[0].part is not Part.EXTRACT or value.origins != {steps[0].number}:
        return value
    if not steps[0].reads or any(place.kind != "file" for place in steps[0].reads):
        return value
    steps[0].part = Part.CONFIG
    return Thing(NOTHING, "?config", shown="{config}")
