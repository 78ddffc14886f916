"""Labels of steps, the same in every picture."""

from __future__ import annotations

from headgate.diagrams.palette import Role
from headgate.diagrams.source.flow import Block, Call, Layer, Part, Place, Step

MOST = 5
"""Lines of detail below a label."""
ROLES = {
    Part.EXTRACT: Role.EXTRACT,
    Part.TRANSFORM: Role.TRANSFORM,
    Part.LOAD: Role.LOAD,
    Part.VALIDATE: Role.VALIDATION,
    Part.NOTIFY: Role.NOTIFICATION,
    Part.LOG: Role.MONITORING,
    Part.CONFIG: Role.CONFIG,
}
LAYERS: dict[Layer, tuple[str, Role]] = {
    "orchestration": ("Orchestration", Role.ORCHESTRATION),
    "extract": ("Extract", Role.EXTRACT),
    "transform": ("Transform", Role.TRANSFORM),
    "load": ("Load", Role.LOAD),
    "utilities": ("Utilities", Role.UTILITY),
    "configuration": ("Configuration", Role.CONFIG),
}


def label(step: Step) -> str:
    """What a step does, on one line."""
    match step.part:
        case Part.LOG:
            return f"Log {step.level}"
        case Part.CONFIG:
            return f"Read {', '.join(place.name for place in step.reads) or 'configuration'}"
        case Part.NOTIFY:
            return f"Alert: {step.what}"
        case Part.VALIDATE:
            return f"Validate: {step.what}"
        case _:
            return f"{step.part.value.capitalize()}: {step.what}"


def detail(step: Step, *, places: bool = True) -> tuple[str, ...]:
    """Where from, where to, and the arguments that tell something."""
    found = []
    if places and step.part is not Part.CONFIG:
        found += [f"from {named(place)}" for place in step.reads[:3]]
        found += [f"into {named(place)}" for place in step.writes[:3]]
    found += step.detail
    return tuple(found) if len(found) <= MOST else (*found[: MOST - 1], f"and {len(found) - MOST + 1} more")


def named(place: Place) -> str:
    return f"{place.name} ({place.system})" if place.system and place.system != place.name else place.name


def part_of(block: Block) -> Part | None:
    """What most of a block's steps are for; None without steps."""
    parts = [step.part for step in block.steps() if step.part not in (Part.LOG, Part.CONFIG)]
    return max(dict.fromkeys(parts), key=parts.count) if parts else None


def role_of(call: Call) -> Role:
    part = part_of(call.body) or call.part
    return ROLES[part] if part else Role.PROCESS
