"""Every comparison with plain Python once more, at 10,000 examples each. They read no file, so they can."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

EXAMPLES = 10_000
FIXTURES = ("execute", "given", "database")


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
        "aggregate", "calculate", "cast", "categorize", "clean", "deduplicate", "filter", "join", "map", "normalize",
        "pivot", "sample", "window",
    }  # fmt: skip


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("module", "name"), PROPERTIES)
def test_ten_thousand_examples(module: str, name: str, request: pytest.FixtureRequest) -> None:
    found: Callable[..., Any] = getattr(importlib.import_module(f"tests.transforms.{module}"), name)
    given = {fixture: request.getfixturevalue(fixture) for fixture in inspect.signature(found).parameters}
    settings.register_profile(
        "ten thousand", max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    settings.load_profile("ten thousand")
    try:
        found(**given)
    finally:
        settings.load_profile("default")
