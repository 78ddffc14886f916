"""What every source of tables must do. A connector's test subclasses :class:`SourceContract` and gives ``place``."""

from __future__ import annotations

import json
from typing import Any, ClassVar, Protocol

import pyarrow as pa
import pytest

from headgate.core.contracts import Interval, ReadContext, Source, Window
from headgate.core.errors import Code, FatalError
from headgate.core.models import ReadOptions
from headgate.testing.rows import arrow_schema, arrow_table, multiset, read_all, values
from headgate.testing.store_loads import HOSTILE

SCHEMA = arrow_schema([("id", pa.int64()), ("name", pa.string()), ("version", pa.int64())])


class SourcePlace(Protocol):
    """A system that a source reads: how to open it, and how others write to it meanwhile."""

    def open(self) -> Source:
        """A new source on the same system; the contract closes it."""

    def create(self, table: str, schema: pa.Schema) -> None:
        """An empty table. Types are int64 and string."""

    def insert(self, table: str, rows: pa.Table) -> None:
        """Add rows, committed when it returns."""

    def read(self, table: str, **options: Any) -> ReadOptions:
        """The connector's own ``Read`` for a table."""

    def context(self, **options: Any) -> ReadContext: ...


def rows(*triples: tuple[int, str, int]) -> pa.Table:
    columns: list[Any] = list(zip(*triples, strict=True)) if triples else [(), (), ()]
    return arrow_table(SCHEMA, columns)


def new_rows(place: SourcePlace, read: ReadOptions, since: Any) -> tuple[pa.Table | None, Any]:
    """What a run reads, and the position after it; (None, since) when there is nothing new."""
    source = place.open()
    try:
        window = source.probe(read, place.context(), since)
        if window is None or window.idle:
            return None, since
        return read_window(source, place, read, window)
    finally:
        source.close()


def read_window(source: Source, place: SourcePlace, read: ReadOptions, window: Window) -> tuple[pa.Table, Any]:
    scan = source.scan(read, place.context(), window)
    table = read_all(scan)
    return table, scan.position() if scan.position else window.high


class SourceContract:
    """All that a source of tables promises.

    Attributes:
        incremental: the source can read what is new by a cursor column.
        compared: the source has the modes snapshot and delta.
        largest_batch: rows in a batch when ``batch_size`` is 100; a source that bounds bytes says its own number.
    """

    incremental: ClassVar[bool] = True
    compared: ClassVar[bool] = True
    largest_batch: ClassVar[int] = 100

    @pytest.fixture
    def place(self) -> SourcePlace:
        raise NotImplementedError("say in the subclass what is read")

    def test_it_says_what_answered_and_what_there_is(self, place: SourcePlace) -> None:
        place.create("orders", SCHEMA)
        place.create("lines", SCHEMA)
        source = place.open()
        assert source.test()
        assert {"orders", "lines"} <= {name.rpartition(".")[2] for name in source.tables()}
        source.close()
        source.close()

    def test_schema_and_scan_agree(self, place: SourcePlace) -> None:
        place.create("orders", SCHEMA)
        place.insert("orders", rows((1, "a", 1), (2, "b", 2)))
        source, read = place.open(), place.read("orders")
        schema = source.schema(read, place.context(), None)
        window = source.probe(read, place.context(), None)
        assert window is not None
        scan = source.scan(read, place.context(), window)
        assert scan.batches is not None
        assert scan.schema.raw.equals(schema.raw)
        assert scan.batches.schema.equals(schema.raw)
        assert dict(scan.schema.casts) == dict(schema.casts)
        assert multiset(read_all(scan)) == multiset(rows((1, "a", 1), (2, "b", 2)))
        source.close()

    def test_batches_are_bounded(self, place: SourcePlace) -> None:
        place.create("orders", SCHEMA)
        place.insert("orders", rows(*((number, "x" * 50, number) for number in range(1050))))
        source, read, context = place.open(), place.read("orders"), place.context(batch_size=100)
        window = source.probe(read, context, None)
        assert window is not None
        scan = source.scan(read, context, window)
        assert scan.batches is not None
        sizes = [batch.num_rows for batch in scan.batches]
        scan.close()
        scan.close()
        source.close()
        assert sum(sizes) == 1050
        assert max(sizes) <= self.largest_batch

    def test_a_scan_can_be_left_in_the_middle(self, place: SourcePlace) -> None:
        place.create("orders", SCHEMA)
        place.insert("orders", rows(*((number, "x", number) for number in range(1000))))
        source, read, context = place.open(), place.read("orders"), place.context(batch_size=100)
        window = source.probe(read, context, None)
        assert window is not None
        scan = source.scan(read, context, window)
        assert scan.batches is not None
        scan.batches.read_next_batch()
        scan.close()
        source.close()
        place.insert("orders", rows((5000, "still writable", 5000)))

    def test_an_empty_table_gives_its_columns_and_no_rows(self, place: SourcePlace) -> None:
        place.create("orders", SCHEMA)
        found, _ = new_rows(place, place.read("orders"), None)
        assert found is not None
        assert (found.column_names, found.num_rows) == (SCHEMA.names, 0)

    def test_an_unknown_table_is_named_with_the_nearest_known(self, place: SourcePlace) -> None:
        place.create("orders", SCHEMA)
        source = place.open()
        for ask in (source.schema, source.probe):
            with pytest.raises(FatalError) as refusal:
                ask(place.read("ordres", **self._by_version()), place.context(), None)
            assert refusal.value.code is Code.TABLE_NOT_FOUND
            assert "orders" in refusal.value.hint
        source.close()

    def test_columns_and_where_choose_rows(self, place: SourcePlace) -> None:
        place.create("orders", SCHEMA)
        place.insert("orders", rows((1, "a", 1), (2, "b", 2), (3, "it's", 3)))
        read = place.read("orders", columns=("version", "id"), where="id > 1 OR name = 'a' AND id = 7")
        found, _ = new_rows(place, read, None)
        assert found is not None
        assert found.column_names == ["version", "id"]
        assert values(found, "id") == [2, 3]

    def test_a_condition_about_no_column_is_a_mistake_in_the_configuration(self, place: SourcePlace) -> None:
        place.create("orders", SCHEMA)
        place.insert("orders", rows((1, "a", 1)))
        with pytest.raises(FatalError, match="nmae") as refusal:
            new_rows(place, place.read("orders", where="nmae = 'a'"), None)
        assert refusal.value.code is Code.PLAN_INVALID
        assert refusal.value.hint

    @pytest.mark.parametrize("name", HOSTILE)
    def test_hostile_names_are_only_names(self, place: SourcePlace, name: str) -> None:
        schema = arrow_schema([("id", pa.int64()), (name, pa.string()), ("version", pa.int64())])
        place.create(name, schema)
        place.insert(name, rows((1, "x", 1)).rename_columns(schema.names))
        found, since = new_rows(place, place.read(name, **self._by_version()), None)
        assert found is not None
        assert found.column_names == schema.names
        assert found[name].to_pylist() == ["x"]
        if self.incremental:
            assert new_rows(place, place.read(name, **self._by_version()), since)[0] is None

    def test_the_watermark_belongs_to_source_and_filter(self, place: SourcePlace) -> None:
        place.create("orders", SCHEMA)
        source = place.open()
        plain = source.identity(place.read("orders", **self._by_version()))
        filtered = source.identity(place.read("orders", where="id > 1", **self._by_version()))
        again = source.identity(place.read("orders", **self._by_version(), max_records=5))
        source.close()
        assert plain == again
        assert plain[0] == filtered[0]
        assert plain[1] != filtered[1]

    def test_a_run_reads_what_no_run_before_it_read(self, place: SourcePlace) -> None:
        self._needs_incremental()
        place.create("orders", SCHEMA)
        place.insert("orders", rows((1, "a", 1), (2, "b", 2)))
        read = place.read("orders", **self._by_version())
        first, since = new_rows(place, read, None)
        assert first is not None
        assert values(first, "id") == [1, 2]
        assert new_rows(place, read, since) == (None, since)
        place.insert("orders", rows((3, "tie", 2), (4, "new", 9)))
        second, since = new_rows(place, read, since)
        assert second is not None
        assert values(second, "id") == [3, 4]
        assert new_rows(place, read, since)[0] is None

    def test_what_tells_rows_apart_is_there_and_read_which_a_plan_finds_out(self, place: SourcePlace) -> None:
        self._needs_incremental()
        place.create("orders", SCHEMA)
        source = place.open()
        for names, lacking in (({"key": "idd"}, "idd"), ({"column": "versoin"}, "versoin")):
            read = place.read("orders", mode="incremental", incremental={"column": "version", "key": "id", **names})
            with pytest.raises(FatalError, match=lacking) as refusal:
                source.schema(read, place.context(), None)
            assert refusal.value.code in (Code.SCHEMA_MISMATCH, Code.PLAN_INVALID)
        for left_out in ("id", "version"):
            read = place.read(
                "orders", columns=sorted({*SCHEMA.names} - {left_out}), max_records=3, **self._by_version()
            )
            with pytest.raises(FatalError, match=f'"{left_out}" is needed') as refusal:
                source.schema(read, place.context(), None)
            assert refusal.value.code is Code.PLAN_INVALID
        source.close()

    def test_rows_that_come_between_probe_and_scan_are_read_once(self, place: SourcePlace) -> None:
        self._needs_incremental()
        place.create("orders", SCHEMA)
        place.insert("orders", rows((1, "a", 1), (2, "b", 2)))
        read, source = place.read("orders", **self._by_version()), place.open()
        window = source.probe(read, place.context(), None)
        assert window is not None
        place.insert("orders", rows((3, "late tie", 2), (4, "late", 3)))
        first, since = read_window(source, place, read, window)
        source.close()
        second, since = new_rows(place, read, since)
        later = values(second, "id") if second is not None else []
        assert sorted(values(first, "id") + later) == [1, 2, 3, 4]
        assert new_rows(place, read, since)[0] is None

    def test_a_cap_leaves_the_rest_for_the_next_run(self, place: SourcePlace) -> None:
        self._needs_incremental()
        place.create("orders", SCHEMA)
        place.insert("orders", rows(*((number, "x", number // 4) for number in range(10))))
        read = place.read("orders", max_records=3, **self._by_version())
        since: Any = None
        delivered: list[int] = []
        for _ in range(4):
            found, since = new_rows(place, read, since)
            assert found is not None
            assert found.num_rows <= 3
            delivered += values(found, "id")
        assert sorted(delivered) == list(range(10))
        assert new_rows(place, read, since)[0] is None

    def test_an_empty_first_run_finds_what_comes_later(self, place: SourcePlace) -> None:
        self._needs_incremental()
        place.create("orders", SCHEMA)
        read = place.read("orders", **self._by_version())
        _, since = new_rows(place, read, None)
        place.insert("orders", rows((1, "a", 1)))
        found, _ = new_rows(place, read, since)
        assert found is not None
        assert found["id"].to_pylist() == [1]

    def test_snapshots_are_told_apart_by_their_date(self, place: SourcePlace) -> None:
        self._needs_comparing()
        place.create("orders", SCHEMA)
        place.insert("orders", rows((1, "a", 1)))
        source, read = place.open(), place.read("orders", mode="snapshot")
        windows = []
        for day in ("2024-01-01", "2024-01-02"):
            context = place.context(interval=Interval(day, f"{day}T23:59:59"))
            window = source.probe(read, context, None)
            assert window is not None
            windows.append(window.identity)
            found = read_all(source.scan(read, context, window))
            assert [(str(row["_snapshot"]), row["id"]) for row in found.to_pylist()] == [(day, 1)]
            assert source.probe(read, context, window.high) == window, "the same date is the same snapshot"
        source.close()
        assert windows[0] != windows[1]

    def test_a_comparison_tells_what_was_inserted_updated_and_deleted(self, place: SourcePlace) -> None:
        self._needs_comparing()
        for name in ("before", "after"):
            place.create(name, SCHEMA)
        place.insert("before", rows((1, "same", 1), (2, "old", 1), (3, "gone", 1)))
        place.insert("after", rows((1, "same", 1), (2, "new", 2), (4, "fresh", 1)))

        def changes(table: str, since: Any) -> tuple[list[tuple[Any, ...]], Any]:
            found, position = new_rows(place, place.read(table, mode="delta", key="id"), since)
            assert found is not None
            return sorted(tuple(row.values()) for row in found.to_pylist()), position

        first, since = changes("before", None)
        assert [row[:2] for row in first] == [("insert", 1), ("insert", 2), ("insert", 3)]
        second, since = changes("after", json.loads(json.dumps(since)))
        assert second == [("delete", 3, None, None), ("insert", 4, "fresh", 1), ("update", 2, "new", 2)]
        assert changes("after", since)[0] == []

    def test_a_comparison_is_for_no_date_as_the_next_run_would_not_know_of_it(self, place: SourcePlace) -> None:
        self._needs_comparing()
        place.create("orders", SCHEMA)
        source, context = place.open(), place.context(interval=Interval("2024-01-01", "2024-01-02"))
        with pytest.raises(FatalError, match="since the last run") as refusal:
            source.probe(place.read("orders", mode="delta", key="id"), context, None)
        source.close()
        assert (refusal.value.code, refusal.value.hint) == (Code.UNSUPPORTED, "leave --date, --start and --end out")

    def test_a_comparison_needs_keys_that_tell_rows_apart(self, place: SourcePlace) -> None:
        self._needs_comparing()
        place.create("orders", SCHEMA)
        place.insert("orders", rows((1, "a", 1), (1, "b", 2)))
        for key, code in (("id", Code.DUPLICATE_KEYS), ("idd", Code.PLAN_INVALID)):
            with pytest.raises(FatalError) as refusal:
                new_rows(place, place.read("orders", mode="delta", key=key), None)
            assert refusal.value.code is code

    def _needs_comparing(self) -> None:
        if not self.compared:
            pytest.skip("this source has no snapshots and comparisons")

    def _by_version(self) -> dict[str, Any]:
        if not self.incremental:
            return {}
        return {"mode": "incremental", "incremental": {"column": "version", "key": "id"}}

    def _needs_incremental(self) -> None:
        if not self.incremental:
            pytest.skip("this source always reads everything")
