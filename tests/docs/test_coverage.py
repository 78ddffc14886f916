"""The tables that say where each row of the specification is shown name tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "coverage").glob("*.md"))
TEST = re.compile(r"((?:tests|src)/[\w/]+\.py)::(?:\w+::)*(\w+)")

pytestmark = pytest.mark.docs


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_row_names_tests_that_exist(page: Path) -> None:
    rows = [line for line in page.read_text().splitlines() if re.match(r"\| *[A-Z]+-?\d+", line)]
    assert rows, "a page of coverage has rows that begin with an identifier"
    for row in rows:
        named = TEST.findall(row)
        assert named, row
        for file, test in named:
            path = ROOT / file
            assert path.is_file(), row
            assert re.search(rf"^ *(?:async )?def {test}\(", path.read_text(), re.MULTILINE), row
