"""The runner of pages, for every test of this folder."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def pages() -> Any:
    """The module ``blocks`` beside this file; folders of tests are no packages here."""
    specification = importlib.util.spec_from_file_location("docs_blocks", Path(__file__).with_name("blocks.py"))
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["docs_blocks"] = module  # where its dataclasses look for their own names
    specification.loader.exec_module(module)
    return module
