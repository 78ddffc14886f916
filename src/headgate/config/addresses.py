"""Finds where a source or target lies: a named connection, the lake, the project's folder, or a kind without one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from headgate.config.models import LAKE, Address
from headgate.config.report import Path, Report
from headgate.config.yaml import Section
from headgate.core.contracts import Registry
from headgate.core.errors import nearest

CATEGORIES = frozenset({"database", "file", "api", "stream", "data_lake", "data_warehouse"})
"""Words that stand where a kind may stand and say no more than the connection does."""


@dataclass(frozen=True)
class Surroundings:
    """What addresses are looked up in: kinds of connections by name, the lake's kind, what was told to be wrong."""

    kinds: Mapping[str, str]
    read_only: frozenset[str]
    lake: str
    wrong: frozenset[str] = frozenset()


def address_of(
    group: Literal["sources", "targets"],
    section: Section,
    around: Surroundings,
    registry: Registry,
    report: Report,
    path: Path,
) -> Address | None:
    """The address of one source or target; None when a problem was noted."""
    name, kind = section.get("connection"), section.get("type")
    if name is not None and not isinstance(name, str):
        report.note(f"expected: the name of a connection, got {name!r}"[:200], (*path, "connection"), _known(around))
        return None
    if kind is not None and not isinstance(kind, str):
        report.note(f"expected: a kind, got {kind!r}"[:200], (*path, "type"), ", ".join(registry.kinds(group)))
        return None
    if name is None:
        return _unnamed(group, section, around, registry, report, path)
    if name in around.wrong:
        return None
    if name != LAKE and name not in around.kinds:
        report.note(f'there is no connection "{name}"', (*path, "connection"), _known(around, name))
        return None
    found = Address("lake", around.lake, LAKE) if name == LAKE else Address(group, around.kinds[name], name)
    if kind is not None and kind not in CATEGORIES and kind != found.kind:
        report.note(f'the connection "{name}" is of type {found.kind}, not {kind}', (*path, "type"), "drop the type")
        return None
    if group == "targets" and name in around.read_only:
        report.note(f'the connection "{name}" is read_only', (*path, "connection"), "choose another for the target")
        return None
    return found


def _unnamed(
    group: Literal["sources", "targets"],
    section: Section,
    around: Surroundings,
    registry: Registry,
    report: Report,
    path: Path,
) -> Address | None:
    kind = section.get("type")
    if kind == around.lake or kind == "data_lake":
        return _lake(around)
    if kind is not None and kind not in (*CATEGORIES, "local") and group == "sources":
        return _by_kind(kind, registry, report, path)
    if group == "sources" and "path" in section:
        return Address("sources", "local", "")
    if kind is not None:
        report.note(f'"{kind}" needs a connection', (*path, "type"), _known(around))
        return None
    if group == "targets" or "table" in section:
        return _lake(around)
    report.note(
        "it does not say what to read", path, "give table, connection with table or query, path, or type: python"
    )
    return None


def _lake(around: Surroundings) -> Address | None:
    return None if LAKE in around.wrong else Address("lake", around.lake, LAKE)


def _by_kind(kind: str, registry: Registry, report: Report, path: Path) -> Address | None:
    """A kind that stands in the source itself, such as python; a kind that needs a place needs a connection."""
    if kind not in registry.kinds("sources"):
        report.note(f'unknown source "{kind}"', (*path, "type"), nearest(kind, registry.kinds("sources")))
        return None
    if not _connectionless(kind, registry):
        report.note(
            f'"{kind}" needs a connection', (*path, "type"), "name it under connections, and write connection: NAME"
        )
        return None
    return Address("sources", kind, "")


def _connectionless(kind: str, registry: Registry) -> bool:
    """Whether the kind is content with no options."""
    try:
        registry.connection(kind)(type=kind)
    except ValueError:
        return False
    return True


def _known(around: Surroundings, name: str = "") -> str:
    names = [*around.kinds, LAKE]
    return nearest(name, names)
