"""Rules in Python, however rows come in batches."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.often import few

from headgate.execute.calls import judge_rows
from headgate.execute.distinct import FailingRows
from headgate.plan.checks import CallCheck, Rule
from headgate.plan.flags import NUMBER
from headgate.quality import python

VALUES = st.lists(st.one_of(st.none(), st.integers(-3, 3)), max_size=8)


@few
@for_all(
    VALUES, st.lists(st.integers(0, 4), max_size=3), st.sampled_from(["holds", "none_negative", "unknown"]),
    st.sampled_from(["batch", "table"]),
)  # fmt: skip
def test_a_function_judges_each_row_or_all_that_it_is_given(
    root: Path, values: list[int | None], cuts: list[int], function: str, scope: Any
) -> None:
    options = python.Options(type="python", function=f"mine:{function}", scope=scope)
    check = CallCheck(Rule("r", "error", "fail", "", 0), "s", options.function, options.scope, (), "")
    schema, rest, batches = pa.schema({"i": pa.int32(), NUMBER: pa.int64()}), list(enumerate(values)), []
    for cut in [*cuts, len(values)]:
        part, rest = rest[:cut], rest[cut:]
        batches.append(part)
    read = [pa.RecordBatch.from_arrays(
        [pa.array([value for _, value in part], pa.int32()), pa.array([number for number, _ in part], pa.int64())],
        schema=schema,
    ) for part in batches]  # fmt: skip
    wrong = FailingRows(root / f"{secrets.token_hex(4)}.parquet")
    reader = pa.RecordBatchReader.from_batches(schema, read)
    failed, judged, sample = judge_rows(check, reader, root, 3, wrong)
    negative: list[tuple[int, int | None]] = [
        (number, value) for number, value in enumerate(values) if value is not None and value < 0
    ]
    if function == "none_negative":  # one truth value for all that it was given
        given = [list(enumerate(values))] if scope == "table" else batches
        together = [part for part in given if any(value is not None and value < 0 for _, value in part)]
        negative = [row for part in together for row in part]
        expected_sample = []
    else:
        expected_sample = [{"i": value} for _, value in negative[:3]]
    assert (failed, judged, sample) == (len(negative), len(values), expected_sample)
    if negative:
        scan = wrong.scan
        assert scan.files is not None
        assert pq.read_table(scan.files.paths[0]).column(NUMBER).to_pylist() == [number for number, _ in negative]
        Path(scan.files.paths[0]).unlink()
