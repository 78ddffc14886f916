from __future__ import annotations

import pytest

from headgate.core.engines import Column
from headgate.core.errors import FatalError
from headgate.sql.comparisons import refuse_impossible
from headgate.sql.expressions import parse

COLUMNS = (
    Column("n", "INTEGER"),
    Column("d", "DECIMAL(4, 1)"),
    Column("f", "DOUBLE"),
    Column("day", "DATE"),
    Column("at", "TIMESTAMP WITH TIME ZONE"),
    Column("hour", "TIME"),
    Column("s", "VARCHAR"),
)


@pytest.mark.parametrize(
    "condition",
    ["n > 'x'", "'x' = n", "N IN (1, 'x')", "d BETWEEN 1 AND 'x'", "f < ''", "day > 'soon'", "at = 'now'",
     "hour <> 'noon'", "n = 'inf'", "NOT (n = ('x'))"],
)  # fmt: skip
def test_a_text_without_a_digit_is_no_number_date_or_time(condition: str) -> None:
    with pytest.raises(FatalError, match="cannot be compared with"):
        refuse_impossible(parse(condition), COLUMNS)


@pytest.mark.parametrize(
    "condition",
    ["n > '1'", "f = 'NaN'", "f < ' -Infinity '", "day > '2024-1-31'", "day < 'infinity'", "at > 'epoch'", "s = 'x'",
     "s IN ('x', 'y')", "n::VARCHAR = 'x'", "unknown = 'x'", "n + 1 > 2"],
)  # fmt: skip
def test_what_the_engine_may_read_is_left_to_it(condition: str) -> None:
    refuse_impossible(parse(condition), COLUMNS)


def test_where_names_alone_are_known_nothing_is_refused() -> None:
    refuse_impossible(parse("amount > 'x'"), [Column("amount", "")])
