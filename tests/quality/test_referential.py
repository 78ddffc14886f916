from __future__ import annotations

from typing import Any

from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.often import few
from tests.tables import COLUMNS, NAMES, TABLES, Row, keys

from headgate.quality import referential


@few
@for_all(TABLES, TABLES, NAMES)
def test_keys_are_there_and_null_passes_and_is_no_key(
    judge: Any, rows: list[Row], other: list[Row], names: list[str]
) -> None:
    known = {found for found in keys(other, names) if None not in found}
    expected = [None in found or found in known for found in keys(rows, names)]
    there = {"k": ({f"{name}_k": kind for name, kind in COLUMNS.items()}, other)}
    options = {"columns": names, "table": "k", "references": [f"{name}_k" for name in names]}
    assert judge(referential, options, COLUMNS, rows, others=there) == expected
    same = {"columns": [name.upper() for name in names], "table": "k"}
    assert judge(referential, same, COLUMNS, rows, others={"k": (COLUMNS, other)}) == expected


@few
@for_all(TABLES, st.lists(st.integers(-3, 3), min_size=1, max_size=4))
def test_a_list_of_keys_is_as_good_as_a_table(judge: Any, rows: list[Row], listed: list[int]) -> None:
    found = judge(referential, {"columns": ["i"], "values": listed}, COLUMNS, rows)
    assert found == [row[0] is None or row[0] in listed for row in rows]


@few
@for_all(
    TABLES, st.lists(st.one_of(st.none(), st.sampled_from([0.0, 1.0, 1.5, float("nan"), 2147483647.0])), max_size=5)
)
def test_numbers_of_another_type_are_compared_as_numbers(
    judge: Any, rows: list[Row], others: list[float | None]
) -> None:
    found = judge(
        referential, {"columns": ["i"], "table": "k", "references": ["x"]}, COLUMNS, rows,
        others={"k": ({"x": "DOUBLE"}, [(other,) for other in others])},
    )  # fmt: skip
    assert found == [row[0] is None or row[0] in others for row in rows]
