"""Upserts: copy on write gives what a dictionary gives, and touches only the files it must."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.core.errors import Code, FatalError
from headgate.lake import iceberg
from headgate.lake._iceberg import staging
from headgate.testing.place import Place, load, rows
from headgate.testing.rows import arrow_schema, multiset

KEYS: dict[str, tuple[pa.DataType, Any]] = {
    "int": (pa.int32(), lambda n: n - 5),
    "long": (pa.int64(), lambda n: (n - 5) * 2**40),
    "text": (pa.string(), lambda n: "a long common prefix " + "é" * n),
    "bytes": (pa.binary(), lambda n: b"\xff" * 20 + bytes([n])),
    "date": (pa.date32(), lambda n: date(1969, 12, 28) + timedelta(days=n)),
    "time": (pa.time64("us"), lambda n: time(n, 0, 0, n)),
    "timestamp": (pa.timestamp("us"), lambda n: datetime(1969, 12, 31, 23) + timedelta(minutes=15 * n)),  # noqa: DTZ001
    "instant": (
        pa.timestamp("us", "UTC"),
        lambda n: datetime(1969, 12, 31, 23, tzinfo=UTC) + timedelta(minutes=15 * n),
    ),
    "decimal": (pa.decimal128(20, 3), lambda n: Decimal(n - 5) / 8 * 10**12),
    "double": (pa.float64(), lambda n: (n - 5) / 3),
    "bool": (pa.bool_(), lambda n: bool(n % 2)),
}


@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_every_type_find_their_rows_in_several_files(
    place: Place, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "FILE_ROWS", 1)
    type_, value = KEYS[kind]
    count = 2 if kind == "bool" else 12
    schema = arrow_schema([("k", type_), ("v", pa.string())])

    def table(numbers: list[int], text: str) -> pa.Table:
        return pa.table({"k": pa.array([value(n) for n in numbers], type_), "v": [text] * len(numbers)}, schema)

    upsert = load("t", "upsert", schema, keys=("k",))
    for number in range(count):
        place.run(f"a{number}", [(upsert, table([number], "old"))])
    changed = [0, 1] if kind == "bool" else [1, 4, 5, 11]
    (commit,) = place.run("b", [(upsert, table(changed, "new"))])
    assert (commit.inserted, commit.updated) == (0, len(changed))
    kept = [number for number in range(count) if number not in changed]
    assert multiset(place.rows("t")) == multiset(pa.concat_tables([table(kept, "old"), table(changed, "new")]))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    loads=st.lists(
        st.dictionaries(
            st.tuples(st.integers(0, 6), st.sampled_from(["a", "b", ""])), st.one_of(st.none(), st.text(max_size=3))
        ),
        min_size=1,
        max_size=6,
    )
)
def test_a_table_after_upserts_is_the_dictionary_after_updates(
    tmp_path_factory: pytest.TempPathFactory, loads: list[dict[tuple[int, str], str | None]]
) -> None:
    folder = tmp_path_factory.mktemp("model")
    connection = iceberg.Connection(type="iceberg", path="lake")
    place = Place(lambda: iceberg.open_store("lake", connection, folder), folder / "runs")
    schema = arrow_schema([("id", pa.int64()), ("part", pa.string()), ("name", pa.string())])
    model: dict[tuple[int, str], str | None] = {}
    for number, what in enumerate(loads):
        table = pa.table([[k for k, _ in what], [p for _, p in what], list(what.values())], schema=schema)
        (commit,) = place.run(number, [(load("t", "upsert", schema, keys=("id", "part")), table)])
        assert commit.updated == len(model.keys() & what.keys())
        assert commit.inserted == len(what.keys() - model.keys())
        model |= what
        found = place.rows("t").to_pylist()
        assert len(found) == len(model)
        assert {(row["id"], row["part"]): row["name"] for row in found} == model


def data_files(root: Path) -> set[str]:
    return {path.name for path in root.rglob("data/*.parquet")}


def test_files_without_a_changed_key_are_left_alone(place: Place, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "FILE_ROWS", 10)
    for start in range(0, 50, 10):
        place.run(f"a{start}", [(load("t"), rows(*((n, "old") for n in range(start, start + 10))))])
    before = data_files(root)
    place.run("b", [(load("t", "upsert", keys=("id",)), rows((23, "new")))])
    written = data_files(root) - before
    assert len(written) == 1, "one file of ten rows was written anew"
    assert (23, "new") in place.pairs("t")
    assert len(place.pairs("t")) == 50


def test_rows_with_null_in_the_key_column_stay_as_they_are(place: Place) -> None:
    place.run(1, [(load("t"), rows((None, "no key"), (1, "a")))])
    place.run(2, [(load("t", "upsert", keys=("id",)), rows((1, "b")))])
    assert place.pairs("t") == sorted([(1, "b"), (None, "no key")], key=repr)


def test_a_key_that_the_table_holds_twice_is_refused(place: Place) -> None:
    place.run(1, [(load("t"), rows((1, "a"), (1, "b"), (2, "c"), (2, "d")))])
    with pytest.raises(FatalError) as refusal:
        place.run(2, [(load("t", "upsert", keys=("id",)), rows((1, "new")))])
    assert refusal.value.code is Code.DUPLICATE_KEYS
    assert place.pairs("t") == [(1, "a"), (1, "b"), (2, "c"), (2, "d")]


def test_columns_that_the_rows_lack_keep_their_values_where_keys_match(place: Place) -> None:
    wide = pa.table({"id": [1, 2], "name": ["a", "b"], "price": [0.5, 1.5]})
    place.run(1, [(load("t", schema=wide.schema), wide)])
    place.run(2, [(load("t", "upsert", keys=("id",)), rows((2, "B"), (3, "c")))])
    assert sorted(place.rows("t").to_pylist(), key=lambda row: row["id"]) == [
        {"id": 1, "name": "a", "price": 0.5},
        {"id": 2, "name": "B", "price": 1.5},
        {"id": 3, "name": "c", "price": None},
    ]


def test_a_new_column_comes_with_an_upsert(place: Place) -> None:
    place.run(1, [(load("t"), rows((1, "a"), (2, "b")))])
    wider = pa.table({"id": [2, 3], "name": ["B", "c"], "price": [0.5, 1.5]})
    place.run(2, [(load("t", "upsert", wider.schema, keys=("id",)), wider)])
    assert sorted(place.rows("t").to_pylist(), key=lambda row: row["id"]) == [
        {"id": 1, "name": "a", "price": None},
        {"id": 2, "name": "B", "price": 0.5},
        {"id": 3, "name": "c", "price": 1.5},
    ]


def test_a_key_column_may_grow_wider(place: Place) -> None:
    narrow = arrow_schema([("id", pa.int32()), ("name", pa.string())])
    first = pa.table([[1, 2], ["a", "b"]], schema=narrow)
    place.run(1, [(load("t", "upsert", narrow, keys=("id",)), first)])
    place.run(2, [(load("t", "upsert", keys=("id",)), rows((2, "B"), (2**40, "big")))])
    place.run(3, [(load("t", "upsert", keys=("id",)), rows((1, "A")))])
    assert place.pairs("t") == [(1, "A"), (2**40, "big"), (2, "B")]


def test_keys_are_found_whatever_their_case(place: Place) -> None:
    place.run(1, [(load("t", "upsert", keys=("ID",)), rows((1, "a")))])
    (commit,) = place.run(2, [(load("t", "upsert", keys=("Id",)), rows((1, "b")))])
    assert commit.updated == 1
    assert place.pairs("t") == [(1, "b")]


@pytest.mark.parametrize("keys", [(), ("nobody",)])
def test_an_upsert_says_which_key_it_lacks(place: Place, keys: tuple[str, ...]) -> None:
    with pytest.raises(FatalError) as refusal:
        place.run(1, [(load("t", "upsert", keys=keys), rows((1, "a")))])
    assert refusal.value.code is Code.CONFIG_INVALID


def test_nested_columns_survive_a_merge(place: Place) -> None:
    schema = arrow_schema(
        [
            ("id", pa.int64()),
            ("tags", pa.list_(pa.string())),
            ("at", pa.struct([("x", pa.int32()), ("when", pa.timestamp("us", "UTC"))])),
            ("counts", pa.map_(pa.string(), pa.int64())),
        ]
    )
    when = datetime(2024, 2, 29, tzinfo=UTC)
    old = pa.table([[1, 2], [["a", None], None], [{"x": 1, "when": when}, None], [[("k", 1)], None]], schema=schema)
    new = pa.table([[2], [[]], [{"x": None, "when": None}], [[]]], schema=schema)
    upsert = load("t", "upsert", schema, keys=("id",))
    place.run(1, [(upsert, old)])
    place.run(2, [(upsert, new)])
    assert multiset(place.rows("t")) == multiset(pa.concat_tables([old.slice(0, 1), new]))
