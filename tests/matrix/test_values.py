"""Random values of every type through whole runs: they come back as they were."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.conftest import Server, database_name
from tests.mariadb import MariaServer
from tests.matrix.sides import NATIVE, SIDES, World

from headgate.commands.handle import handle
from headgate.commands.models import RunPipeline
from headgate.execute.workspace import Workspace
from headgate.testing.rows import arrow_schema, arrow_table, multiset, read_all


def decimals(digits: int, places: int) -> st.SearchStrategy[Decimal]:
    return st.integers(-(10**digits) + 1, 10**digits - 1).map(lambda whole: Decimal(whole).scaleb(-places))


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))  # noqa: DTZ001 - naive on purpose
COLUMNS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "flag": (pa.bool_(), st.booleans()),
    "i16": (pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    "i32": (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "i64": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "u64": (pa.uint64(), st.integers(0, 2**64 - 1)),
    "real": (pa.float64(), st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0)),
    "single": (pa.float32(), st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda n: n + 0.0)),
    "money": (pa.decimal128(12, 2), decimals(12, 2)),
    "wide": (pa.decimal128(38, 10), decimals(38, 10)),
    "text": (pa.string(), TEXTS),
    "bytes": (pa.binary(), st.binary(max_size=30)),
    "day": (pa.date32(), st.dates()),
    "clock": (pa.time64("us"), st.times()),
    "naive": (pa.timestamp("us"), MOMENTS),
    "moment": (pa.timestamp("us", "UTC"), MOMENTS.map(lambda moment: moment.replace(tzinfo=UTC))),
}
LISTS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    f"list_of_{name}": (pa.list_(type_), st.lists(st.none() | values, max_size=5))
    for name, (type_, values) in COLUMNS.items()
    if name not in ("i16", "u64", "single")
}
LISTED = ("lake", "folder", "postgres", "duckdb")
"""Targets that hold lists; the plan refuses them elsewhere."""


def tables(target: str) -> st.SearchStrategy[pa.Table]:
    """Random tables of every type that the target holds."""
    columns = COLUMNS | (LISTS if target in LISTED else {})
    schema = arrow_schema([(name, type_) for name, (type_, _) in columns.items()])
    rows = st.tuples(*(st.none() | values for _, values in columns.values()))
    return st.lists(rows, min_size=1, max_size=200).map(lambda rows: arrow_table(schema, list(zip(*rows, strict=True))))


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: Server, mariadb_server: MariaServer
) -> Iterator[World]:
    name = database_name()
    mariadb_server.create_database(name)
    yield World(
        tmp_path_factory.mktemp("values"), mariadb_server, name, postgres_server.create_database(name), fill=False
    )
    postgres_server.drop_database(name)
    mariadb_server.drop_database(name)


def arrives(world: World, target: str, table: pa.Table) -> None:
    pq.write_table(table, world.root / "inbox" / "origin.parquet")
    world.write("folder", target, "origin", table.schema.names, "random")
    with Workspace.load(world.root) as workspace:
        receipt = handle(RunPipeline(pipeline="p"), workspace).unwrap()
        assert receipt.published
    with Workspace.load(world.root) as workspace:
        back = read_all(workspace.store(workspace.connection(target)).reader("random"))
    assert multiset(back.select(table.schema.names).cast(table.schema)) == multiset(table)


def test_what_travels_as_text_is_the_same_value_again_in_a_column_of_its_own_type(world: World) -> None:
    world.native("postgres")
    names = [f"c_{name}" for name in NATIVE["postgres"]]
    with psycopg.connect(world.postgres_url, autocommit=True) as session:
        session.execute("CREATE TABLE typed (LIKE native)")
        world.write("postgres", "postgres", "native", names, "typed")
        with Workspace.load(world.root) as workspace:
            handle(RunPipeline(pipeline="p"), workspace).unwrap()
        same = " AND ".join(f"(n.{name} = t.{name} AND pg_typeof(n.{name}) = pg_typeof(t.{name}))" for name in names)
        assert session.execute(f"SELECT {same} FROM native n, typed t").fetchall() == [(True,)]


RELAXED: Any = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "phases": (Phase.generate,),
    "derandomize": True,
}


@pytest.mark.parametrize("target", SIDES)
def test_random_values_arrive_as_they_were(world: World, target: str) -> None:
    @settings(max_examples=2, **RELAXED)
    @given(tables(target))
    def check(table: pa.Table) -> None:
        arrives(world, target, table)

    check()


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("target", SIDES)
def test_many_random_values_arrive_as_they_were(world: World, target: str) -> None:
    @settings(max_examples=200, **{**RELAXED, "derandomize": False, "phases": tuple(Phase)})
    @given(tables(target))
    def check(table: pa.Table) -> None:
        arrives(world, target, table)

    check()
