from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.plan.projects import SmallProject

from headgate.core.errors import FatalError
from headgate.transforms import unpivot

COLUMNS = {"k": "VARCHAR", "x": "INTEGER", "y": "DECIMAL(6, 2)", "t": "VARCHAR"}


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
