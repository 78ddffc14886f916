"""One palette of roles: colours, shapes and icons, the same in every diagram."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a node is. The value is the name of its class in Mermaid."""

    ORCHESTRATION = "orchestration"
    SCHEDULE = "schedule"
    DEPENDENCY = "dependency"
    SOURCE = "source"  # a system, table or file that data comes from
    EXTRACT = "extract"
    TRANSFORM = "transform"
    PROCESSING = "processing"
    LOAD = "load"
    TARGET = "target"  # a system, table or file that data goes to
    VALIDATION = "validation"
    NOTIFICATION = "notification"
    UTILITY = "utility"
    CONFIG = "config"
    MONITORING = "monitoring"
    START_END = "startEnd"
    PROCESS = "process"
    DECISION = "decision"
    ERROR = "error"
    WARNING = "warning"


class Shape(StrEnum):
    BOX = "box"
    DIAMOND = "diamond"
    ROUND = "round"  # start and end
    STORE = "store"


@dataclass(frozen=True)
class Style:
    """How a role is drawn; colours as CSS has them."""

    fill: str
    text: str = "black"
    stroke: str = "#333"
    shape: Shape = Shape.BOX
    icon: str = ""


_LAVENDER, _SKY, _GREEN, _GOLD = "#E6E6FA", "#87CEEB", "#90EE90", "#FFD700"
_KHAKI, _MOCCASIN, _PINK, _CRIMSON = "#F0E68C", "#FFE4B5", "#FFB6C1", "#DC143C"
_BLUE_TEXT, _GREEN_TEXT = "darkblue", "darkgreen"

PALETTE: dict[Role, Style] = {
    Role.ORCHESTRATION: Style(_LAVENDER, _BLUE_TEXT, icon="🎯"),
    Role.SCHEDULE: Style(_LAVENDER, _BLUE_TEXT, icon="⏰"),
    Role.DEPENDENCY: Style(_KHAKI, icon="🔗"),
    Role.SOURCE: Style(_SKY, _BLUE_TEXT, shape=Shape.STORE, icon="📥"),
    Role.EXTRACT: Style(_SKY, _BLUE_TEXT, icon="📥"),
    Role.TRANSFORM: Style(_GREEN, _GREEN_TEXT, icon="⚙️"),
    Role.PROCESSING: Style(_GREEN, _GREEN_TEXT, icon="⚙️"),
    Role.LOAD: Style(_GOLD, icon="📤"),
    Role.TARGET: Style(_GOLD, shape=Shape.STORE, icon="📤"),
    Role.VALIDATION: Style(_MOCCASIN, icon="✅"),
    Role.NOTIFICATION: Style(_LAVENDER, _BLUE_TEXT, icon="📧"),
    Role.UTILITY: Style(_KHAKI, icon="🔧"),
    Role.CONFIG: Style(_MOCCASIN, icon="📄"),
    Role.MONITORING: Style(_KHAKI, icon="📊"),
    Role.START_END: Style(_LAVENDER, _BLUE_TEXT, shape=Shape.ROUND),
    Role.PROCESS: Style(_GREEN, _GREEN_TEXT),
    Role.DECISION: Style(_GOLD, shape=Shape.DIAMOND),
    Role.ERROR: Style(_PINK, stroke=_CRIMSON, icon="❌"),
    Role.WARNING: Style(_KHAKI, icon="⚠️"),
}
