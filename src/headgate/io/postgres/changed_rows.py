"""Changes as Arrow batches: values that the server sent as text, in the types in which a scan would have read them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Lookup
from headgate.core.errors import Code, FatalError
from headgate.io.postgres.catalogue import ServerColumn
from headgate.io.postgres.pgoutput import SHORT, UNCHANGED, Change, Decoder, Described, Kind, Value, heads, with_nulls
from headgate.io.postgres.text_values import text_array
from headgate.io.postgres.types import NAMES, read_column

if TYPE_CHECKING:
    import pyarrow as pa

CHANGE, ORDER = "_change", "_order"
"""What was done (insert, update, delete), and where it stands among the changes of the run."""
ROWS = 8_192
_FIRST = b"\0"
"""What stands before each value until Arrow takes it off: in the server's messages that is a text's length."""
LARGE = 96
"""Bytes from which on a value may be one that later updates leave unsent."""


class ChangedRows:
    """Makes rows of changes.

    Args:
        columns: what the run reads, as the catalogue has it now.
        keys: names of the columns that identify a row.
        table: for errors.
        lookup: asks the target for values that the stream leaves out; None if it cannot be asked.
    """

    def __init__(self, columns: Sequence[ServerColumn], keys: Sequence[str], table: str, lookup: Lookup | None) -> None:
        self._columns, self._keys, self._table, self._lookup = list(columns), list(keys), table, lookup
        self._reads = [read_column(column) for column in columns]
        self._sent: Described | None = None
        self._here: list[int | None] = []
        self._as_sent = False
        self._large = _LargeValues()
        self._order = 0
        self._key_numbers = [[column.name for column in columns].index(key) for key in keys]

    def schema(self) -> pa.Schema:
        import pyarrow as pa

        fields = [pa.field(read.name, read.arrow) for read in self._reads]
        return pa.schema([*fields, pa.field(CHANGE, pa.string()), pa.field(ORDER, pa.int64())])

    def close(self) -> None:
        self._large.close()

    def batches(self, decoder: Decoder, messages: Iterable[bytes]) -> Iterator[pa.RecordBatch]:
        """Every change as a row, in their order.

        A row of short texts and NULLs is taken apart at once; what else there is goes the long way, value by value.
        The parts of all rows stand in one list, since so many small lists would be work for the garbage collector.
        """
        flat: list[bytes | None] = []
        kinds: list[Kind] = []
        short: dict[bytes, Kind] = {}
        width = len(self._columns) + 1
        for data in messages:
            parts = data.split(SHORT)
            kind = short.get(parts[0])
            row: Sequence[bytes | None] | None = None
            if kind is not None and (len(data) < LARGE or max(map(len, parts)) <= LARGE):
                row = parts if len(parts) == width else with_nulls(parts)
            if row is not None and kind is not None:
                flat += row
                kinds.append(kind)
            else:
                change = decoder.read(data)
                if change is None:
                    short = {}  # the table may be another now, or its rows may not count
                    continue
                for each, values in self._rows(change):
                    flat += (b"", *(_FIRST + value if isinstance(value, bytes) else None for value in values))
                    kinds.append(each)
                if self._as_sent and kind is None:
                    short |= heads(change.table)
            if len(kinds) >= ROWS:
                yield self._batch(flat, kinds)
                flat, kinds = [], []
        if kinds:
            yield self._batch(flat, kinds)

    # ----------------------------------------------------------------------------------------------- one change

    def _rows(self, change: Change) -> Iterator[tuple[Kind, list[Value]]]:
        """The change as rows: an update of the key deletes one row and inserts another."""
        if change.table is not self._sent:
            self._sent, self._here = change.table, self._place(change.table)
            self._as_sent = self._here == list(range(len(change.table.columns)))
        places = self._here
        old = None if change.old is None else [None if p is None else change.old[p] for p in places]
        if change.kind == "delete":
            assert old is not None, "the server sends what identifies a deleted row"
            yield "delete", old
            return
        assert change.new is not None, "the server sends a changed row"
        new: list[Value] = [None if p is None else change.new[p] for p in places]
        key_before = self._key(old) if old is not None and change.kind == "update" else self._key(new)
        if UNCHANGED in new:
            self._complete(new, old, key_before)
        moved = key_before != self._key(new)
        if moved and old is not None:
            yield "delete", [value if n in self._key_numbers else None for n, value in enumerate(old)]
        self._large.keep(self._key(new), new)
        yield ("insert" if moved else change.kind), new

    def _key(self, row: list[Value]) -> tuple[str, ...]:
        return tuple(value.decode() if (value := row[n]) else "" for n in self._key_numbers)

    def _complete(self, new: list[Value], old: list[Value] | None, key: tuple[str, ...]) -> None:
        """Values that the update left alone: from the old row if the server sends it, else as last seen."""
        for number, value in enumerate(new):
            if value is not UNCHANGED:
                continue
            if old is not None and old[number] not in (None, UNCHANGED):
                new[number] = old[number]
                continue
            known = self._large.get(key, number)
            new[number] = known if known is not None else self._asked(number, key)

    def _asked(self, number: int, key: tuple[str, ...]) -> Value:
        name = self._columns[number].name
        if self._lookup is not None:
            found = self._lookup(self._keys, [key], name)
            if key in found:
                value = found[key]
                return None if value is None else value.encode()
        raise FatalError(
            Code.EXTRACTION_FAILED,
            f'an update left the large value of column "{name}" alone, so that the server does not send it, and the'
            " target cannot tell it",
            operation="scan",
            object=self._table,
            hint=f"ALTER TABLE {self._table} REPLICA IDENTITY FULL, then run with --full-refresh",
        )

    def _place(self, table: Described) -> list[int | None]:
        """Where the stream has each column that the run reads; it may have come or gone in mid-stream."""
        there = {name: n for n, name in enumerate(table.columns)}
        mine = [column.name for column in self._columns]
        missing = [name for name in mine if name not in there]
        unknown = [name for name in there if name not in mine]
        changed = [
            column.name
            for column in self._columns
            if column.name in there and table.types[there[column.name]] != column.oid and column.oid in NAMES
        ]
        if changed or (missing and unknown):
            what = f'column "{changed[0]}" changed its type' if changed else f'column "{missing[0]}" is not in it'
            raise FatalError(
                Code.SCHEMA_MISMATCH,
                f"the table was changed while its changes were waiting: {what}",
                operation="scan",
                object=self._table,
                hint="begin anew with: headgate run --full-refresh",
            )
        return [there.get(name) for name in mine]

    # ----------------------------------------------------------------------------------------------- many rows

    def _batch(self, flat: Sequence[bytes | None], kinds: Sequence[Kind]) -> pa.RecordBatch:
        import pyarrow as pa
        import pyarrow.compute as pc

        arrays: list[pa.Array[Any]] = []
        width = len(self._columns) + 1
        for number, (column, read) in enumerate(zip(self._columns, self._reads, strict=True), 1):
            values = flat[number::width]
            texts = pc.binary_replace_slice(pa.array(values, pa.binary()), 0, 1, b"")
            arrays.append(text_array(column, read, texts, self._table))
        arrays.append(pa.array(kinds, pa.string()))
        arrays.append(pa.array(range(self._order, self._order + len(kinds)), pa.int64()))
        self._order += len(kinds)
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema())


class _LargeValues:
    """Large values by key and column, out of memory: an update may leave them unsent later in the same run."""

    def __init__(self) -> None:
        self._database: sqlite3.Connection | None = None

    def keep(self, key: tuple[str, ...], row: list[Value]) -> None:
        large = [(repr(key), n, value) for n, value in enumerate(row) if value and len(value) >= LARGE]
        if not large:
            return
        if self._database is None:
            self._database = sqlite3.connect("", check_same_thread=False)  # a file of its own, gone with it
            self._database.execute("CREATE TABLE large (key TEXT, n INTEGER, value BLOB, PRIMARY KEY (key, n))")
        self._database.executemany("INSERT OR REPLACE INTO large VALUES (?, ?, ?)", large)

    def get(self, key: tuple[str, ...], number: int) -> bytes | None:
        if self._database is None:
            return None
        found = self._database.execute("SELECT value FROM large WHERE key = ? AND n = ?", (repr(key), number))
        row = found.fetchone()
        return None if row is None else bytes(row[0])

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
