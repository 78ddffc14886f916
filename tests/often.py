"""Property tests once more, with the many examples of the long suite."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
from collections.abc import Iterator, Set
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

EXAMPLES = int(os.environ.get("HEADGATE_EXAMPLES", "10000"))


def properties(folder: Path, fixtures: Set[str]) -> Iterator[tuple[str, str]]:
    """Module and name of each property test in ``folder`` that needs nothing but these fixtures and its examples."""
    for path in sorted(folder.glob("test_*.py")):
        if path.name == "test_long.py":
            continue
        module = importlib.import_module(f"tests.{folder.name}.{path.stem}")
        for name, found in vars(module).items():
            if is_hypothesis_test(found) and set(inspect.signature(found).parameters) <= fixtures:
                yield path.stem, name


def play(path: Path, name: str, request: pytest.FixtureRequest) -> None:
    """One of them, ``EXAMPLES`` times."""
    often = settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    found = often(getattr(_apart(path), name))
    found(**{fixture: request.getfixturevalue(fixture) for fixture in inspect.signature(found).parameters})


def _apart(path: Path) -> ModuleType:
    """A copy of the module, so that its tests keep their own number of examples."""
    spec = importlib.util.spec_from_file_location(f"long_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made
