"""Property tests once more, with the many examples of the long suite."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import itertools
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

Test = TypeVar("Test", bound=Callable[..., Any])
_apart_now: list[Path] = []
"""The module that is being loaded for the long suite."""


def few(test: Test) -> Test:
    """A quarter of the usual examples where it is a test of its own; in the long suite as many as any other."""
    return test if _apart_now else settings(max_examples=25)(test)


def whole_runs(test: Test) -> Test:
    """Very few examples, each of which is a run of a pipeline; in the long suite as many as any other."""
    return test if _apart_now else settings(max_examples=8, suppress_health_check=list(HealthCheck))(test)


EXAMPLES = int(os.environ.get("HEADGATE_EXAMPLES", "10000"))
OFTEN = settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@dataclass(frozen=True)
class Property:
    """A property test, with the values of its parameters where it has some."""

    path: Path
    name: str
    values: tuple[tuple[str, Any], ...] = ()

    @property
    def kind(self) -> str:
        return self.path.stem.removeprefix("test_")

    def __str__(self) -> str:
        return "-".join([self.path.stem, self.name, *(str(value) for _, value in self.values)])

    def often(self) -> Any:
        """With many examples: of a copy of the module, so that its tests keep their own number."""
        return OFTEN(getattr(_apart(self.path), self.name))

    def play(self, request: pytest.FixtureRequest) -> None:
        """Find ``EXAMPLES`` examples for which it holds, or fail."""
        found, values = self.often(), dict(self.values)
        fixtures = inspect.signature(found).parameters.keys() - values.keys()
        found(**values, **{fixture: request.getfixturevalue(fixture) for fixture in fixtures})


def properties(folder: Path, fixtures: Set[str]) -> Iterator[Property]:
    """The property tests in ``folder`` that need nothing but these fixtures, their parameters and their examples."""
    for path in sorted(folder.glob("test_*.py")):
        if path.name == "test_long.py":
            continue
        module = importlib.import_module(f"tests.{folder.name}.{path.stem}")
        for name, found in vars(module).items():
            if is_hypothesis_test(found):
                for values in _parameters(found):
                    if set(inspect.signature(found).parameters) <= fixtures | values.keys():
                        yield Property(path, name, tuple(values.items()))


def _parameters(found: Any) -> Iterator[Mapping[str, Any]]:
    """Each combination of what ``pytest.mark.parametrize`` gives."""
    choices = []
    for mark in getattr(found, "pytestmark", ()):
        if mark.name == "parametrize":
            names, cases = mark.args
            names = names.split(",") if isinstance(names, str) else names
            choices.append([dict(zip(names, case if len(names) > 1 else [case], strict=True)) for case in cases])
    for chosen in itertools.product(*choices):
        yield functools.reduce(lambda all_, some: {**all_, **some}, chosen, {})


def _apart(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"long_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    _apart_now.append(path)
    sys.modules[spec.name] = made  # where dataclasses look for it
    try:
        spec.loader.exec_module(made)
    finally:
        del sys.modules[spec.name]
        _apart_now.pop()
    return made
