"""The tutorial is true: its commands run, one after another, and print what it says."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"

pytestmark = pytest.mark.docs


def _load() -> Any:
    specification = importlib.util.spec_from_file_location("docs_blocks", Path(__file__).with_name("blocks.py"))
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["docs_blocks"] = module
    specification.loader.exec_module(module)
    return module


def test_the_tutorial_runs_block_by_block(tmp_path: Path) -> None:
    page = _load()
    folder = tmp_path / "home"
    folder.mkdir()
    session = page.Session(folder)
    run = [block for block in page.blocks(PAGE) if block.language != "sh"]
    assert len(run) >= 15
    for block in run:
        session.run(block)
