"""Against plain Python: groups are dictionaries, orders are sorted lists."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.often import few
from tests.plan.projects import SmallProject

from headgate.core.errors import FatalError
from headgate.transforms import window

COLUMNS = {"id": "INTEGER", "g": "VARCHAR", "t": "INTEGER", "x": "INTEGER"}
ROWS = st.lists(
    st.tuples(
        st.sampled_from([None, "a", "ä"]), st.sampled_from([None, 1, 2]), st.one_of(st.none(), st.integers(-9, 9))
    ),
    max_size=10,
).map(lambda rows: [(number, *row) for number, row in enumerate(rows)])


def last_when_null(value: Any) -> tuple[bool, Any]:
    return (value is None, 0 if value is None else value)


def in_order(rows: list[Any]) -> dict[Any, list[Any]]:
    """Groups of rows by g, ordered by t, then id (which no two rows share)."""
    groups = defaultdict(list)
    for row in rows:
        groups[row[1]].append(row)
    return {key: sorted(group, key=lambda row: (last_when_null(row[2]), row[0])) for key, group in groups.items()}


def total(values: list[Any]) -> Any:
    filled = [value for value in values if value is not None]
    return sum(filled) if filled else None


def values_of(execute: Any, table: list[Any], text: str, **options: Any) -> dict[int, Any]:
    asked = {"partition_by": "g", "order_by": "t", **options, "columns": {"w": text}}
    outcome = execute(window, {key: value for key, value in asked.items() if value is not None}, COLUMNS, table)
    assert list(outcome.columns) == [*COLUMNS, "w"]
    return {row[0]: row[4] for row in outcome.rows}


@for_all(ROWS)
def test_a_running_sum_grows_row_by_row_within_its_group(execute: Any, rows: list[Any]) -> None:
    expected = {}
    for group in in_order(rows).values():
        for place, row in enumerate(group):
            expected[row[0]] = total([other[3] for other in group[: place + 1]])
    assert values_of(execute, rows, "SUM(x)") == expected


@for_all(ROWS, st.integers(-3, 2), st.integers(0, 3))
def test_a_frame_counts_rows_from_the_row_itself(execute: Any, rows: list[Any], first: int, width: int) -> None:
    expected = {}
    for group in in_order(rows).values():
        for place, row in enumerate(group):
            begin, end = place + first, place + first + width + 1
            expected[row[0]] = total([other[3] for other in group[max(begin, 0) : max(end, 0)]])
    assert values_of(execute, rows, "SUM(x)", rows=[first, first + width]) == expected


@for_all(ROWS)
def test_without_an_order_aggregates_see_the_whole_group(execute: Any, rows: list[Any]) -> None:
    expected = {row[0]: total([other[3] for other in group]) for group in in_order(rows).values() for row in group}
    assert values_of(execute, rows, "SUM(x)", order_by=None) == expected


@for_all(ROWS)
def test_ranks_share_a_place_among_equals(execute: Any, rows: list[Any]) -> None:
    rank, dense = {}, {}
    for group in in_order(rows).values():
        keys = [last_when_null(row[2]) for row in group]
        for row in group:
            mine = last_when_null(row[2])
            rank[row[0]] = 1 + sum(key < mine for key in keys)
            dense[row[0]] = 1 + len({key for key in keys if key < mine})
    assert values_of(execute, rows, "RANK()") == rank
    assert values_of(execute, rows, "DENSE_RANK()") == dense


@for_all(ROWS)
def test_the_row_before_and_after_is_that_of_the_total_order(execute: Any, rows: list[Any]) -> None:
    number, before, after = {}, {}, {}
    for group in in_order(rows).values():
        for place, row in enumerate(group):
            number[row[0]] = place + 1
            before[row[0]] = group[place - 1][3] if place else -1
            after[row[0]] = group[place + 1][3] if place + 1 < len(group) else None
    assert values_of(execute, rows, "ROW_NUMBER()") == number
    assert values_of(execute, rows, "LAG(x, 1, -1)") == before
    assert values_of(execute, rows, "LEAD(x)") == after


ORDERS: dict[str, Any] = {
    "t": lambda row: [last_when_null(row[2])],
    "t DESC": lambda row: [last_when_null(None if row[2] is None else -row[2])],
    "t > 1": lambda row: [last_when_null(None if row[2] is None else row[2] > 1)],
    "x DESC, t": lambda row: [last_when_null(None if row[3] is None else -row[3]), last_when_null(row[2])],
}
ENDS = st.one_of(st.none(), st.integers(-2, 2))
FRAMES = st.one_of(
    st.none(),
    st.tuples(ENDS, ENDS).filter(lambda ends: ends[0] is None or ends[1] is None or bool(ends[0] <= ends[1])),
)
FRAMED: dict[str, Any] = {
    "SUM(x)": total,
    "COUNT(*)": len,
    "COUNT(x)": lambda values: sum(value is not None for value in values),
    "MIN(x)": lambda values: min((value for value in values if value is not None), default=None),
    "MAX(x)": lambda values: max((value for value in values if value is not None), default=None),
    "FIRST_VALUE(x)": lambda values: values[0] if values else None,
    "LAST_VALUE(x)": lambda values: values[-1] if values else None,
    "NTH_VALUE(x, 2)": lambda values: values[1] if len(values) > 1 else None,
}


def tile(place: int, size: int, of: int) -> int:
    """Parts of a group as even as can be, the longer ones first."""
    ends = [size // of * number + min(number, size % of) for number in range(1, of + 1)]
    return 1 + sum(place >= end for end in ends)


@few
@for_all(ROWS, st.sampled_from([None, ["g"], ["G", "t"]]), st.sampled_from([*ORDERS]), FRAMES)
def test_every_function_sees_the_rows_of_its_frame_in_the_order_that_is_said(
    execute: Any, rows: list[Any], groups: list[str] | None, order: str, frame: Any
) -> None:
    """Without a frame aggregates run to the row, values are those of the whole group; ranks know no other columns."""
    names = [*FRAMED, "NTILE(3)", "RANK()", "PERCENT_RANK()", "CUME_DIST()", "LAG(x, 2)"]
    options = {"partition_by": groups, "order_by": order.split(", "), "columns": {name: name for name in names}}
    if frame is not None:
        options["rows"] = list(frame)
    outcome = execute(window, {key: value for key, value in options.items() if value is not None}, COLUMNS, rows)
    found = {row[0]: dict(zip(names, row[4:], strict=True)) for row in outcome.rows}
    members: dict[Any, list[Any]] = defaultdict(list)
    for row in rows:
        members[tuple(row[["id", "g", "t"].index(name.lower())] for name in groups or ())].append(row)
    for group in members.values():
        group.sort(key=lambda row: (ORDERS[order](row), row[0]))
        keys = [ORDERS[order](row) for row in group]
        for place, row in enumerate(group):
            mine = found[row[0]]
            for name, of in FRAMED.items():
                whole = frame is None and "VALUE" in name
                first, last = (None, None) if whole else frame or (None, 0)
                begin = 0 if first is None else max(place + first, 0)
                end = len(group) if last is None else max(place + last + 1, 0)
                assert mine[name] == of([other[3] for other in group[begin:end]]), name
            rank = 1 + sum(key < keys[place] for key in keys)
            assert mine["RANK()"] == rank
            assert mine["PERCENT_RANK()"] == pytest.approx((rank - 1) / (len(group) - 1) if len(group) > 1 else 0)
            assert mine["CUME_DIST()"] == pytest.approx(sum(key <= keys[place] for key in keys) / len(group))
            assert mine["NTILE(3)"] == tile(place, len(group), 3)
            assert mine["LAG(x, 2)"] == (group[place - 2][3] if place > 1 else None)


def test_last_value_is_the_last_of_the_group_unless_a_frame_is_said(execute: Any) -> None:
    rows = [(1, "a", 1, 10), (2, "a", 2, 20), (3, "a", 3, None)]
    assert values_of(execute, rows, "LAST_VALUE(x)") == {1: None, 2: None, 3: None}
    assert values_of(execute, rows, "LAST_VALUE(x IGNORE NULLS)") == {1: 20, 2: 20, 3: 20}
    assert values_of(execute, rows, "LAST_VALUE(x)", rows=[None, 0]) == {1: 10, 2: 20, 3: None}


def test_windows_stand_in_expressions_and_columns_are_replaced_in_place(execute: Any) -> None:
    options = {"partition_by": "g", "columns": {"X": "x * 100 // SUM(x)"}}
    outcome = execute(window, options, COLUMNS, [(1, "a", 1, 1), (2, "a", 1, 3)])
    assert list(outcome.columns) == ["id", "g", "t", "X"]
    assert [row[3] for row in outcome.rows] == [25, 75]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": {"w": "LAG(x)"}}, "LAG needs an order"),
        ({"columns": {"w": "x + 1"}}, "looks at its own row only"),
        ({"columns": {"w": "SUM(x) OVER (ORDER BY t)"}}, "says its window itself"),
        ({"columns": {"w": "SUM(y)"}}, 'column "y" not found'),
        ({"columns": {"w": "SUM(x)"}, "partition_by": ["absent"]}, 'column "absent" not found'),
        ({"columns": {"w": "SUM(x)"}, "order_by": ["x // t"]}, "computable for every row"),
        ({"columns": {"w": "SUM(x)", "W": "SUM(t)"}}, "two columns would be called"),
        ({"columns": {"w": "read_csv('x')"}}, "not allowed"),
    ],
)
def test_what_has_no_window_is_refused(given: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(FatalError, match=message):
        window.shapes(window.Options(type="window", **options), given(COLUMNS))


@pytest.mark.parametrize("options", [{"rows": [0, 1]}, {"rows": [2, 1], "order_by": "t"}, {"columns": {}}])
def test_half_a_window_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        window.Options(type="window", **{"columns": {"w": "SUM(x)"}, **options})


def test_rows_that_have_left_take_no_part_and_every_row_is_accounted_for(project: SmallProject) -> None:
    project.define(
        steps=[
            {"type": "filter", "condition": "city <> 'Jena'"},
            {"type": "cast", "columns": {"note": "INTEGER"}},
            {
                "type": "window",
                "partition_by": "city",
                "order_by": "id",
                "columns": {"n": "COUNT(*)", "all": "SUM(id)"},
            },
        ],
        error_handling={"on_row_error": "quarantine"},
    )
    receipt = project.run()
    assert project.out('SELECT id, n, "all" FROM out') == [(1, 1, 1), (3, 1, 3), (4, 2, 7)]
    assert (receipt.rows.filtered, receipt.rows.quarantined, receipt.rows.loaded) == (1, 1, 3)
    [entry] = project.entries()
    assert project.replay(entry["id"]).is_failure, "its neighbours would be missing from a replay"


def test_rows_held_after_a_window_can_be_replayed(project: SmallProject) -> None:
    project.define(
        steps=[
            {"type": "window", "order_by": "id", "columns": {"n": "ROW_NUMBER()"}},
            {"type": "cast", "columns": {"note": "INTEGER"}},
        ],
        error_handling={"on_row_error": "quarantine"},
    )
    project.run()
    [entry] = project.entries()
    assert project.held(entry["id"])[0]["n"] == 2
    assert project.replay(entry["id"]).failure is None
