from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from headgate.core.errors import FatalError
from headgate.quality import regex


@pytest.mark.parametrize(
    ("pattern", "verdicts"),
    [
        (r"[^@\s]+@[^@\s]+", {"a@b": True, "a@b ": False, "@": False, "": False, "größe@💧": True}),
        (r"[A-Z]{3}", {"ABC": True, "ABCD": False, "abc": False}),
        (r"(?i)abc", {"ABC": True}),
        (r"a|ab", {"ab": True, "abc": False}),
        (r"\pL+", {"äé": True, "1": False}),
        (r"\\1'", {"\\1'": True}),
        (r"", {"": True, "a": False}),
    ],
)
def test_the_whole_text_matches_and_null_passes(judge: Any, pattern: str, verdicts: dict[str, bool]) -> None:
    rows = [*((text,) for text in verdicts), (None,)]
    assert judge(regex, {"column": "t", "pattern": pattern}, {"t": "VARCHAR"}, rows) == [*verdicts.values(), True]


@pytest.mark.parametrize("pattern", ["(", "a**", "[z-a]", "(?=a)b", "(?<!a)b", r"(a)\1", "(?P=x)", "a\0"])
def test_patterns_that_the_engine_does_not_have_are_refused(pattern: str) -> None:
    with pytest.raises(ValidationError):
        regex.Options(type="regex", column="t", pattern=pattern)


def test_only_text_has_a_pattern(given: Any) -> None:
    with pytest.raises(FatalError, match="a pattern is about text, but n is INTEGER"):
        regex.shapes(regex.Options(type="regex", column="n", pattern="a"), given({"n": "INTEGER"}))
