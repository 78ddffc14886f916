"""On a terminal there are colours (unless they are not wanted), tables with rules, and values that stay whole."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROGRAM = "from headgate.cli.main import main; main()"


def on_a_terminal(project: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Status, and what a terminal of 80 columns shows."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", PROGRAM, *arguments, "-C", str(project)],
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80", **environment},
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                data = os.read(ours, 4096)
            except OSError:  # Linux: the other side is closed
                break
            if not data:
                break
            shown += data
        os.close(ours)
    return process.returncode, shown.decode()


@pytest.fixture
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("colours")
def test_a_run_moves_and_ends_with_a_coloured_receipt(project: Path) -> None:
    status, shown = on_a_terminal(project, "run", "orders")
    assert status == 0
    assert "\x1b[32morders: success" in shown
    assert "looking for what is new" in shown


@pytest.mark.usefixtures("colours")
def test_no_color_is_honoured(project: Path, headgate: Callable[..., Any]) -> None:
    headgate("run", "orders")
    for arguments in (["runs"], ["show", ""], ["health"], ["run", "nonsense", "--quiet"]):
        _, shown = on_a_terminal(project, *arguments, NO_COLOR="1")
        assert "\x1b[3" not in shown
    _, shown = on_a_terminal(project, "run", "nonsense", "--quiet")
    assert "\x1b[31merror[NOT_FOUND]" in shown


def test_values_in_tables_stay_whole(project: Path, headgate: Callable[..., Any]) -> None:
    long = "x" * 200
    (project / "inbox" / "orders" / "1.csv").write_text(f"id,customer,quantity,price,status\n1,{long},1,1,paid\n")
    headgate("run", "orders")
    status, shown = on_a_terminal(project, "query", "SELECT * FROM orders")
    assert status == 0
    assert long in shown
    assert "──" in shown


def test_json_is_one_document_on_a_terminal_too(project: Path) -> None:
    import json

    status, shown = on_a_terminal(project, "config", "list", "-o", "json")
    assert status == 0
    assert [one["name"] for one in json.loads(shown)] == ["orders", "totals"]
