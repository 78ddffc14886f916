"""Names of output columns: SQL compares them without case, so do we."""

from __future__ import annotations

from collections.abc import Iterable

from headgate.core.errors import Code, FatalError


def distinct(names: Iterable[str]) -> None:
    """Refuse empty names, and two that differ by case at most."""
    seen: dict[str, str] = {}
    for name in names:
        if not name.strip() or "\x00" in name:
            raise FatalError(
                Code.PLAN_INVALID, f"{name!r} cannot be a column's name", operation="plan", hint="write a name"
            )
        if name.lower() in seen:
            raise FatalError(
                Code.PLAN_INVALID,
                f'two columns would be called "{name}"'
                + (f' and "{seen[name.lower()]}"' if seen[name.lower()] != name else ""),
                operation="plan",
                object=name,
                hint="names are compared without case; give one of them another name",
            )
        seen[name.lower()] = name
