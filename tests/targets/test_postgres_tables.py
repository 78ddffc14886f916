"""PostgreSQL tables that were there before headgate: fitted exactly, kept as they are, or refused."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.core.contracts import Mode, Rescue
from headgate.core.errors import Code, FatalError, RetriableError, exit_status
from headgate.core.secrets import Secret
from headgate.targets import postgres
from headgate.targets.postgres import copying
from headgate.testing.place import IDS, Place, load, rows, stage
from headgate.testing.rows import arrow_schema, arrow_table, multiset

COUNTER = itertools.count(1)
DAY = datetime(2024, 2, 29, 12, tzinfo=UTC)


class Database(Place):
    """A store's place, and a session beside it."""

    url: str

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as session:
            cursor = session.execute(statement)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def place(postgres_url: str, tmp_path: Path) -> Iterator[Database]:
    connection = postgres.Connection(url=Secret(postgres_url))
    database = Database(lambda: postgres.open_store("warehouse", connection, tmp_path), tmp_path / "runs")
    database.url = postgres_url
    yield database
    database.close()


def column(type_: pa.DataType, *values: Any) -> pa.Table:
    return arrow_table(arrow_schema([("c", type_)]), [list(values)])


class TestColumnsThatAreThere:
    @pytest.mark.parametrize("mode", ["append", "overwrite"])
    @pytest.mark.parametrize(
        ("sql", "type_", "value", "text"),
        [
            ("bigint", pa.int32(), 5, "5"),
            ("integer", pa.uint16(), 65535, "65535"),
            ("numeric", pa.int64(), -(2**63), "-9223372036854775808"),
            ("numeric(30, 4)", pa.decimal128(10, 2), Decimal("1.25"), "1.2500"),
            ("numeric(20, 0)", pa.uint64(), 2**64 - 1, "18446744073709551615"),
            ("double precision", pa.int32(), 7, "7"),
            ("double precision", pa.float32(), 0.5, "0.5"),
            ("varchar(5)", pa.string(), "abcde", "abcde"),
            ("char(3)", pa.string(), "ab", "ab "),
            ("uuid", pa.string(), "A0000000-0000-0000-0000-00000000000a", "a0000000-0000-0000-0000-00000000000a"),
            ("jsonb", pa.string(), '{"b": 1.50}', '{"b": 1.50}'),
            ("inet", pa.string(), "10.0.0.1", "10.0.0.1/32"),
            ("mood", pa.string(), "ok", "ok"),
            ("price", pa.decimal128(6, 2), Decimal("9.99"), "9.990"),
            ("timestamptz[]", pa.list_(pa.timestamp("us", "UTC")), [DAY], '{"2024-02-29 12:00:00+00"}'),
            ("varchar(3)[]", pa.list_(pa.string()), ["abc", None], "{abc,NULL}"),
            ("bigint[]", pa.list_(pa.int32()), [1, None], "{1,NULL}"),
            ("uuid[]", pa.list_(pa.string()), [], "{}"),
            ("interval", pa.month_day_nano_interval(), (14, -3, -1_500_000_000), "1 year 2 mons -3 days -00:00:01.5"),
        ],
    )
    def test_take_every_value_of_a_narrower_type(
        self, place: Database, mode: str, sql: str, type_: pa.DataType, value: Any, text: str
    ) -> None:
        place.sql("CREATE TYPE mood AS ENUM ('ok')")
        place.sql("CREATE DOMAIN price AS numeric(12, 3)")
        place.sql(f"CREATE TABLE t (c {sql})")
        table = column(type_, value, None)
        (commit,) = place.run(1, [(load("t", mode, table.schema), table)])
        assert commit.inserted == 2
        with psycopg.connect(place.url, options="-c TimeZone=UTC") as session:
            found = session.execute("SELECT c::text FROM t ORDER BY c IS NULL").fetchall()
        assert [value.ljust(3) if sql == "char(3)" and value else value for (value,) in found] == [text, None]

    @pytest.mark.parametrize(
        ("sql", "type_"),
        [
            ("integer", pa.int64()),
            ("bigint", pa.uint64()),
            ("numeric(10, 2)", pa.decimal128(12, 2)),
            ("numeric(12, 1)", pa.decimal128(10, 2)),
            ("numeric(5, 0)", pa.int64()),
            ("bigint", pa.decimal128(10, 0)),
            ("double precision", pa.int64()),
            ("real", pa.float64()),
            ("text", pa.int64()),
            ("integer", pa.string()),
            ("timestamp", pa.timestamp("us", "UTC")),
            ("timestamptz", pa.timestamp("us")),
            ("date", pa.timestamp("us")),
            ("integer[]", pa.list_(pa.int64())),
            ("text", pa.list_(pa.string())),
            ("numeric(5, 2)[]", pa.list_(pa.string())),
        ],
    )
    def test_refuse_a_type_that_may_not_fit(self, place: Database, sql: str, type_: pa.DataType) -> None:
        place.sql(f"CREATE TABLE t (c {sql})")
        table = column(type_)
        with pytest.raises(FatalError, match='column "c"') as refusal:
            place.run(1, [(load("t", schema=table.schema), table)])
        assert refusal.value.code is Code.SCHEMA_MISMATCH
        assert str(type_) in refusal.value.message

    @pytest.mark.parametrize("sql", ["varchar(2)", "varchar(2)[]"])
    def test_never_cut_what_is_too_long(self, place: Database, sql: str) -> None:
        place.sql(f"CREATE TABLE t (c {sql})")
        table = column(pa.list_(pa.string()), ["abc"]) if sql.endswith("[]") else column(pa.string(), "abc")
        with pytest.raises(FatalError, match="too long"):
            place.run(1, [(load("t", schema=table.schema), table)])
        assert place.sql("SELECT count(*) FROM t") == [(0,)]

    def test_values_that_are_no_json_or_enumeration_are_refused(self, place: Database) -> None:
        place.sql("CREATE TABLE t (c jsonb)")
        with pytest.raises(FatalError, match="invalid input syntax for type json"):
            place.run(1, [(load("t", schema=column(pa.string()).schema), column(pa.string(), "{"))])

    @pytest.mark.parametrize("keys", [("id",), ()])
    def test_nul_in_text_is_bad_data_with_its_column_and_row(self, place: Database, keys: tuple[str, ...]) -> None:
        mode: Mode = "upsert" if keys else "append"
        with pytest.raises(FatalError, match='column "name" of the row with id = 7: invalid byte sequence') as refusal:
            place.run(1, [(load("t", mode, keys=keys), rows(*((number, "a") for number in range(7)), (7, "b\0")))])
        assert (refusal.value.code, exit_status(refusal.value.code)) == (Code.LOAD_EXECUTION_FAILED, 1)
        assert "chr(0)" in refusal.value.hint
        assert place.sql("SELECT to_regclass('t')") == [(None,)]

    @pytest.mark.parametrize(("time", "reason"), [(-251 * 10**15, "out of range"), (-9_223_372 * 10**12, "beyond")])
    @pytest.mark.parametrize("before", [1, 20_000], ids=["in the first piece", "in a later piece"])
    def test_times_before_those_of_the_server_are_bad_data(
        self, place: Database, time: int, reason: str, before: int
    ) -> None:
        schema = arrow_schema([("id", pa.string()), ("c", pa.timestamp("us"))])
        times = pa.array([*[0] * before, time], pa.int64()).cast(pa.timestamp("us"))
        names = [*(f"{number:>64}" for number in range(before)), "y"]
        table = pa.table({"id": pa.array(names), "c": times}, schema)
        assert (table.nbytes > copying.PIECE) == (before > 1)
        with pytest.raises(FatalError, match="column \"c\" of the row with id = 'y': ") as refusal:
            place.run(1, [(load("t", schema=schema), table)])
        assert reason in refusal.value.message
        assert refusal.value.code is Code.LOAD_EXECUTION_FAILED
        assert "4713 BC" in refusal.value.hint

    def test_a_batch_of_many_pieces_comes_back(self, place: Database) -> None:
        """Pieces begin at any row, so NULLs, booleans and lists of a piece begin within a byte of the batch's."""
        columns: dict[str, tuple[pa.DataType, list[Any]]] = {
            "number": (pa.int64(), [1, None, -(2**63)]),
            "exact": (pa.decimal128(20, 4), [Decimal("1.2500"), None, Decimal("-0.0001")]),
            "text": (pa.string(), ["", "é" * 40, None]),
            "bytes": (pa.binary(), [b"\0", None, b"x" * 30]),
            "moment": (pa.timestamp("us", "UTC"), [DAY, None]),
            "truth": (pa.bool_(), [True, None, False, False, True]),
            "several": (pa.list_(pa.string()), [["a", None], [], None, ["b"]]),
        }
        schema = arrow_schema([(name, type_) for name, (type_, _) in columns.items()])
        values = [list(itertools.islice(itertools.cycle(some), 20_001)) for _, some in columns.values()]
        table = arrow_table(schema, values).combine_chunks()
        assert table.nbytes > 3 * copying.PIECE
        place.run(1, [(load("t", schema=schema), table)])
        assert multiset(place.rows("t").cast(schema)) == multiset(table)

    def test_names_that_the_server_would_cut_are_refused(self, place: Database) -> None:
        long = "é" * 32
        schema = arrow_schema([(long, pa.int64())])
        letters = load("t", rescue=Rescue(long, "run-1", "2024-01-15T00:00:00Z"))
        for what in (load("t", schema=schema), load(long), letters):
            with pytest.raises(FatalError, match="63 bytes") as refusal:
                place.run(1, [(what, rows() if what.schema is IDS else pa.table({long: [1]}, schema))])
            assert refusal.value.code is Code.UNSUPPORTED

    def test_structs_are_refused_with_what_to_do(self, place: Database) -> None:
        table = column(pa.struct([("a", pa.int64())]), {"a": 1})
        with pytest.raises(FatalError, match="struct") as refusal:
            place.run(1, [(load("t", schema=table.schema), table)])
        assert (refusal.value.code, "to_json" in refusal.value.hint) == (Code.UNSUPPORTED, True)

    def test_schemas_are_named_with_a_dot(self, place: Database) -> None:
        place.sql("CREATE SCHEMA mart")
        place.run(1, [(load("mart.t"), rows((1, "a"))), (load('"a.b"'), rows((2, "b")))])
        assert place.sql("SELECT id FROM mart.t") == [(1,)]
        assert place.sql('SELECT id FROM "a.b"') == [(2,)]
        assert sorted(place.store().tables()) == ["a.b", "mart.t"]
        with pytest.raises(FatalError, match='no schema "nowhere"') as refusal:
            place.run(2, [(load("nowhere.t"), rows())])
        assert refusal.value.code is Code.TABLE_CREATION_FAILED

    def test_views_take_no_rows(self, place: Database) -> None:
        place.sql("CREATE VIEW t AS SELECT 1 AS id")
        with pytest.raises(FatalError, match="not into views"):
            place.run(1, [(load("t"), rows((1, "a")))])

    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        values=st.lists(
            st.tuples(
                st.none() | st.integers(-(2**63), 2**63 - 1),
                st.none() | st.decimals(-(10**9), 10**9, places=4),
                st.none() | st.text(st.characters(exclude_characters="\0", codec="utf-8")),
                st.none() | st.binary(max_size=50),
                st.none() | st.datetimes(timezones=st.just(UTC)),
                st.none() | st.dates(),
                st.none() | st.times(),
                st.none() | st.floats(),
                st.none() | st.booleans(),
                st.none() | st.lists(st.none() | st.text(st.characters(exclude_characters="\0", codec="utf-8"))),
            ),
            max_size=30,
        ),
        mode=st.sampled_from(["append", "overwrite"]),
    )
    def test_every_row_comes_back(self, place: Database, values: list[tuple[Any, ...]], mode: Mode) -> None:
        types: list[pa.DataType] = [
            pa.int64(),
            pa.decimal128(20, 4),
            pa.string(),
            pa.binary(),
            pa.timestamp("us", "UTC"),
            pa.date32(),
        ]
        types += [pa.time64("us"), pa.float64(), pa.bool_(), pa.list_(pa.string())]
        schema = arrow_schema([(f"c{place_}", type_) for place_, type_ in enumerate(types)])
        table = arrow_table(schema, [[row[place_] for row in values] for place_ in range(len(types))])
        number = next(COUNTER)
        name = f"t{number}" if mode == "append" else "same"
        place.run(number, [(load(name, mode, schema), table)])
        assert multiset(place.rows(name).cast(schema)) == multiset(table)


class TestUpsert:
    def test_without_a_unique_index_nobody_writes_meanwhile(self, place: Database) -> None:
        place.sql("CREATE TABLE t (id bigint, name text, kept text DEFAULT 'k')")
        place.sql("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
        upsert = load("t", "upsert", keys=("id",))
        (commit,) = place.run(1, [(upsert, rows((2, "B"), (3, "c")))])
        assert (commit.inserted, commit.updated) == (1, 1)
        assert place.sql("SELECT * FROM t ORDER BY 1") == [(1, "a", "k"), (2, "B", "k"), (3, "c", "k")]

    def test_counts_are_exact_where_others_lock_rows(self, place: Database) -> None:
        upsert = load("t", "upsert", keys=("id",))
        place.run(1, [(upsert, rows((1, "a"), (2, "b")))])
        with psycopg.connect(place.url) as other:
            other.execute("SELECT * FROM t WHERE id = 1 FOR KEY SHARE")
            (commit,) = place.run(2, [(upsert, rows((1, "A"), (2, "B"), (3, "c"), (4, "d")))])
        assert (commit.inserted, commit.updated) == (2, 2)

    def test_keys_that_are_one_in_the_columns_type_are_refused(self, place: Database) -> None:
        place.sql("CREATE TABLE t (id uuid PRIMARY KEY, name text)")
        schema = arrow_schema([("id", pa.string()), ("name", pa.string())])
        same = ["a0000000-0000-0000-0000-00000000000a", "A0000000-0000-0000-0000-00000000000A"]
        with pytest.raises(FatalError) as refusal:
            place.run(1, [(load("t", "upsert", schema, keys=("id",)), arrow_table(schema, [same, ["x", "y"]]))])
        assert refusal.value.code is Code.DUPLICATE_KEYS

    def test_new_columns_come_with_the_commit(self, place: Database) -> None:
        place.run(1, [(load("t", "upsert", keys=("id",)), rows((1, "a")))])
        wider = IDS.append(pa.field("price", pa.decimal128(8, 2)))
        table = arrow_table(wider, [[1, 2], ["A", "b"], [Decimal("1.00"), None]])
        place.run(2, [(load("t", "upsert", wider, keys=("id",)), table)])
        assert place.sql("SELECT id, name, price FROM t ORDER BY id") == [(1, "A", Decimal("1.00")), (2, "b", None)]

    def test_an_append_against_a_unique_index_is_refused(self, place: Database) -> None:
        place.run(1, [(load("t", "upsert", keys=("id",)), rows((1, "a")))])
        with pytest.raises(FatalError, match="unique") as refusal:
            place.run(2, [(load("t"), rows((1, "b")))])
        assert refusal.value.code is Code.DUPLICATE_KEYS


class TestOverwrite:
    DEFINITION = (
        "CREATE ROLE reader_role",
        "CREATE TABLE t (id bigint CONSTRAINT positive CHECK (id > 0), name text DEFAULT 'n')",
        "ALTER TABLE t ADD CONSTRAINT t_key UNIQUE (id)",
        "ALTER TABLE t SET (fillfactor = 70)",
        "CREATE INDEX by_name ON t (lower(name)) WHERE id > 1",
        "COMMENT ON TABLE t IS 'it''s all orders'",
        "COMMENT ON COLUMN t.id IS 'the key'",
        "COMMENT ON INDEX by_name IS 'for searching'",
        "COMMENT ON CONSTRAINT t_key ON t IS 'one row an id'",
        "GRANT SELECT ON t TO reader_role",
        "GRANT UPDATE (name) ON t TO reader_role WITH GRANT OPTION",
        "GRANT SELECT ON t TO PUBLIC",
        "INSERT INTO t VALUES (7, 'old'), (8, 'old')",
    )
    LOOKS = (
        "SELECT relacl::text, reloptions, obj_description(oid) FROM pg_class WHERE relname = 't'",
        "SELECT attname, attacl, col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid='t'::regclass",
        "SELECT indexname, indexdef, obj_description(indexname::regclass) FROM pg_indexes WHERE tablename='t'",
        "SELECT conname, pg_get_constraintdef(oid), obj_description(oid) FROM pg_constraint"  # noqa: ISC004
        " WHERE conrelid = 't'::regclass",
        "SELECT column_name, column_default FROM information_schema.columns WHERE table_name = 't' ORDER BY 1",
    )

    def _look(self, place: Database) -> list[Any]:
        return [sorted(place.sql(look), key=repr) for look in self.LOOKS]

    def test_a_table_that_is_replaced_looks_as_before(self, place: Database) -> None:
        try:
            for statement in self.DEFINITION:
                place.sql(statement)
            before, oid = self._look(place), place.sql("SELECT 't'::regclass::oid")
            (commit,) = place.run(1, [(load("t", "overwrite"), rows((1, "new"), (2, None)))])
            assert (commit.inserted, commit.deleted) == (2, 2)
            assert self._look(place) == before
            assert place.sql("SELECT 't'::regclass::oid") != oid, "the table is another one"
            assert place.pairs("t") == [(1, "new"), (2, None)]
            assert place.sql("SELECT relname FROM pg_class WHERE relname LIKE 'headgate_stage%'") == []
        finally:
            place.sql("DROP OWNED BY reader_role")
            place.sql("DROP ROLE reader_role")

    @pytest.mark.parametrize(
        "holds_on",
        [
            "CREATE VIEW v AS SELECT * FROM t",
            "CREATE TABLE child (id bigint REFERENCES t (id))",
            "CREATE FUNCTION f(t) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE PUBLICATION p FOR TABLE t",
            "CREATE PUBLICATION p FOR ALL TABLES",
            "CREATE PUBLICATION p FOR TABLES IN SCHEMA public",
            "CREATE STATISTICS s ON id, name FROM t",
            "CREATE INDEX i ON t (lower(name)); ALTER INDEX i ALTER COLUMN 1 SET STATISTICS 500",
            "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
            "CREATE RULE r AS ON UPDATE TO t DO INSTEAD NOTHING",
            "CREATE TABLE heir () INHERITS (t)",
            "ALTER TABLE t ADD COLUMN n serial",
            "ALTER TABLE t ADD COLUMN n int GENERATED BY DEFAULT AS IDENTITY",
            "CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "ALTER TABLE t REPLICA IDENTITY FULL",
            "CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM t",
        ],
    )
    def test_a_table_that_others_hold_on_to_is_refilled(self, place: Database, holds_on: str) -> None:
        place.sql("CREATE TABLE t (id bigint PRIMARY KEY, name text)")
        place.sql("INSERT INTO t VALUES (7, 'old'), (8, 'old')")
        place.sql(holds_on)
        oid = place.sql("SELECT 't'::regclass::oid")
        (commit,) = place.run(1, [(load("t", "overwrite"), rows((1, "new")))])
        assert (commit.inserted, commit.deleted) == (1, 2)
        assert place.sql("SELECT 't'::regclass::oid") == oid
        assert place.sql("SELECT id, name FROM t") == [(1, "new")]

    def test_rows_that_its_unique_index_refuses_are_told_as_such(self, place: Database) -> None:
        place.sql("CREATE TABLE t (id bigint, name text)")
        place.sql("CREATE UNIQUE INDEX one_name ON t (name)")
        with pytest.raises(FatalError, match='"one_name"') as refusal:
            place.run(1, [(load("t", "overwrite"), rows((1, "a"), (2, "a")))])
        assert refusal.value.code is Code.DUPLICATE_KEYS

    def test_what_others_change_at_the_table_meanwhile_is_not_lost(self, place: Database) -> None:
        place.run(0, [(load("t", "overwrite"), rows((1, "old")))])
        store = place.store()
        _, transaction = place.begin(store)
        stage(transaction, [(load("t", "overwrite"), rows((2, "new")))])
        place.sql("CREATE VIEW v AS SELECT * FROM t")
        with pytest.raises(RetriableError, match="views or functions use it"):
            transaction.counts()
        transaction.rollback()
        assert place.sql("SELECT * FROM v") == [(1, "old")]

    @pytest.mark.parametrize("view", ["", "CREATE VIEW v AS SELECT * FROM t"], ids=["replaced", "refilled"])
    def test_a_reader_with_an_older_snapshot_never_sees_it_empty(self, place: Database, view: str) -> None:
        place.run(0, [(load("t", "overwrite"), rows((1, "old")))])
        if view:
            place.sql(view)
        with psycopg.connect(place.url) as reader:
            reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            reader.execute("SELECT 1 FROM pg_class LIMIT 1")
            place.run(1, [(load("t", "overwrite"), rows((2, "new")))])
            assert reader.execute("SELECT count(*) FROM t").fetchone() == (1,)

    def test_new_columns_and_missing_ones(self, place: Database) -> None:
        place.run(0, [(load("t", "overwrite"), rows((1, "old")))])
        wider = arrow_schema([("id", pa.int64()), ("price", pa.float64())])
        place.run(1, [(load("t", "overwrite", wider), arrow_table(wider, [[2], [0.5]]))])
        assert place.sql("SELECT id, name, price FROM t") == [(2, None, 0.5)]

    def test_partitioned_tables_are_refilled(self, place: Database) -> None:
        place.sql("CREATE TABLE t (id bigint, name text) PARTITION BY RANGE (id)")
        place.sql("CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (10)")
        place.run(1, [(load("t", "overwrite"), rows((1, "a")))])
        place.run(2, [(load("t"), rows((2, "b")))])
        assert place.pairs("t") == [(1, "a"), (2, "b")]
        with pytest.raises(FatalError, match="no partition"):
            place.run(3, [(load("t"), rows((99, "x")))])
