"""At least nine of ten steps of the labelled corpus are recognised, and hardly anything else is taken for a step."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.diagrams.corpus import NAMES, score


def test_nine_of_ten_steps_are_recognised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = score(NAMES, tmp_path)
    with capsys.disabled():
        print(found)
    assert found.recall >= 0.9
    assert found.precision >= 0.9
