"""What a read of a database asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headgate.core.contracts import Interval, ReadContext
from headgate.core.errors import Code, FatalError
from headgate.core.models import ReadOptions
from headgate.io import table_reads


def read(**options: Any) -> ReadOptions:
    return ReadOptions.model_validate({"table": "t", **options})


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"table": None}, Code.CONFIG_INVALID, "write table: NAME, or query: SELECT …"),
        ({"query": "SELECT 1"}, Code.CONFIG_INVALID, "write table: NAME, or query: SELECT …"),
        ({"mode": "cdc"}, Code.UNSUPPORTED, "use mode: full, incremental, snapshot or delta"),
        ({"mode": "incremental"}, Code.CONFIG_INVALID, "add incremental: {column: updated_at, key: id}"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_to_write(options: dict[str, Any], code: Code, words: str) -> None:
    with pytest.raises(FatalError) as refusal:
        table_reads.check("SQLite", read(**options))
    assert (refusal.value.code, refusal.value.hint) == (code, words)


def test_a_database_may_have_more_modes() -> None:
    table_reads.check("PostgreSQL", read(mode="cdc"), "cdc")


CURSOR: dict[str, Any] = {"mode": "incremental", "incremental": {"column": "at", "key": "id"}}


@pytest.mark.parametrize(
    "other",
    [
        {"where": "a > 1"},
        {"where": "a > :low", "parameters": {"low": 1}},
        {"incremental": {"column": "id"}},
        {"incremental": {"column": "at", "key": "line"}},
        {"incremental": {"column": "at", "key": "id", "nulls": "include"}},
        {"mode": "delta", "incremental": None, "key": "id"},
        {"table": None, "query": "SELECT * FROM t"},
    ],
    ids=str,
)
def test_whatever_chooses_other_rows_is_another_read(other: dict[str, Any]) -> None:
    assert table_reads.identity(read(**CURSOR)) != table_reads.identity(read(**{**CURSOR, **other}))


def test_how_rows_are_read_makes_no_other_read() -> None:
    assert table_reads.identity(read(**CURSOR)) == table_reads.identity(read(**CURSOR, batch_size=10))
    assert table_reads.identity(read())[0] == "t"


def test_a_window_of_an_interval_is_known_by_it() -> None:
    assert table_reads.interval(ReadContext(Path())) is None
    assert table_reads.interval(ReadContext(Path(), interval=Interval("2024-01-01", "2024-01-02"))) == {
        "interval": ["2024-01-01", "2024-01-02"]
    }
