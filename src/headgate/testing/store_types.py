# ruff: noqa: PT017 - a contract suite is a test
"""What a store promises of types: a value comes back as it was, or its column is refused with a reason."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from headgate.core.errors import Code, FatalError
from headgate.testing.place import Place, load
from headgate.testing.rows import arrow_schema, arrow_table, canonical, multiset

LAST = datetime(9999, 12, 31, 23, 59, 59, 999999)  # noqa: DTZ001 - naive on purpose
FIRST = datetime(1, 1, 1)  # noqa: DTZ001 - naive on purpose

TYPES: dict[str, tuple[pa.DataType, list[Any]]] = {
    "bool": (pa.bool_(), [True, False]),
    "int8": (pa.int8(), [-128, 127]),
    "int16": (pa.int16(), [-(2**15), 2**15 - 1]),
    "int32": (pa.int32(), [-(2**31), 2**31 - 1]),
    "int64": (pa.int64(), [-(2**63), 2**63 - 1, 2**53 + 1]),
    "uint8": (pa.uint8(), [0, 255]),
    "uint16": (pa.uint16(), [0, 2**16 - 1]),
    "uint32": (pa.uint32(), [0, 2**32 - 1]),
    "uint64": (pa.uint64(), [0, 2**64 - 1]),
    "float": (pa.float32(), [0.5, 1.1754943508222875e-38, 3.4028234663852886e38]),
    "double": (pa.float64(), [0.1, 1e308, 5e-324, 1 / 3, 2.0**53]),
    "infinity": (pa.float64(), [float("inf"), float("-inf")]),
    "nan": (pa.float64(), [float("nan")]),
    "minus_zero": (pa.float64(), [-0.0]),
    "decimal": (pa.decimal128(12, 2), [Decimal("0.10"), Decimal("-9999999999.99")]),
    "wide_decimal": (pa.decimal128(38, 10), [Decimal("1234567890123456789012345678.0123456789"), Decimal("0E-10")]),
    "whole_decimal": (pa.decimal128(38, 0), [Decimal(10**38 - 1)]),
    "string": (
        pa.string(),
        ["", "a", 'it\'s "quoted"', "ünï ☃ 😀", "NULL", "\\N", "a\tb\nc\r\n", " padded ", "x" * 70_000],
    ),
    "digits": (pa.string(), ["001", "1e3", "1.50", "9223372036854775808"]),
    "nul": (pa.string(), ["a\x00b"]),
    "binary": (pa.binary(), [b"", b"\x00\xff\x00", b"text", b"\\x41"]),
    "date": (pa.date32(), [date(1, 1, 1), date(1970, 1, 1), date(2024, 2, 29), date(9999, 12, 31)]),
    "time": (pa.time64("us"), [time(0, 0), time(23, 59, 59, 999999), time(12, 0, 0, 1)]),
    "timestamp": (pa.timestamp("us"), [FIRST, datetime(1969, 12, 31, 23, 59, 59, 999999), LAST]),  # noqa: DTZ001
    "instant": (pa.timestamp("us", "UTC"), [FIRST.replace(tzinfo=UTC), LAST.replace(tzinfo=UTC)]),
    "interval": (pa.month_day_nano_interval(), [(14, 3, 4_000_005_000), (-1, 0, 0)]),
    "list": (pa.list_(pa.int64()), [[1, None, 3], [], [-1]]),
    "struct": (pa.struct([("a", pa.int64()), ("b", pa.string())]), [{"a": 1, "b": "x"}, {"a": None, "b": None}]),
    "map": (pa.map_(pa.string(), pa.int64()), [[("k", 1), ("l", None)], []]),
}
"""Every type that a load may have, with its edges. ``uint64``, ``nan``, ``nul`` and the like are worth a refusal."""

REFUSALS = frozenset({Code.UNSUPPORTED, Code.LOAD_EXECUTION_FAILED})
"""Of a type, and of a value that its type in the store cannot hold: the server says so when it comes by."""


def type_table(name: str) -> pa.Table:
    """One column of a type, with a key and a NULL at the end."""
    type_, values = TYPES[name]
    schema = arrow_schema([("id", pa.int64()), ("value", type_)])
    return arrow_table(schema, [range(len(values) + 1), [*values, None]])


class TypeContract:
    documents: ClassVar[frozenset[str]] = frozenset()
    signed_zero: ClassVar[bool] = True

    @pytest.mark.parametrize("name", TYPES)
    def test_values_come_back_as_they_were_or_are_refused(self, place: Place, name: str) -> None:
        table = type_table(name)
        try:
            place.run(1, [(load("t", schema=table.schema), table)])
        except FatalError as refusal:
            assert refusal.code in REFUSALS, refusal
            assert "value" in str(refusal), "the refusal names the column"
            assert refusal.hint, "the refusal says what to do"
            assert place.store().describe("t") is None
            return
        back = place.rows("t").select(["id", "value"])
        if name in self.documents:
            self._same_documents(back, table)
            return
        info = place.store().describe("t")
        assert info is not None
        assert info.schema.names == ["id", "value"]
        if name == "minus_zero" and not self.signed_zero:
            assert back["value"].to_pylist() == [0.0, None]
            return
        assert multiset(back.cast(table.schema)) == multiset(table)

    def _same_documents(self, back: pa.Table, table: pa.Table) -> None:
        def plain(value: Any) -> Any:
            return dict(value) if isinstance(value, list) and value and isinstance(value[0], tuple) else value

        found = {row["id"]: row["value"] for row in back.to_pylist()}
        for row in table.to_pylist():
            stored = found[row["id"]]
            value = json.loads(stored) if isinstance(stored, str) else stored
            assert canonical(value or None) == canonical(plain(row["value"]) or None)

    def test_a_table_of_every_type_it_takes_is_loaded_whole(self, place: Place) -> None:
        taken = []
        for number, name in enumerate(TYPES):
            table = type_table(name)
            try:
                place.run(number, [(load(f"only_{name}", schema=table.schema), table)])
            except FatalError as refusal:
                assert refusal.code in REFUSALS
            else:
                taken.append(name)
        assert {"bool", "int64", "double", "decimal", "string", "date", "timestamp"} <= set(taken)
        schema = arrow_schema([("id", pa.int64()), *((name, TYPES[name][0]) for name in taken)])
        wanted = arrow_table(schema, [[1, 2], *([TYPES[name][1][0], None] for name in taken)])
        place.run("all", [(load("t", schema=schema), wanted)])
        kept = [name for name in schema.names if name not in self.documents]
        if not self.signed_zero and "minus_zero" in kept:
            kept.remove("minus_zero")
        assert multiset(place.rows("t").select(kept).cast(wanted.select(kept).schema)) == multiset(wanted.select(kept))

    def test_a_refused_column_leaves_the_other_tables_unpublished(self, place: Place) -> None:
        schema = arrow_schema([("id", pa.int64()), ("value", pa.dictionary(pa.int32(), pa.string()))])
        table = pa.table({"id": [1], "value": pa.array(["a"]).dictionary_encode()}, schema)
        with pytest.raises(FatalError) as refusal:
            place.run(1, [(load("good"), type_rows()), (load("bad", schema=schema), table)])
        assert refusal.value.code is Code.UNSUPPORTED
        assert place.store().tables() == []


def type_rows() -> pa.Table:
    return pa.table({"id": [1], "name": ["a"]}, arrow_schema([("id", pa.int64()), ("name", pa.string())]))
