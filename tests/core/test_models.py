"""Models are frozen and know their keys; durations and sizes are written as people write them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from headgate.core.models import Duration, Model, Names, ReadOptions, RuleOptions, Size, check_condition


class Options(Model):
    wait: Duration = timedelta(0)
    memory: Size = 0
    columns: Names = Field(default=("a",))


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("90s", 90), ("5m", 300), ("2h", 7200), ("7d", 604800), ("1w", 604800)]
)
def test_durations_have_units(text: str, seconds: float) -> None:
    assert Options.model_validate({"wait": text}).wait == timedelta(seconds=seconds)


@given(st.integers(0, 10**6))
def test_a_plain_number_is_seconds_or_bytes(number: int) -> None:
    options = Options.model_validate({"wait": number, "memory": number})
    assert (options.wait, options.memory) == (timedelta(seconds=number), number)


@pytest.mark.parametrize(
    ("text", "size"), [("10B", 10), ("64MB", 64_000_000), ("1GiB", 2**30), ("1.5 kib", 1536), ("2TB", 2 * 10**12)]
)
def test_sizes_have_units(text: str, size: int) -> None:
    assert Options.model_validate({"memory": text}).memory == size


@pytest.mark.parametrize(
    "document", [{"wait": "5 minutes"}, {"memory": "much"}, {"wait": True}, {"memory": False}, {"columns": []}]
)
def test_what_is_neither_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate(document)


@pytest.mark.parametrize(
    "document",
    [
        {"wait": "99999999999d"},
        {"wait": 1e300},
        {"wait": -(10**400)},
        {"wait": f"{'9' * 400}s"},
        {"memory": f"{'9' * 400}KB"},
    ],
)
def test_what_no_duration_or_size_holds_is_refused_as_any_other_wrong_value(document: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="too l"):
        Options.model_validate(document)


def test_one_name_is_a_list_of_one() -> None:
    assert Options.model_validate({"columns": "id"}).columns == ("id",)
    assert Options.model_validate({"columns": ["id", "at"]}).columns == ("id", "at")


def test_unknown_keys_and_later_changes_are_refused() -> None:
    with pytest.raises(ValidationError, match="columsn"):
        Options.model_validate({"columsn": "id"})
    options = Options()
    with pytest.raises(ValidationError, match="frozen"):
        options.memory = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("severity", "on_fail", "action"),
    [
        ("error", None, "fail"),
        ("warning", None, "warn"),
        ("info", None, "record"),
        ("error", "quarantine", "quarantine"),
        ("info", "fail", "fail"),
    ],
)
def test_what_a_rule_does_follows_its_severity_unless_it_says(severity: str, on_fail: str | None, action: str) -> None:
    options = RuleOptions.model_validate({"type": "x", "severity": severity, "on_fail": on_fail})
    assert options.action == action


@pytest.mark.parametrize(
    "condition",
    [
        "a = 1",
        "a IN (1, 2) AND (b OR c)",
        "a = ')' AND b = '('",
        "a = 'it''s ;' AND \"(\" = 1",
        "`a)` = 1",
        "a = 1 -- all (of them; it's",
        "a /* ( ; ' */ = 1",
        "a = $$ ( ' $$",
        "a = 1;",
        "",
    ],
)
def test_a_condition_may_hold_what_is_closed_in_it(condition: str) -> None:
    check_condition(condition)
    assert ReadOptions(where=condition).where == condition


@pytest.mark.parametrize(
    "condition", ["1=1) OR (1=1", ")(", "(a", "a; b", "'a", 'a = "b', "a = 1 /* b", "a = $x$ ) $x"]
)
def test_a_condition_that_ends_or_opens_something_else_is_refused(condition: str) -> None:
    with pytest.raises(ValidationError, match="the condition"):
        ReadOptions(where=condition)


@given(st.text("()'\"`;-/*a1 \n", max_size=12))
def test_a_condition_that_is_taken_stands_among_others(condition: str) -> None:
    """An independent look: without quoted texts and comments its parentheses match, in SQLite's own eyes too."""
    try:
        check_condition(condition)
    except ValueError:
        return
    with closing(sqlite3.connect(":memory:")) as database:
        try:
            rows = database.execute(f"SELECT 1 WHERE ({condition}\n) AND 0").fetchall()
        except (sqlite3.Error, sqlite3.Warning):
            return
    assert rows == []


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"table": "t", "parameters": {"day": 1}}, "names the parameter :day"),
        ({"query": "SELECT * FROM t WHERE d = :days", "parameters": {"day": 1}}, "names the parameter :day"),
        ({"table": "t", "columns": ["id", "name", "id"]}, 'column "id" is read twice'),
    ],
)
def test_what_would_be_read_over_in_a_source_is_refused(document: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        ReadOptions.model_validate(document)


def test_parameters_are_named_in_the_query_or_in_the_condition() -> None:
    document = {"query": "SELECT * FROM t WHERE d = :day", "where": "n = :n", "parameters": {"day": 1, "n": 2}}
    assert ReadOptions.model_validate(document).parameters == {"day": 1, "n": 2}
