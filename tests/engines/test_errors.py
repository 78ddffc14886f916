"""What DuckDB says is told in one sentence, in the words of this product."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from headgate.core.contracts import FileScan, Scan, SourceSchema
from headgate.core.engines import BindingError, Column
from headgate.engines.duckdb import DuckdbEngine
from headgate.engines.duckdb_errors import without_values


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("a * 2", "* does not take (VARCHAR, INTEGER): cast to other types first"),
        ("substr(n)", "substr does not take (BIGINT): cast to other types first"),
        ("a > 2", "Cannot compare values of type VARCHAR and type INTEGER - an explicit cast is required"),
    ],
)
def test_an_expression_of_wrong_types_is_told_without_a_list_of_all_functions(expression: str, said: str) -> None:
    binder = DuckdbEngine().binder()
    try:
        with pytest.raises(BindingError) as refused:
            binder.bind(f"SELECT {expression} FROM t", {"t": (Column("a", "VARCHAR"), Column("n", "BIGINT"))})
    finally:
        binder.close()
    assert refused.value.message == said


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,2", "2 cells where 4 are expected"),
        ("1", "1 cell where 4 are expected"),
        ("1,2,3,4,5,6", "6 cells where 4 are expected"),
    ],
)
def test_a_line_with_other_cells_than_columns_says_how_many(line: str, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(f"a,b,c,d\n1,2,3,4\n{line}\n")
    schema = pa.schema([(name, pa.string()) for name in "abcd"])
    session = DuckdbEngine().session(tmp_path / "work", memory=None, threads=None, paths=[str(file)])
    try:
        session.register("t", Scan(SourceSchema(schema), files=FileScan("csv", (str(file),), {})))
        assert session.stream("SELECT * FROM t", 100).read_all().num_rows == 1
        assert [rejected.reason for rejected in session.rejected()] == [reason]
    finally:
        session.close()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Could not convert string 'O'Neil' to INT32", "Could not convert string *** to INT32"),
        (
            'invalid date field format: "31.12.", expected (YYYY-MM-DD)',
            "invalid date field format: ***, expected (YYYY-MM-DD)",
        ),
        ("Overflow in addition of INT32 (2147483647 + 1)!", "Overflow in addition of INT32 (*** + ***)!"),
        ("Type INT128 with value -27.5 can't be cast", "Type INT128 with value *** can't be cast"),
    ],
)
def test_a_discreet_message_tells_no_value(said: str, told: str) -> None:
    assert without_values(said) == told
