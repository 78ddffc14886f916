"""Every comparison with plain Python once more, at 10,000 examples each (or HEADGATE_EXAMPLES)."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

EXAMPLES = int(os.environ.get("HEADGATE_EXAMPLES", "10000"))
FIXTURES = ("execute", "given", "database", "folder")


def _properties() -> Iterator[tuple[str, str]]:
    """Module and name of each property test that needs nothing but the fixtures above."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        if path.name == Path(__file__).name:
            continue
        module = importlib.import_module(f"tests.transforms.{path.stem}")
        for name, found in vars(module).items():
            if is_hypothesis_test(found) and set(inspect.signature(found).parameters) <= set(FIXTURES):
                yield path.stem, name


PROPERTIES = list(_properties())


def test_every_kind_with_a_reference_is_among_them() -> None:
    kinds = {module.removeprefix("test_") for module, _ in PROPERTIES}
    assert kinds >= {
        "aggregate", "calculate", "cast", "categorize", "clean", "deduplicate", "filter", "join", "map", "mask",
        "normalize", "pivot", "python", "rename", "sample", "sql", "window",
    }  # fmt: skip


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("module", "name"), PROPERTIES)
def test_many_examples(module: str, name: str, request: pytest.FixtureRequest) -> None:
    found = settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))(
        getattr(_apart(module), name)
    )
    found(**{fixture: request.getfixturevalue(fixture) for fixture in inspect.signature(found).parameters})


def _apart(module: str) -> ModuleType:
    """A copy of the module, so that its tests keep their own number of examples."""
    path = Path(__file__).parent / f"{module}.py"
    spec = importlib.util.spec_from_file_location(f"long_{module}", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made
