"""The tutorial is true: its commands run, one after another, and print what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"

pytestmark = pytest.mark.docs


def test_the_tutorial_runs_block_by_block(pages: Any, tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    session = pages.Session(folder)
    run = [block for block in pages.blocks(PAGE) if block.language != "sh"]
    assert len(run) >= 15
    for block in run:
        session.run(block)
