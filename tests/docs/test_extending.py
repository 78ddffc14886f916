"""The package that the page on extending makes works: through its entry points, and by its own tests."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "extending.md"

pytestmark = pytest.mark.docs


def install(extras: Path) -> None:
    """What an editable installation leaves behind: the entry points of pyproject.toml, beside the package."""
    project = tomllib.loads((extras / "pyproject.toml").read_text())["project"]
    folder = extras / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {module}" for name, module in points.items())]
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")


def test_the_package_of_the_page_works(pages: Any, tmp_path: Path) -> None:
    office = tmp_path / "office"
    office.mkdir()
    session = pages.Session(office, python_path=str(office / "extras"))
    found = pages.blocks(PAGE)
    files, others = [block for block in found if block.file], [block for block in found if not block.file]
    assert (len(files), len(others)) == (7, 1)
    for block in files:
        session.run(block)
    install(office / "extras")
    for block in others:
        session.run(block)
    done = session.process([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "extras"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
