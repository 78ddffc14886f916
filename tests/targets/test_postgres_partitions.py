"""Partition tables are made when the first row for them comes, and readers of the whole see all rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from headgate.core.contracts import Mode, Partitioning, Store
from headgate.core.errors import Code, FatalError
from headgate.core.secrets import Secret
from headgate.targets import postgres
from headgate.testing.place import Place, load
from headgate.testing.rows import arrow_schema, arrow_table, values

SALES = arrow_schema([("id", pa.int64()), ("day", pa.date32()), ("shop", pa.string())])
MONTHS = Partitioning("day", "month")


@pytest.fixture
def place(postgres_url: str, tmp_path: Path) -> Iterator[Place]:
    connection = postgres.Connection(type="postgres", url=Secret(postgres_url))
    opened: Callable[[], Store] = lambda: postgres.open_store("dw", connection, tmp_path)  # noqa: E731
    found = Place(opened, tmp_path / "_runs")
    yield found
    found.close()


@pytest.fixture
def ask(postgres_url: str) -> Callable[[str], list[tuple[Any, ...]]]:
    def asked(query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(postgres_url, autocommit=True) as session:
            cursor = session.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    return asked


def sales(*rows: tuple[int, date | None, str | None]) -> pa.Table:
    return arrow_table(SALES, [list(column) for column in zip(*rows, strict=True)])


FIRST = sales((1, date(2024, 1, 15), "a"), (2, date(2024, 1, 31), "b"), (3, date(2024, 12, 31), "a"), (4, None, "c"))
PARTS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'sales'::regclass ORDER BY 1"


@pytest.mark.parametrize(
    ("by", "parts"),
    [
        ("day", ["sales_2024_01_15", "sales_2024_01_31", "sales_2024_12_31", "sales_default"]),
        ("month", ["sales_2024_01", "sales_2024_12", "sales_default"]),
        ("year", ["sales_2024", "sales_default"]),
    ],
)
def test_rows_land_in_the_partition_of_their_day_month_or_year(
    place: Place, ask: Any, by: Any, parts: list[str]
) -> None:
    place.run(1, [(load("sales", schema=SALES, partitioning=Partitioning("day", by)), FIRST)])
    assert [name for (name,) in ask(PARTS)] == parts
    assert ask("SELECT id FROM sales_default") == [(4,)]
    assert values(place.rows("sales"), "id") == [1, 2, 3, 4]


def test_partitions_come_as_they_are_needed_and_others_stay(place: Place, ask: Any) -> None:
    place.run(1, [(load("sales", schema=SALES, partitioning=MONTHS), FIRST)])
    more = sales((5, date(2024, 1, 1), "a"), (6, date(2025, 2, 1), "a"), (7, None, None))
    (commit,) = place.run(2, [(load("sales", schema=SALES, partitioning=MONTHS), more)])
    assert commit.inserted == 3
    assert [name for (name,) in ask(PARTS)] == ["sales_2024_01", "sales_2024_12", "sales_2025_02", "sales_default"]
    assert sorted(ask("SELECT id FROM sales_2024_01")) == [(1,), (2,), (5,)]


def test_a_partition_for_each_value_whatever_it_is(place: Place, ask: Any) -> None:
    odd = sales(
        (1, None, "north"),
        (2, None, "it's; DROP TABLE x"),
        (3, None, "NORTH"),
        (4, None, None),
        (5, None, ""),
        (6, None, "default"),
    )
    place.run(1, [(load("sales", schema=SALES, partitioning=Partitioning("shop")), odd)])
    names = [name for (name,) in ask(PARTS)]
    assert len(names) == 6
    assert {"sales_north", "sales_default"} <= set(names)
    assert values(place.rows("sales"), "id") == [1, 2, 3, 4, 5, 6]


ENDS = sales((1, date(9999, 12, 31), "a"), (2, date(1, 1, 1), "a"))


@pytest.mark.parametrize("by", ["day", "month", "year"])
def test_the_last_and_the_first_day_have_their_partition(place: Place, ask: Any, by: Any) -> None:
    place.run(1, [(load("sales", schema=SALES, partitioning=Partitioning("day", by)), ENDS)])
    assert sorted(ask("SELECT tableoid::regclass::text <> 'sales_default', id FROM sales")) == [(True, 1), (True, 2)]


@pytest.mark.parametrize("mode", ["upsert", "merge"])
def test_rows_that_are_there_are_updated_in_their_partitions(place: Place, mode: Mode) -> None:
    what = load("sales", mode, SALES, keys=("id", "day"), partitioning=MONTHS)
    place.run(1, [(what, sales((1, date(2024, 1, 15), "a"), (2, date(2024, 2, 1), "b")))])
    (commit,) = place.run(2, [(what, sales((2, date(2024, 2, 1), "c"), (3, date(2024, 3, 1), "c")))])
    assert (commit.inserted, commit.updated) == (1, 1)
    assert values(place.rows("sales"), "shop") == ["a", "c", "c"]


def test_partitions_of_a_table_with_a_long_name_have_names_of_their_own(place: Place, ask: Any) -> None:
    name = "sales_" * 10 + "abc"
    place.run(1, [(load(name, schema=SALES, partitioning=MONTHS), FIRST)])
    assert len(ask(f"SELECT inhrelid FROM pg_inherits WHERE inhparent = '{name}'::regclass")) == 3
    assert values(place.rows(name), "id") == [1, 2, 3, 4]


def test_a_table_that_has_the_name_of_a_partition_is_told(place: Place, ask: Any) -> None:
    ask("CREATE TABLE sales_2024_01 (x int)")
    with pytest.raises(FatalError, match='"sales_2024_01"') as refusal:
        place.run(1, [(load("sales", schema=SALES, partitioning=MONTHS), FIRST)])
    assert refusal.value.code is Code.UNSUPPORTED


def test_partitions_that_were_made_by_hand_are_used(place: Place, ask: Any) -> None:
    ask("CREATE TABLE sales (id bigint, day date, shop text) PARTITION BY RANGE (day)")
    ask("CREATE TABLE first_half PARTITION OF sales FOR VALUES FROM ('2024-01-01') TO ('2024-07-01')")
    place.run(1, [(load("sales", schema=SALES, partitioning=MONTHS), FIRST)])
    assert sorted(ask("SELECT id FROM first_half")) == [(1,), (2,)]
    assert [name for (name,) in ask(PARTS)] == ["first_half", "sales_2024_12", "sales_default"]


def test_a_run_that_rolls_back_leaves_no_partition(place: Place, ask: Any) -> None:
    place.run(1, [(load("sales", schema=SALES, partitioning=MONTHS), FIRST)])
    before = ask(PARTS)
    bad = sales((1, date(2030, 1, 1), "a"), (1, date(2030, 1, 1), "b"))
    merge = load("sales", "merge", SALES, keys=("id", "day"), partitioning=MONTHS)
    with pytest.raises(FatalError) as refusal:
        place.run(2, [(merge, bad)])
    assert refusal.value.code is Code.DUPLICATE_KEYS
    assert ask(PARTS) == before


def test_only_the_partitions_of_the_rows_are_replaced(place: Place) -> None:
    place.run(1, [(load("sales", schema=SALES, partitioning=MONTHS), FIRST)])
    again = load("sales", "overwrite", SALES, partition=("day",), partitioning=MONTHS)
    place.run(2, [(again, sales((10, date(2024, 1, 15), "z")))])
    assert values(place.rows("sales"), "id") == [2, 3, 4, 10]


def test_a_table_that_is_not_partitioned_is_not_made_so_in_silence(place: Place) -> None:
    place.run(1, [(load("sales", schema=SALES), FIRST)])
    with pytest.raises(FatalError) as refusal:
        place.run(2, [(load("sales", schema=SALES, partitioning=MONTHS), FIRST)])
    assert refusal.value.code is Code.UNSUPPORTED
    assert values(place.rows("sales"), "id") == [1, 2, 3, 4]
