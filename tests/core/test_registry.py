"""A file in a room is a kind; what is not one is refused with the nearest."""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, EntryPoints
from types import ModuleType

import pytest

from headgate.core import registry
from headgate.core.errors import Code, FatalError
from headgate.core.models import ConnectionOptions
from headgate.core.registry import GROUPS, PackageRegistry

KINDS = PackageRegistry()


@pytest.mark.parametrize("group", list(GROUPS))
def test_every_file_of_a_room_is_a_kind_that_loads(group: str) -> None:
    kinds = KINDS.kinds(group)
    assert kinds == sorted(set(kinds))
    assert not any(kind.startswith("_") for kind in kinds)
    for kind in kinds:
        assert isinstance(KINDS.module(group, kind), ModuleType)


@pytest.mark.parametrize("kind", ["local", "sqlite", "postgres"])
def test_a_connection_kind_has_options(kind: str) -> None:
    options = KINDS.connection(kind)
    assert issubclass(options, ConnectionOptions)
    assert options.model_fields["type"].annotation is not str


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(FatalError, match='unknown step "filtr"') as caught:
        KINDS.module("transforms", "filtr")
    assert caught.value.code is Code.CONFIG_INVALID
    assert caught.value.hint == 'did you mean "filter"?'
    with pytest.raises(FatalError, match="unknown kind of connection") as caught:
        KINDS.connection("postgress")
    assert caught.value.hint == 'did you mean "postgres"?'


def test_an_installed_entry_point_is_a_kind_too(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("shout", "headgate.transforms.rename", "headgate.transforms")

    def points(*, group: str) -> EntryPoints:
        return EntryPoints([point] if group == point.group else [])

    monkeypatch.setattr(registry, "entry_points", points)
    looked_up = (registry._load, registry._installed)
    for once in looked_up:
        once.cache_clear()
    try:
        assert "shout" in KINDS.kinds("transforms")
        assert KINDS.module("transforms", "shout") is importlib.import_module("headgate.transforms.rename")
        assert "shout" not in KINDS.kinds("quality")
    finally:
        for once in looked_up:
            once.cache_clear()
