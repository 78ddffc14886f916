"""Programs that tests need and a machine may lack: their tests are skipped, but never by continuous integration."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def absent(what: str) -> NoReturn:
    """Skip the test; where ``CI`` is set, fail it, since nobody there would notice."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} (CI has all programs, see requirements/debian.txt)", pytrace=False)
    pytest.skip(what)
