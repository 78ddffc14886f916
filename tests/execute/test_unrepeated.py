"""A bit for each key that there may be says the same as grouping, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.core.contracts import Scan, SourceSchema
from headgate.core.engines import EngineSession
from headgate.engines.duckdb import DuckdbEngine
from headgate.execute.unrepeated import BITS_A_ROW, unrepeated
from headgate.plan.checks import Rule, SetCheck

RULE = Rule("r", "error", "fail", "", 0)
TYPES = {"a": pa.int64(), "b": pa.int8(), "c": pa.uint32(), "d": pa.uint64()}
EDGES = {"a": (-(2**63), 2**63 - 1), "b": (-128, 127), "c": (0, 2**32 - 1), "d": (0, 2**64 - 1)}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineSession]:
    opened = DuckdbEngine().session(Path(tmp_path_factory.mktemp("engine")))
    yield opened
    opened.close()


def told(session: EngineSession, names: str, rows: list[tuple[Any, ...]]) -> bool:
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    arrays = [pa.array(list(column), TYPES[name]) for name, column in zip(names, columns, strict=True)]
    table = pa.Table.from_arrays(arrays, list(names))
    session.materialise("spool", Scan(SourceSchema(table.schema), batches=table.to_reader()))
    return unrepeated(session, SetCheck(RULE, "spool", "", whole=tuple(names)))


def near(name: str) -> st.SearchStrategy[int]:
    low, high = EDGES[name]
    return st.one_of(st.integers(low, low + 3), st.integers(high - 3, high), st.integers(max(low, -2), 3))


@settings(max_examples=100)
@given(st.data(), st.sampled_from(["a", "b", "c", "ab", "bc", "cab", "d", "db"]))
def test_true_means_that_no_key_is_repeated_nor_missing(session: EngineSession, data: Any, names: str) -> None:
    values = st.tuples(
        *(st.one_of(st.none(), near(name)) if data.draw(st.booleans()) else near(name) for name in names)
    )
    rows = data.draw(st.lists(values, max_size=12))
    if told(session, names, rows):
        assert len(set(rows)) == len(rows)
        assert not any(None in row for row in rows)


@pytest.mark.parametrize("low", [-(2**63), -7, 0, 2**63 - 2000])
def test_keys_that_lie_close_together_are_told_to_be_distinct(session: EngineSession, low: int) -> None:
    rows = [(low + n, n % 7 - 128) for n in range(1500)]
    assert told(session, "ab", rows)
    assert told(session, "a", [row[:1] for row in rows])
    assert not told(session, "ab", [*rows, rows[700]])


def test_keys_that_lie_far_apart_are_left_to_the_query(session: EngineSession) -> None:
    apart = BITS_A_ROW * 3
    assert told(session, "a", [(0,), (1,), (apart - 1,)])
    assert not told(session, "a", [(0,), (1,), (apart,)])


def test_no_rows_and_no_whole_numbers_are_left_to_the_query(session: EngineSession) -> None:
    assert not told(session, "a", [])
    assert not unrepeated(session, SetCheck(RULE, "spool", ""))


def test_bounds_of_more_rows_serve_too(session: EngineSession) -> None:
    table = pa.table({"a": [5, 9, 9, None]})
    session.materialise("more", Scan(SourceSchema(table.schema), batches=table.to_reader()))
    session.define("some", "SELECT * FROM more WHERE a < 9")
    check = SetCheck(RULE, "some", "", whole=("a",))
    assert unrepeated(session, check)
    assert not unrepeated(session, check, "more")  # a NULL among the others says nothing of these
    session.define("filled", "SELECT * FROM more WHERE a IS NOT NULL")
    assert unrepeated(session, check, "filled")
    assert not unrepeated(session, SetCheck(RULE, "filled", "", whole=("a",)), "filled")
