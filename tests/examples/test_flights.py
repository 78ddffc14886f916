"""What the flights example needs beside the product itself."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

PREPARE = Path(__file__).resolve().parents[2] / "examples" / "flights" / "prepare.py"


@pytest.fixture(scope="module")
def prepare() -> ModuleType:
    specification = importlib.util.spec_from_file_location("flights_prepare", PREPARE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "expected"), [("1-3", [1, 2, 3]), ("12", [12]), ("2,1,2", [1, 2]), ("1-2,11-12", [1, 2, 11, 12])]
)
def test_months_are_ranges_and_lists(prepare: ModuleType, text: str, expected: list[int]) -> None:
    assert prepare.months(text) == expected


@pytest.mark.parametrize("text", ["", "0", "13", "may", "3-1", "1-", "-2"])
def test_what_is_no_month_is_refused(prepare: ModuleType, text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a list of months"):
        prepare.months(text)
