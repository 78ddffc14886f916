"""What the guide shows can be written: its YAML is valid, its commands and options exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from headgate.cli.main import app
from headgate.config.load import load_project
from headgate.core.registry import PackageRegistry

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += [*sorted((ROOT / "docs" / "guide").glob("*.md")), ROOT / "docs" / "reference" / "errors.md"]
PROJECT = """
version: 1
project: guide
connections:
  shop_db: {type: postgres, url: "${SHOP_DB_URL:-postgresql://shop}"}
  warehouse: {type: postgres, url: "${DW_URL:-postgresql://dw}"}
  files_out: {type: local, path: out}
"""
CALL = re.compile(r"\bheadgate ((?:[a-z]+ ?){1,2})([^`\n;&|#]*)")

pytestmark = pytest.mark.docs


def fragments(pages: Any) -> list[tuple[str, str]]:
    guide = sorted((ROOT / "docs" / "guide").glob("*.md"))
    return [(page.name, block.text) for page in guide for block in pages.blocks(page) if block.language == "yaml"]


def test_every_piece_of_a_pipeline_is_valid(pages: Any, tmp_path: Path) -> None:
    found = fragments(pages)
    assert len(found) >= 3
    for page, text in found:
        rest = {"source:": "source: {table: t}", "target:": "target: {table: u}"}
        lines = [text, *(line for key, line in rest.items() if key not in text and f"{key[:-1]}s:" not in text)]
        document = "\n".join(lines).replace("\n", "\n    ")
        (tmp_path / "headgate.yml").write_text(f"{PROJECT}pipelines:\n  shown:\n    {document}\n")
        project = load_project(tmp_path, PackageRegistry(), environment={"MASK_SALT": "of the page"})
        assert project.problems() == (), page


def test_the_page_on_python_runs_block_by_block(pages: Any, tmp_path: Path) -> None:
    session = pages.Session(tmp_path / "shop")
    session.folder.mkdir()
    done = session.process(["headgate", "init"])
    assert done.returncode == 0, done.stderr
    run = pages.blocks(ROOT / "docs" / "guide" / "python.md")
    assert len(run) == 6
    for block in run:
        session.run(block)


def calls(text: str) -> list[tuple[str, str]]:
    """Commands in code: blocks of console and sh, and spans of one line."""
    blocks = re.findall(r"^```(?:console|sh)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`(headgate [^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    return [found for piece in (*blocks, *spans) for found in CALL.findall(re.sub(r"\"[^\"]*\"", "TEXT", piece))]


def test_commands_are_found_in_spans_and_blocks() -> None:
    text = '`headgate state set NAME 3 --source x`\n\n```console\n$ headgate query "a --b" --at 3\nprinted --c\n```\n'
    assert calls(text) == [("query ", "TEXT --at 3"), ("state set ", "NAME 3 --source x")]


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_command_and_option_that_a_page_names_exists(page: Path) -> None:
    program: Any = typer.main.get_command(app)
    for words, rest in calls(page.read_text(encoding="utf-8")):
        names = words.split()
        assert names[0] in program.commands, f"headgate {words}"
        command = program.commands[names[0]]
        if hasattr(command, "commands") and len(names) > 1:
            assert names[1] in command.commands, f"headgate {words}"
            command = command.commands[names[1]]
        known = {spelling for parameter in command.params for spelling in parameter.opts}
        for option in re.findall(r"(?<!\S)--[a-z-]+", rest):
            assert option in known, f"headgate {words}{option}"
