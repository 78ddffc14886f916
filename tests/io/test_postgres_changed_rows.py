"""Messages of pgoutput as rows: the quick way for short texts and the long way say the same of any values."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from headgate.io.postgres.catalogue import ServerColumn
from headgate.io.postgres.changed_rows import BYTES, CHANGE, ORDER, ChangedRows
from headgate.io.postgres.changed_rows import ROWS as TOGETHER
from headgate.io.postgres.pgoutput import Decoder, since_emptied

OIDS = (16384, 0x74000000)
"""The second is also what stands before a short text."""
COLUMNS = [ServerColumn(name, oid, -1) for name, oid in (("id", 20), ("word", 25), ("more", 25), ("flag", 16))]
Row = tuple[int | None, str | None, str | None, bool | None]


def described(oid: int = OIDS[0]) -> bytes:
    columns = b"".join(
        bytes([column.name == "id"]) + column.name.encode() + b"\0" + struct.pack(">ii", column.oid, -1)
        for column in COLUMNS
    )
    return b"R" + struct.pack(">i", oid) + b"public\0t\0d" + struct.pack(">h", len(COLUMNS)) + columns


def values(row: Sequence[Any]) -> bytes:
    made = struct.pack(">h", len(row))
    for value in row:
        if value is None:
            made += b"n"
            continue
        text = ("t" if value else "f").encode() if isinstance(value, bool) else str(value).encode()
        made += b"t" + struct.pack(">i", len(text)) + text
    return made


def about(kind: bytes, row: Sequence[Any], oid: int = OIDS[0]) -> bytes:
    """An insert, an update that leaves the key alone, or a delete."""
    mark = b"K" if kind == b"D" else b"N"
    return kind + struct.pack(">i", oid) + mark + values([row[0], None, None, None] if kind == b"D" else row)


def unsent(row: Sequence[Any], oid: int = OIDS[0]) -> bytes:
    """An update that leaves the second column alone, which the server keeps elsewhere."""
    told = values(row)
    place = told.index(b"t", 3 + 4 + len(str(row[0])))
    end = place + 5 + len(str(row[1]).encode())
    return b"U" + struct.pack(">i", oid) + b"N" + told[:place] + b"u" + told[end:]


def begin(lsn: int) -> bytes:
    return b"B" + struct.pack(">qqi", lsn, 0, 1)


def read(messages: Sequence[bytes], low: int = 0) -> list[dict[str, Any]]:
    rows = ChangedRows(COLUMNS, ["id"], "t", None, lambda: (Decoder(low), messages))
    try:
        return [row for batch in rows.batches(Decoder(low), messages) for row in batch.to_pylist()]
    finally:
        rows.close()


TEXTS = st.none() | st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=300) | st.just("t" * 116)
ROWS: st.SearchStrategy[list[tuple[bytes, Row]]] = st.lists(
    st.tuples(
        st.sampled_from([b"I", b"U", b"D"]),
        st.tuples(st.integers(-(2**63), 2**63 - 1), TEXTS, TEXTS, st.none() | st.booleans()),
    ),
    max_size=12,
)


@given(ROWS, st.sampled_from(OIDS))
@example([(b"I", (1, "cat", "t", True)), (b"U", (2, None, "n", None)), (b"D", (2, "", "", None))], OIDS[0])
@example([(b"I", (1, "t" * 255, "t" * 256, True)), (b"I", (2, "n" * 95, "n" * 96, False))], OIDS[0])
def test_rows_are_what_the_server_said(changes: list[tuple[bytes, Row]], oid: int) -> None:
    found = read([described(oid), begin(1), *(about(kind, row, oid) for kind, row in changes)])
    kinds = {b"I": "insert", b"U": "update", b"D": "delete"}
    names = [column.name for column in COLUMNS]
    assert found == [
        dict(zip(names, row if kind != b"D" else (row[0], None, None, None), strict=True))
        | {CHANGE: kinds[kind], ORDER: number}
        for number, (kind, row) in enumerate(changes)
    ]


def test_transactions_before_the_position_are_left_out_in_the_middle_of_short_rows() -> None:
    rows = [about(b"I", (number, "a", "b", True)) for number in range(6)]
    found = read([described(), begin(9), *rows[:2], begin(3), *rows[2:4], begin(9), *rows[4:]], low=5)
    assert [row["id"] for row in found] == [0, 1, 4, 5]


def test_batches_are_as_large_in_bytes_whatever_the_width_of_rows() -> None:
    def sizes(width: int, count: int) -> list[int]:
        rows = ChangedRows(COLUMNS, ["id"], "t", None, lambda: (Decoder(), ()))
        messages = [described(), begin(1), *(about(b"I", (n, "a" * width, "", True)) for n in range(count))]
        return [batch.num_rows for batch in rows.batches(Decoder(), messages)]

    assert sizes(10, TOGETHER + 1) == [TOGETHER, 1]
    assert sizes(100_000, 100) == [BYTES // 100_000 + 1] * 2 + [100 - 2 * (BYTES // 100_000 + 1)]
    assert sizes(BYTES, 3) == [1, 1, 1]


def test_partitions_take_turns() -> None:
    rows = [about(b"I", (number, "a", None, True), oid=7 + number % 2) for number in range(6)]
    found = read([described(7), described(8), begin(1), *rows])
    assert [row["id"] for row in found] == list(range(6))


def test_rows_before_the_table_was_emptied_are_void() -> None:
    rows = [about(b"I", (number, "a", "b", True)) for number in range(3)]
    emptied = b"T" + struct.pack(">ibi", 1, 0, OIDS[0])
    messages = [described(), begin(1), rows[0], emptied, rows[1], emptied, rows[2]]
    assert [row["id"] for row in read(list(since_emptied(messages, 2)))] == [2]


@given(ROWS.filter(lambda changes: len({row[0] for _, row in changes}) == len(changes)), st.integers(1, 20))
def test_a_value_that_an_update_leaves_unsent_is_the_last_that_was_sent(
    changes: list[tuple[bytes, Row]], length: int
) -> None:
    known = [row for kind, row in changes if kind != b"D" and row[1] is not None]
    again = [(row[0], row[1], "n" * length, None) for row in known]
    first = [about(kind, row) for kind, row in changes]
    found = read([described(), begin(1), *first, *map(unsent, again), *map(unsent, again)])
    assert [tuple(row.values())[:4] for row in found[len(changes) :]] == again * 2
