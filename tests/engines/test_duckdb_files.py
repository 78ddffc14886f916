"""What DuckDB reads from files is what stands there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from headgate.engines import duckdb_files

DIGITS = st.text("0123456789", max_size=22)


@st.composite
def numbers(draw: st.DrawFn) -> str:
    """A number as JSON writes it, of up to 44 digits."""
    whole, fraction = draw(DIGITS).lstrip("0") or "0", draw(DIGITS)
    power = draw(st.sampled_from(["", "", "e3", "E-5"]))
    return draw(st.sampled_from(["", "-"])) + whole + (f".{fraction}" if fraction else "") + power


TEXT = 'not 1.234567890123456789 \\ "'


def read(number: str, options: Mapping[str, Any], nested: bool = False) -> tuple[bool, str]:
    """Whether a line with the number goes on, and what the engine reads."""
    value = f'{{"x": [{number}]}}' if nested else number
    line = f'{{"s": {json.dumps(TEXT)}, "v": {value}}}'
    pointer = "/v/x/0" if nested else "/v"
    query = f"SELECT {duckdb_files.well_formed(options, '$line')}, json_extract_string($line, $pointer)"
    found = duckdb.execute(query, {"line": line, "pointer": pointer}).fetchone()
    assert found is not None
    return found


@for_all(numbers(), st.booleans())
def test_a_number_of_json_is_read_as_it_stands_or_its_line_is_held(number: str, nested: bool) -> None:
    good, found = read(number, {"keys": ["s", "v"]}, nested)
    written = Decimal(number)
    if good:
        assert Decimal(found) == written
    else:
        assert len(written.normalize().as_tuple().digits) > 15


@for_all(numbers())
def test_a_double_takes_the_nearest_value(number: str) -> None:
    good, found = read(number, {"keys": ["s", "v"], "floats": ["v"]})
    assert good
    assert float(found) == float(number)


@pytest.mark.parametrize("key", ['a "b"', "a.b", "(", "ä"])
def test_names_of_doubles_are_no_patterns(key: str) -> None:
    line = json.dumps({key: 1.2345678901234567}, ensure_ascii=False)
    for floats, good in (([key], True), ([], False)):
        condition = duckdb_files.well_formed({"keys": [key], "floats": floats}, "$line")
        assert duckdb.execute(f"SELECT {condition}", {"line": line}).fetchall() == [(good,)]
