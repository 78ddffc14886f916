"""What each error code means and what to do about it, for the reference, the pages and the runbooks."""

from __future__ import annotations

from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable


def advice_file() -> Traversable:
    """The file with the texts: code to ``means`` and ``advice``, with ``code`` in backticks."""
    return resources.files("headgate.diagrams.pages").joinpath("errors.yml")


@cache
def advice() -> dict[str, dict[str, str]]:
    """Code to its texts."""
    import yaml

    found: dict[str, dict[str, str]] = yaml.safe_load(advice_file().read_text(encoding="utf-8"))
    return found
