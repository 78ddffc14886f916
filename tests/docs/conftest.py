"""What tests of documents share: modules that are no part of the package, and the runner of pages."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load(path: str) -> Any:
    """The module in a file, relative to the repository."""
    name = "_".join(Path(path).with_suffix("").parts)
    specification = importlib.util.spec_from_file_location(name, ROOT / path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # where dataclasses look for their own names
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def module_at() -> Callable[[str], Any]:
    return load


@pytest.fixture(scope="session")
def pages() -> Any:
    """The module ``blocks`` beside this file; folders of tests are no packages here."""
    return load("tests/docs/blocks.py")


@pytest.fixture(scope="session")
def generate() -> Any:
    """The generator of the reference."""
    return load("docs/generate.py")
