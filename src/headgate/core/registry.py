"""Kinds are found by name: a file in the room is a kind, an installed entry point is another. No list is kept."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import EntryPoints, entry_points
from types import ModuleType
from typing import Any

from headgate.core.errors import Code, FatalError, nearest
from headgate.core.models import ConnectionOptions

GROUPS = {
    "transforms": "headgate.transforms",
    "quality": "headgate.quality",
    "sources": "headgate.sources",
    "targets": "headgate.targets",
    "lake": "headgate.lake",
}


WORDS = {
    "transforms": "step",
    "quality": "rule",
    "sources": "source",
    "targets": "target",
    "engines": "engine",
    "lake": "lake",
}
"""What one of a group is called in front of people."""


class PackageRegistry:
    """Kinds of this package's rooms, then entry points of the group ``headgate.<group>``."""

    def kinds(self, group: str) -> list[str]:
        return sorted(set(_built_in(group)) | {point.name for point in _installed(group)})

    def module(self, group: str, kind: str) -> Any:
        found = _load(group, kind)
        if found is None:
            raise FatalError(
                Code.CONFIG_INVALID,
                f'unknown {WORDS[group]} "{kind}"',
                operation="configuration",
                object=kind,
                hint=nearest(kind, self.kinds(group)),
            )
        return found

    def connection(self, kind: str) -> type[ConnectionOptions]:
        for group in ("sources", "targets"):
            found = _load(group, kind)
            if found is not None:
                options: type[ConnectionOptions] = found.Connection
                return options
        raise FatalError(
            Code.CONFIG_INVALID,
            f'unknown kind of connection "{kind}"',
            operation="configuration",
            object=kind,
            hint=nearest(kind, {*self.kinds("sources"), *self.kinds("targets")}),
        )


@cache
def _built_in(group: str) -> tuple[str, ...]:
    package = importlib.import_module(GROUPS[group])
    return tuple(info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("_"))


@cache
def _installed(group: str) -> EntryPoints:
    """Looked up once: every look reads the metadata of all packages."""
    return entry_points(group=f"headgate.{group}")


@cache
def _load(group: str, kind: str) -> ModuleType | None:
    if kind in _built_in(group):
        return importlib.import_module(f"{GROUPS[group]}.{kind}")
    for point in _installed(group).select(name=kind):
        loaded = point.load()
        assert isinstance(loaded, ModuleType), f"entry point {point.name} of headgate.{group} must name a module"
        return loaded
    return None
