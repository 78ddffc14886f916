"""What a source knows of leaving rows out by itself, for a plan that would ask it to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Ground:
    """A database that can leave out rows which a plan would drop, and count them.

    Args:
        dialect: the SQL that is spoken there; empty if rows cannot be left out.
        values: columns that conditions may compare, each as SQL for its value in its true type.
        obstacle: why no row of this read can be left out; empty if some can.
        ordered: texts are in the order of their code points, where the dialect says so.
    """

    dialect: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    obstacle: str = ""
    ordered: bool = True
