"""Regular expressions as RE2 knows them: what it cannot compile is refused before any row is read."""

from __future__ import annotations

import re

_UNSUPPORTED = re.compile(r"\(\?(?:=|!|<=|<!|>|\()|\(\?P[=>]|\\[1-9]")
_ESCAPED = re.compile(r"\\(?:[pPQEzC]|x\{)")


def checked_pattern(pattern: str) -> str:
    """The pattern itself.

    Raises:
        ValueError: if it has what RE2 does not have, or is no regular expression.
    """
    if "\x00" in pattern:
        raise ValueError("a pattern cannot hold a NUL byte")
    found = _UNSUPPORTED.search(re.sub(r"\\\\", "", pattern))
    if found:
        raise ValueError(f"{found[0]} is look-around or a back-reference, which RE2 does not have")
    if not _ESCAPED.search(pattern):  # what RE2 knows and Python does not is left to the binder
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
    return pattern
