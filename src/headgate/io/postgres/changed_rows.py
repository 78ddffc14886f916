"""Changes as Arrow batches: values that the server sent as text, in the types in which a scan would have read them."""

from __future__ import annotations

import collections
import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Lookup
from headgate.core.errors import Code, FatalError
from headgate.io.postgres.catalogue import ServerColumn
from headgate.io.postgres.pgoutput import (
    HEAD,
    RELATION,
    SHORT,
    UNCHANGED,
    Change,
    Decoder,
    Described,
    Kind,
    Value,
    heads,
    taken_apart,
)
from headgate.io.postgres.text_values import text_array
from headgate.io.postgres.types import NAMES, read_column

Again = Callable[[], tuple[Decoder, Iterable[bytes]]]

if TYPE_CHECKING:
    import pyarrow as pa

CHANGE, ORDER = "_change", "_order"
"""What was done (insert, update, delete), and where it stands among the changes of the run."""
ROWS = 8_192
BYTES = 4 * 1024**2
"""Rows of a batch, and bytes of their messages: what comes first ends it."""
_FIRST = b"\0"
"""What stands before each value until Arrow takes it off: in the server's messages that is a text's length."""
_FIXED = frozenset(
    {"bool", "int2", "int4", "int8", "float4", "float8", "date", "time", "timestamp", "timestamptz", "interval"}
)
"""Types whose values are always sent: the server stores them within the row."""
KEPT = 8_192
KEPT_BYTES = 4 * 1024**2
"""Values that wait in memory to be kept, and their bytes."""


class ChangedRows:
    """Makes rows of changes.

    Args:
        columns: what the run reads, as the catalogue has it now.
        keys: names of the columns that identify a row.
        table: for errors.
        lookup: asks the target for values that the stream leaves out; None if it cannot be asked.
        again: gives the messages once more, from the first, with a decoder for them.
    """

    def __init__(
        self, columns: Sequence[ServerColumn], keys: Sequence[str], table: str, lookup: Lookup | None, again: Again
    ) -> None:
        self._again, self._keeping, self._told = again, False, 0
        self._columns, self._keys, self._table, self._lookup = list(columns), list(keys), table, lookup
        self._reads = [read_column(column) for column in columns]
        self._sent: Described | None = None
        self._here: list[int | None] = []
        self._as_sent = False
        self._kept = _KeptValues([n for n, each in enumerate(columns) if NAMES.get(each.oid) not in _FIXED])
        self._order = 0
        self._key_numbers = [[column.name for column in columns].index(key) for key in keys]

    def schema(self) -> pa.Schema:
        import pyarrow as pa

        fields = [pa.field(read.name, read.arrow) for read in self._reads]
        return pa.schema([*fields, pa.field(CHANGE, pa.string()), pa.field(ORDER, pa.int64())])

    def close(self) -> None:
        self._kept.close()

    def batches(self, decoder: Decoder, messages: Iterable[bytes]) -> Iterator[pa.RecordBatch]:
        """Every change as a row, in their order.

        A row of short texts is taken apart at once, one with others where it must be; what else there is goes the long
        way, value by value.
        The parts of all rows stand in one list, since so many small lists would be work for the garbage collector.
        """
        flat: list[bytes | None] = []
        kinds: list[Kind] = []
        short: dict[bytes, Kind] = {}
        width, size = len(self._columns) + 1, 0
        for self._told, data in enumerate(messages):
            size += len(data)
            parts = data.split(SHORT)
            kind = short.get(parts[0]) or short.get(data[:HEAD])
            row: Sequence[bytes | None] | None = parts if len(parts) == width else taken_apart(parts) if kind else None
            if kind is not None and row is not None:
                flat += row
                kinds.append(kind)
            else:
                change = decoder.read(data)
                if change is None:
                    if decoder.skipping or data[0] == RELATION:  # rows do not count, or the table may be another now
                        short = {}
                    continue
                for each, values in self._rows(change):
                    flat += (b"", *(_FIRST + value if isinstance(value, bytes) else None for value in values))
                    kinds.append(each)
                if self._keeping:
                    short = {}  # from now on values are kept, which is done the long way
                elif self._as_sent and kind is None:
                    short |= heads(change.table)
            if kinds and (len(kinds) >= ROWS or size >= BYTES):
                yield self._batch(flat, kinds)
                flat, kinds, size = [], [], 0
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
        if self._keeping:
            self._kept.keep(self._key(new), new)
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
            if not self._keeping:
                self._keep_from_the_first()
            known = self._kept.get(key, number)
            new[number] = known if known is not None else self._asked(number, key)

    def _keep_from_the_first(self) -> None:
        """Values are left unsent after all: what was sent before is read again, and kept from now on.

        Few tables have such values, and to keep those of all would cost more than to take their rows apart.
        """
        self._keeping = True
        decoder, messages = self._again()
        for data in itertools.islice(messages, self._told):
            change = decoder.read(data)
            if change is not None:
                collections.deque(self._rows(change), maxlen=0)

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
        told = {table.columns[number] for number in table.keys}
        if table.keys and not told >= set(self._keys):
            raise FatalError(
                Code.SCHEMA_MISMATCH,
                "while changes were waiting, the log did not tell the primary key of rows that were updated or deleted:"
                " another index was the replica identity",
                operation="scan",
                object=self._table,
                hint="begin anew with: headgate run --full-refresh",
            )
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


class _KeptValues:
    """Values by key and column, out of memory: an update may leave them unsent later in the same run.

    Args:
        numbers: the columns that count.
    """

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = numbers
        self._fresh: dict[tuple[str, int], bytes] = {}
        self._bytes = 0
        self._database: sqlite3.Connection | None = None

    def keep(self, key: tuple[str, ...], row: list[Value]) -> None:
        name = repr(key)
        for number in self._numbers:
            value = row[number]
            if isinstance(value, bytes):
                self._fresh[name, number] = value
                self._bytes += len(value)
        if len(self._fresh) >= KEPT or self._bytes >= KEPT_BYTES:
            self._store()

    def _store(self) -> None:
        if self._database is None:
            self._database = sqlite3.connect("", check_same_thread=False)  # a file of its own, gone with it
            self._database.execute("CREATE TABLE kept (key TEXT, n INTEGER, value BLOB, PRIMARY KEY (key, n))")
        rows = ((key, number, value) for (key, number), value in self._fresh.items())
        self._database.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", rows)
        self._fresh, self._bytes = {}, 0

    def get(self, key: tuple[str, ...], number: int) -> bytes | None:
        fresh = self._fresh.get((repr(key), number))
        if fresh is not None or self._database is None:
            return fresh
        found = self._database.execute("SELECT value FROM kept WHERE key = ? AND n = ?", (repr(key), number))
        row = found.fetchone()
        return None if row is None else bytes(row[0])

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
