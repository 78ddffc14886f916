"""Imports begin beside a probe, once, and an import that fails is left to the run to tell."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from tests.plan.projects import NAME, SmallProject

from headgate.core.registry import PackageRegistry
from headgate.execute import prepare
from headgate.execute.workspace import Workspace


class Asked(PackageRegistry):
    """Notes what it was asked for; ``broken`` is a kind that cannot be imported."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken
        self.kinds_asked: list[tuple[str, str]] = []

    def module(self, group: str, kind: str) -> Any:
        self.kinds_asked.append((group, kind))
        if kind == self.broken:
            raise ImportError(kind)
        return ModuleType(kind)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(prepare, "_started", threading.Lock())
    yield
    join()


def join() -> None:
    for thread in threading.enumerate():
        if thread.name == "headgate-imports":
            thread.join()


def begin(project: SmallProject, registry: Asked, times: int = 1) -> None:
    steps: list[dict[str, Any]] = [
        {"type": "filter", "condition": "id > 0"},
        {"type": "rename", "columns": {"id": "nr"}},
    ]
    project.define(steps=steps, rules=[{"type": "not_null", "column": "nr"}])
    with Workspace.load(project.root) as workspace:
        for _ in range(times):
            prepare.prepare(registry, workspace.project.pipeline(NAME))
        join()


def test_what_the_pipeline_will_need_is_imported_once(project: SmallProject) -> None:
    registry = Asked()
    begin(project, registry, times=3)
    assert registry.kinds_asked == [("transforms", "filter"), ("transforms", "rename"), ("quality", "not_null")]


def test_an_import_that_fails_disturbs_nobody(project: SmallProject) -> None:
    registry = Asked(broken="filter")
    begin(project, registry)
    assert registry.kinds_asked == [("transforms", "filter")]
    assert project.run().rows.loaded == 5
