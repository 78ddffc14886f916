"""Lines that no column took are held whole; only those whose cells are known may be replayed."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from headgate.core.contracts import FileScan, Rejected
from headgate.execute.held import HeldRows

SCAN = FileScan("csv", ("a.csv",), {"delimiter": ",", "quote": '"', "columns": [["a", "BIGINT"], ["b", "VARCHAR"]]})
COUNT = "Expected Number of Columns: 2"


@pytest.mark.parametrize(
    ("scan", "text", "reason", "replayable"),
    [
        (SCAN, "x,2", "Could not convert string 'x' to BIGINT", True),
        (SCAN, '1,"a, b"', "Could not convert", True),
        (SCAN, "1,2,3", f"{COUNT} Found: 3", True),
        (SCAN, "1", f"{COUNT} Found: 1", True),
        (SCAN, '1,"2', "Value with unterminated quote found.", False),
        (SCAN, "1,??", "Invalid unicode (byte sequence mismatch) detected.", False),
        (FileScan("json", ("a.json",), {"keys": ["a", "b"]}), '{"a": 1', "malformed", False),
    ],
)
def test_a_line_is_replayable_if_its_cells_are_known(
    tmp_path: Path, scan: FileScan, text: str, reason: str, replayable: bool
) -> None:
    held = HeldRows("r" * 32, "p", tmp_path / "held")
    assert held.take_rejected([Rejected("a", 2, text, reason)], scan, ["a", "b"], replayable=True) == 1
    held.close()
    ((entry, path),) = held.entries("held")
    assert (entry.rule, entry.rows, entry.replayable) == ("unreadable", 1, replayable)
    assert pq.read_table(path)["_raw"].to_pylist() == [text]


def test_torn_lines_do_not_keep_others_from_being_replayed(tmp_path: Path) -> None:
    held = HeldRows("r" * 32, "p", tmp_path / "held")
    lines = [
        Rejected("a", 2, '1,"2', "open quote"),
        Rejected("a", 3, "x,2", "no BIGINT"),
        Rejected("a", 4, '"', "open"),
    ]
    assert held.take_rejected(lines, SCAN, ["a", "b"], replayable=True) == 3
    held.close()
    assert [(entry.rows, entry.replayable) for entry, _ in held.entries("held")] == [(1, True), (2, False)]
