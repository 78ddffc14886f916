"""Programs that tests of pictures need: without them a test is skipped, but in continuous integration it fails."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

from headgate.io import chromium

IN_CI = bool(os.environ.get("CI"))
needs_browser = pytest.mark.skipif(
    chromium.installed() is None and not IN_CI, reason="Chromium is not installed (as root on Debian: make servers)"
)


def missing_programs() -> str:
    """What is not installed, in words; "" when nothing is missing."""
    programs = {"Chromium": chromium.installed(), "Node.js": shutil.which("node"), "npm": shutil.which("npm")}
    return ", ".join(name for name, found in programs.items() if found is None)


def program(name: str) -> str:
    """Where a program is."""
    found = shutil.which(name)
    if found is None:
        give_up(f"{name} is not installed (as root on Debian: make servers)")
    return found


def give_up(reason: str) -> NoReturn:
    """Fail where everything must be installed, skip elsewhere."""
    if IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)
