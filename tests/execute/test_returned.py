"""What Python steps give back has the types of the plan and the values that it had, or ends the run."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from tests.plan.projects import SmallProject

from headgate.core.errors import Code, FatalError
from headgate.execute.returned import fit, known_types

LARGE = 2**53 + 1
LATE = datetime.fromisoformat("2024-01-01T23:00:00")
MIDNIGHT = datetime.fromisoformat("2024-01-01T00:00:00")


def fitted(values: list[Any], given: pa.DataType, planned: pa.DataType) -> list[Any]:
    table = pa.table({"x": pa.array(values, given)})
    return fit(table, pa.schema({"x": planned}), "mine:f")["x"].to_pylist()


@pytest.mark.parametrize(
    ("values", "given", "planned"),
    [
        (["007"], pa.string(), pa.int64()),
        (["0x10"], pa.string(), pa.int32()),
        (["1.5"], pa.large_string(), pa.float64()),
        ([b"12"], pa.binary(), pa.int64()),
        (["true"], pa.string(), pa.bool_()),
        ([2], pa.int64(), pa.bool_()),
        ([True], pa.bool_(), pa.int64()),
        ([date(2024, 1, 1)], pa.date32(), pa.int32()),
        ([19723], pa.int32(), pa.date32()),
        ([1], pa.int64(), pa.timestamp("us")),
        ([LATE], pa.timestamp("us"), pa.date32()),
        ([LATE], pa.timestamp("us"), pa.time64("us")),
        ([1.5], pa.float64(), pa.int64()),
        ([1.26], pa.float64(), pa.decimal128(10, 1)),
        ([LARGE], pa.int64(), pa.float64()),
        ([Decimal(LARGE)], pa.decimal128(20, 0), pa.float64()),
        ([[1]], pa.list_(pa.int64()), pa.int64()),
    ],
    ids=str,
)
def test_values_that_would_be_others_are_refused(values: list[Any], given: pa.DataType, planned: pa.DataType) -> None:
    with pytest.raises(FatalError, match=r'the column "x" came as .*; planned was ') as refused:
        fitted(values, given, planned)
    assert refused.value.code is Code.TRANSFORMATION_FAILED
    assert "columns:" in refused.value.hint


@pytest.mark.parametrize(
    ("values", "given", "planned", "expected"),
    [
        ([1, None], pa.int64(), pa.int32(), [1, None]),
        ([1.0, float("inf")], pa.float64(), pa.float32(), [1.0, float("inf")]),
        ([2.0, None], pa.float64(), pa.int64(), [2, None]),
        ([0.1], pa.float64(), pa.decimal128(10, 2), [Decimal("0.10")]),
        ([Decimal("0.1")], pa.decimal128(5, 1), pa.float64(), [0.1]),
        ([None, None], pa.null(), pa.date32(), [None, None]),
        (["a"], pa.large_string(), pa.string(), ["a"]),
        (["2024-01-31"], pa.string(), pa.date32(), [date(2024, 1, 31)]),
        ([MIDNIGHT], pa.timestamp("ns"), pa.date32(), [date(2024, 1, 1)]),
        ([time(1)], pa.time64("ns"), pa.time64("us"), [time(1)]),
        ([[1]], pa.list_(pa.int64()), pa.list_(pa.int32()), [[1]]),
    ],
    ids=str,
)
def test_values_keep_what_they_are(
    values: list[Any], given: pa.DataType, planned: pa.DataType, expected: list[Any]
) -> None:
    assert fitted(values, given, planned) == expected


def test_a_name_that_is_there_twice_is_refused() -> None:
    twice = pa.table([[1], [2]], names=["x", "x"])
    with pytest.raises(FatalError, match="it returned the columns x, x; planned were x"):
        fit(twice, pa.schema({"x": pa.int64()}), "mine:f")


def test_a_column_that_has_no_type_without_rows_keeps_the_one_that_it_had() -> None:
    given = known_types(pa.schema({"day": pa.null(), "new": pa.null()}), pa.schema({"day": pa.date32()}))
    assert (given.field("day").type, given.field("new").type) == (pa.date32(), pa.null())


def test_texts_of_a_new_column_never_become_numbers(project: SmallProject) -> None:
    (project.root / "mine.py").write_text(
        "def coded(rows):\n"
        "    codes = [f'{number:03}' for number in rows['id'].to_pylist()]\n"
        "    return rows.append_column('code', [codes])\n"
    )
    step = {"type": "python", "function": "mine:coded"}
    failure = project.define(steps=[step]).attempt().failure
    assert failure is not None
    assert 'the column "code" came as string' in failure.message
    columns = {"id": "BIGINT", "city": "VARCHAR", "total": "BIGINT", "note": "VARCHAR", "code": "VARCHAR"}
    project.define(steps=[{**step, "columns": columns}]).run()
    assert project.out("SELECT code FROM out WHERE id = 1") == [("001",)]


def test_whole_numbers_beside_null_and_objects_are_the_same_after_pandas(project: SmallProject) -> None:
    pytest.importorskip("pandas", reason="pandas is an extra of its own")
    (project.root / "mine.py").write_text("import pandas as pd\ndef same(rows: pd.DataFrame):\n    return rows\n")
    project.table("orders", {"id": "BIGINT", "total": "BIGINT"}, [(1, LARGE), (2, None)])
    day = {"type": "calculate", "columns": {"day": "CASE WHEN id = 1 THEN DATE '2024-01-31' END"}}
    project.define(steps=[day, {"type": "python", "function": "mine:same"}]).run()
    assert project.out() == [(1, LARGE, "2024-01-31"), (2, None, None)]
