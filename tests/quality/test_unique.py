from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.often import few
from tests.tables import COLUMNS as TYPES
from tests.tables import NAMES, TABLES, Row, keys

from headgate.core.errors import FatalError
from headgate.quality import unique
from headgate.sql.shapes import TableRule

COLUMNS = {"a": "INTEGER", "b": "VARCHAR"}
ROWS = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(0, 2)), st.one_of(st.none(), st.sampled_from("xä"))), max_size=10
)


@for_all(ROWS, st.randoms(use_true_random=False))
def test_every_member_of_a_repeated_key_is_held(judge: Any, rows: list[Any], random: Any) -> None:
    alive = [random.random() < 0.7 for _ in rows]
    found = judge(unique, {"columns": ["a", "b"], "on_fail": "quarantine"}, COLUMNS, rows, alive)
    times = Counter(row for row, ok in zip(rows, alive, strict=True) if ok)
    assert found == [(None in row or times[row] == 1) if ok else None for row, ok in zip(rows, alive, strict=True)]


@for_all(ROWS)
def test_the_set_says_how_many_rows_and_keys_are_repeated(judge: Any, rows: list[Any]) -> None:
    times = Counter(row for row in rows if None not in row)
    repeated = [count for count in times.values() if count > 1]
    assert judge(unique, {"columns": ["a", "b"]}, COLUMNS, rows) == (sum(repeated), f"{len(repeated)} repeated")


@few
@for_all(TABLES, NAMES)
def test_keys_of_any_types_are_repeated_if_they_are_equal(judge: Any, rows: list[Row], names: list[str]) -> None:
    found = [key for key in keys(rows, names) if None not in key]
    repeated = [count for count in Counter(found).values() if count > 1]
    assert judge(unique, {"columns": names}, TYPES, rows) == (sum(repeated), f"{len(repeated)} repeated")


def test_nan_equals_nan_and_zero_its_negative(judge: Any) -> None:
    rows = [(float("nan"),), (float("nan"),), (0.0,), (-0.0,), (None,), (None,)]
    assert judge(unique, {"columns": ["x"]}, {"x": "DOUBLE"}, rows) == (4, "2 repeated")


def test_the_scope_of_the_table_is_left_to_the_target(given: Any) -> None:
    options = unique.Options(type="unique", columns=["A", "b"], scope="table")
    assert unique.shapes(options, given(COLUMNS)) == TableRule(("a", "b"), "a, b are unique together")


def test_the_whole_table_cannot_hold_rows_back() -> None:
    with pytest.raises(ValidationError, match="cannot quarantine"):
        unique.Options(type="unique", columns=["a"], scope="table", on_fail="quarantine")


def test_unknown_columns_are_refused(given: Any) -> None:
    with pytest.raises(FatalError):
        unique.shapes(unique.Options(type="unique", columns=["c"]), given(COLUMNS))
