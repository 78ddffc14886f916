"""Every comparison of steps with plain Python once more, at 10,000 examples each (or HEADGATE_EXAMPLES)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.often import play, properties

from headgate import transforms

HERE = Path(__file__).parent
PROPERTIES = list(properties(HERE, {"execute", "given", "database", "folder"}))
KINDS = {path.stem for path in Path(transforms.__file__).parent.glob("[a-z]*.py")}


def test_every_kind_is_compared_with_what_is_documented() -> None:
    assert {module.removeprefix("test_") for module, _ in PROPERTIES} >= KINDS


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("module", "name"), PROPERTIES)
def test_many_examples(module: str, name: str, request: pytest.FixtureRequest) -> None:
    play(HERE / f"{module}.py", name, request)
