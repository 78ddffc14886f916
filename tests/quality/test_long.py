"""Every comparison of rules with plain Python once more, at 10,000 examples each (or HEADGATE_EXAMPLES)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.often import Property, properties

from headgate.core.registry import PackageRegistry

PROPERTIES = list(properties(Path(__file__).parent, {"judge", "given", "root", "tmp_path_factory"}))


def test_every_kind_is_compared_with_what_is_documented() -> None:
    kinds = set(PackageRegistry().kinds("quality"))
    assert kinds
    assert kinds - {found.kind for found in PROPERTIES} == set()


def test_every_comparison_takes_as_many_examples_as_it_is_told() -> None:
    """None has settings of its own, which would keep it from the long suite."""
    for found in PROPERTIES:
        found.often()


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("found", PROPERTIES, ids=str)
def test_many_examples(found: Property, request: pytest.FixtureRequest) -> None:
    found.play(request)
