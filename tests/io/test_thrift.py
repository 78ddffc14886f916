"""Whatever stands in Thrift's compact protocol is written again as it was read."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.io import thrift
from headgate.io.thrift import Field, Items

NUMBERS = {thrift.I16: 16, thrift.I32: 32, thrift.I64: 64}
PLAIN: dict[int, Any] = {
    **{type_: st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for type_, bits in NUMBERS.items()},
    thrift.BYTE: st.integers(0, 255),
    thrift.DOUBLE: st.binary(min_size=8, max_size=8),
    thrift.BINARY: st.binary(max_size=200),
}
KINDS = [*PLAIN, thrift.LIST, thrift.SET, thrift.STRUCT]


def values(type_: int, depth: int = 2) -> Any:
    if type_ in PLAIN:
        return PLAIN[type_]
    if type_ == thrift.STRUCT:
        return structs(depth - 1)
    items = st.sampled_from([thrift.TRUE, *(KINDS if depth else PLAIN)])
    return items.flatmap(lambda item: st.builds(Items, st.just(item), st.lists(elements(item, depth), max_size=20)))


def elements(type_: int, depth: int) -> Any:
    return st.integers(1, 2) if type_ == thrift.TRUE else values(type_, depth - 1)


def structs(depth: int = 2) -> Any:
    kinds = st.sampled_from([thrift.TRUE, thrift.FALSE, *(KINDS if depth > 0 else PLAIN)])

    def field(type_: int) -> Any:
        none = type_ in (thrift.TRUE, thrift.FALSE)
        return st.builds(Field, st.just(type_), st.none() if none else values(type_, depth))

    return st.dictionaries(st.integers(1, 200), kinds.flatmap(field), max_size=5)


@given(structs())
def test_what_is_written_is_read_again(struct: thrift.Struct) -> None:
    assert thrift.read(thrift.write(struct)) == struct


@pytest.mark.parametrize("options", [{}, {"write_page_index": True}, {"compression": "none"}])
def test_a_footer_is_written_as_it_was_byte_by_byte(options: dict[str, Any]) -> None:
    file = io.BytesIO()
    columns: dict[str, Any] = {f"c{number}": [number, None, -number] for number in range(40)}
    columns["nested"] = [{"a": [1.5, None], "b": "x"}, None, {"a": [], "b": "é"}]
    pq.write_table(pa.table(columns), file, row_group_size=2, **options)
    content = file.getvalue()
    footer = content[-8 - int.from_bytes(content[-8:-4], "little") : -8]
    assert thrift.write(thrift.read(footer)) == footer


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x15",  # a number is missing
        b"\x18\x05abc\x00",  # a text is cut off
        b"\x1b\x00\x00",  # a map
        b"\x1d\x00",  # no type at all
        b"\x00\x00",  # a second structure
        b"\x15" + b"\xff" * 20,  # a number that does not end
    ],
)
def test_what_is_no_structure_is_refused(data: bytes) -> None:
    with pytest.raises(thrift.MalformedError):
        thrift.read(data)


def test_a_map_is_not_written_either() -> None:
    with pytest.raises(thrift.MalformedError):
        thrift.write({1: Field(thrift.MAP, {})})
