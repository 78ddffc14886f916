from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.plan.projects import SmallProject

from headgate.core.errors import FatalError
from headgate.transforms import unpivot

COLUMNS = {"k": "VARCHAR", "x": "INTEGER", "y": "DECIMAL(6, 2)", "t": "VARCHAR"}


ROWS = st.lists(
    st.tuples(
        st.sampled_from([None, "a", "ä"]),
        st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1)),
        st.one_of(st.none(), st.decimals(-9999, 9999, places=2)),
        st.sampled_from([None, "", "💧"]),
    ),
    max_size=6,
)


@for_all(
    ROWS, st.permutations(["x", "y"]), st.booleans(), st.booleans(),
    st.sampled_from([("name", "value"), ("x", "y"), ("month", "a b")]),
)  # fmt: skip
def test_each_row_gives_a_row_for_each_column(
    execute: Any, rows: list[Any], turned: list[str], drop: bool, named: bool, called: tuple[str, str]
) -> None:
    options = {"columns": turned, "drop_nulls": drop, **({"keep": ["T"]} if named else {})}
    options |= {"names_to": called[0], "values_to": called[1]}
    outcome = execute(unpivot, options, COLUMNS, rows)
    assert list(outcome.columns) == [*(["t"] if named else ["k", "t"]), *called]
    expected = []
    for row in rows:
        values = dict(zip(COLUMNS, row, strict=True))
        kept = [values["t"]] if named else [values["k"], values["t"]]
        expected += [(*kept, name, values[name]) for name in turned if not (drop and values[name] is None)]
    assert sorted(outcome.rows, key=repr) == sorted(((*row[:-1], exactly(row[-1])) for row in expected), key=repr)
    assert outcome.dropped.total() == 2 * len(rows) - len(expected)


def exactly(value: Any) -> Any:
    return None if value is None else Decimal(value).quantize(Decimal("0.01"))


def test_values_of_several_number_types_stay_exact(execute: Any) -> None:
    options = {"columns": ["x", "y"], "keep": ["k"]}
    outcome = execute(unpivot, options, COLUMNS, [("a", 2_147_483_647, Decimal("1.25"), "t")])
    assert outcome.columns == {"k": "VARCHAR", "name": "VARCHAR", "value": "DECIMAL(12,2)"}
    assert outcome.rows == [("a", "x", Decimal("2147483647.00")), ("a", "y", Decimal("1.25"))]


def test_every_row_is_counted(project: SmallProject) -> None:
    step = {"type": "unpivot", "columns": ["city", "note"], "keep": ["id"], "drop_nulls": True}
    receipt = project.define(steps=[step]).run()
    assert (receipt.rows.extracted, receipt.rows.expanded, receipt.rows.filtered, receipt.rows.loaded) == (5, 5, 1, 9)
    assert (2, "note", "x") in project.out()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ["x", "t"]}, "no type holds the values of these columns exactly: x is INTEGER, t is VARCHAR"),
        ({"columns": ["x", "X"]}, "two columns would be called"),
        ({"columns": ["x"], "keep": ["x"]}, "is kept and turned"),
        ({"columns": ["x"], "names_to": "k"}, "two columns would be called"),
        ({"columns": ["absent"]}, 'column "absent" not found'),
    ],
)
def test_what_has_no_common_type_or_name_is_refused(given: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(FatalError, match=message):
        unpivot.shapes(unpivot.Options(type="unpivot", **options), given(COLUMNS))
