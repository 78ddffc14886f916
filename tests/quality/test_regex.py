from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError

from headgate.core.errors import FatalError
from headgate.quality import regex

PATTERNS = st.recursive(
    st.sampled_from(["a", "b", "é", ".", "[ab]", "[^a]", r"\.", r"\d", "\n", "💧", "(?:)", "^a", "b$"]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{0,1}", "*?"])).map(
            lambda both: f"({both[0]}){both[1]}"
        ),
    ),
    max_leaves=6,
)
"""What Python's patterns and the engine's have in common."""


@for_all(PATTERNS, st.lists(st.one_of(st.none(), st.text("abé.1\n💧", max_size=5)), max_size=6))
def test_a_text_passes_if_the_pattern_matches_all_of_it(judge: Any, pattern: str, texts: list[str | None]) -> None:
    found = judge(regex, {"column": "t", "pattern": pattern}, {"t": "VARCHAR"}, [(text,) for text in texts])
    assert found == [text is None or re.fullmatch(pattern, text) is not None for text in texts]


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
