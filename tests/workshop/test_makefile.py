"""The Makefile says what it can do, and finds a Python that is new enough."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKE = shutil.which("make") or "make"


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(  # noqa: S603 - our own Makefile
        [MAKE, "-C", str(ROOT), "--no-print-directory", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )


def test_help_lists_every_target() -> None:
    declared = set(re.findall(r"^\.PHONY: (\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = set(re.findall(r"^  \S*?m?([a-z-]+)\S*\s", re.sub(r"\x1b\[\d*m", "", make("help").stdout), re.MULTILINE))
    assert shown == declared


@pytest.mark.parametrize(
    "target", ["setup", "test", "test-long", "demo", "bench", "lock", "format", "clean", "docs-check"]
)
def test_every_target_has_a_recipe(target: str) -> None:
    done = make("--dry-run", target)
    assert done.returncode == 0, done.stderr


def test_continuous_integration_runs_the_test_target() -> None:
    script = ROOT / ".ci" / "run"
    assert "make test" in script.read_text()
    assert script.stat().st_mode & 0o111
