"""Lines of JSON files as they stand in the file, with their numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

LONGEST_LINE = 16 << 20
"""Bytes; longer lines are errors."""


def numbered_lines(path: str | Path, size: int = 5000) -> Iterator[list[tuple[int, str, str]]]:
    """Lines that are not blank as (number, text, what is wrong with them already), some thousand at a time."""
    found: list[tuple[int, str, str]] = []
    with Path(path).open("rb") as file:
        for number, data in enumerate(file, 1):
            line = data.removeprefix(b"\xef\xbb\xbf") if number == 1 else data
            line = line.rstrip(b"\r\n")
            reason = f"longer than {LONGEST_LINE} bytes" if len(line) > LONGEST_LINE else ""
            try:
                text = line.decode()
            except UnicodeDecodeError:
                text, reason = line.decode(errors="replace"), "not valid UTF-8"
            if text.strip(" \t\r"):
                found.append((number, text[:LONGEST_LINE], reason))
            if len(found) >= size:
                yield found
                found = []
    if found:
        yield found
