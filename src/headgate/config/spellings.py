"""Other spellings of the field, read into the one grammar."""

from __future__ import annotations

from headgate.config.report import Report
from headgate.config.yaml import Section


def canonicalize(document: Section, name: str, report: Report) -> None:
    """Rewrite one pipeline's section in place; what has no meaning here is noted, never dropped."""
