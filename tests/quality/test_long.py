"""Every comparison of rules with plain Python once more, at 10,000 examples each (or HEADGATE_EXAMPLES)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.often import play, properties

HERE = Path(__file__).parent
PROPERTIES = list(properties(HERE, {"judge", "given", "root"}))


def test_every_kind_with_a_reference_is_among_them() -> None:
    kinds = {module.removeprefix("test_") for module, _ in PROPERTIES}
    assert kinds >= {
        "accepted_values", "expression", "format", "not_null", "oracle", "range", "regex", "row_count", "schema",
        "unique",
    }  # fmt: skip


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("module", "name"), PROPERTIES)
def test_many_examples(module: str, name: str, request: pytest.FixtureRequest) -> None:
    play(HERE / f"{module}.py", name, request)
