"""Every comparison of rules with plain Python once more, at 10,000 examples each (or HEADGATE_EXAMPLES)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.often import play, properties
from tests.quality import test_oracle

from headgate import quality

HERE = Path(__file__).parent
PROPERTIES = list(properties(HERE, {"judge", "given", "root", "tmp_path_factory"}))
KINDS = {path.stem for path in Path(quality.__file__).parent.glob("[a-z]*.py")}


def test_every_kind_is_compared_with_what_is_documented() -> None:
    """In a module of its own, or by a function of ``test_oracle``."""
    compared = {module.removeprefix("test_") for module, _ in PROPERTIES}
    assert "oracle" in compared
    compared |= {name.removeprefix("check_") for name in vars(test_oracle) if name.startswith("check_")}
    assert compared >= KINDS


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("module", "name"), PROPERTIES)
def test_many_examples(module: str, name: str, request: pytest.FixtureRequest) -> None:
    play(HERE / f"{module}.py", name, request)
