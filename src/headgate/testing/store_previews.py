# ruff: noqa: PT017 - a contract suite is a test
"""What a store that shows a table before the commit promises: it is what readers see after it, and nothing before."""

from __future__ import annotations

import signal
from typing import Any, ClassVar

import duckdb
import pyarrow as pa
import pytest

from headgate.core.contracts import Between, Capability, Previews, Rescue, Transaction
from headgate.core.errors import Code, FatalError, RetriableError
from headgate.core.events import Emitter
from headgate.testing.histories import Change
from headgate.testing.place import IDS, OTHER, Loads, Place, die, entry, in_child, load, record, rows, stage
from headgate.testing.rows import arrow_schema, arrow_table, cast_columns, multiset, read_all
from headgate.testing.store_modes import DAYS, MARKED, MARKER, changes_table, day, marked, versioned
from headgate.testing.store_quarantine import held_file
from headgate.testing.store_types import REFUSALS, TYPES, type_table

WAYS: dict[str, Capability] = {
    "append": "append",
    "overwrite": "overwrite",
    "partition": "overwrite partition",
    "interval": "overwrite interval",
    "upsert": "upsert",
    "merge": "merge",
    "missing": "merge",
    "scd2": "scd2",
    "rescue": "rescue",
}
"""Each way to load, and what a store must be able to do for it."""


PLACES = [("append", False), ("upsert", False), ("merge", False), ("scd2", False), ("append", True), ("merge", True)]
"""Ways to load into a table that is there, or (true) is not."""


def ways_to_load(way: str) -> tuple[Loads, Loads]:
    """What a table holds at first, and the load that is shown: it adds, changes, takes away and leaves alone."""
    three, two = rows((1, "a"), (2, "b"), (3, None)), rows((2, "c"), (4, None))
    match way:
        case "append":
            return [(load("t"), three)], [(load("t"), two)]
        case "overwrite":
            return [(load("t"), three)], [(load("t", "overwrite"), two)]
        case "partition":
            days = arrow_table(DAYS, [[day(0), day(1), None], [1, 2, 3]])
            again = arrow_table(DAYS, [[day(1), None, day(2)], [20, 30, 40]])
            return [(load("t", schema=DAYS), days)], [(load("t", "overwrite", DAYS, partition=("day",)), again)]
        case "interval":
            between = Between("day", pa.scalar(day(1), pa.date32()), pa.scalar(day(2), pa.date32()))
            days = arrow_table(DAYS, [[day(0), day(1), day(2), None], [1, 2, 3, 4]])
            again = arrow_table(DAYS, [[day(1)], [20]])
            return [(load("t", schema=DAYS), days)], [(load("t", "overwrite", DAYS, between=between), again)]
        case "upsert":
            upsert = load("t", "upsert", keys=("id",))
            return [(upsert, three)], [(upsert, two)]
        case "merge":
            merge = load("t", "merge", MARKED, keys=("id",), marker=MARKER)
            return [(load("t", "upsert", keys=("id",)), three)], [
                (merge, marked((1, "a", False), (2, "c", None), (3, None, True), (4, None, False)))
            ]
        case "missing":
            return [(load("t", "upsert", keys=("id",)), three)], [
                (load("t", "merge", keys=("id",), delete_missing=True), two)
            ]
        case "scd2":
            before = changes_table([Change(1, 0, ("a", 1.0)), Change(2, 0, ("b", 2.0)), Change(3, 0, ("c", 3.0))])
            after = [Change(1, 5, ("A", 1.0)), Change(2, 5, ("b", 2.0)), Change(3, 5, ("c", 3.0), deleted=True)]
            return [(versioned(), before)], [(versioned(), changes_table(after))]
        case _:
            rescue = Rescue("rejected", "run-2", "2024-01-15T00:00:00Z")
            return [(load("t", "upsert", keys=("id",)), three)], [(load("t", rescue=rescue), two)]


def shown(transaction: Transaction, table: str, schema: pa.Schema) -> pa.Table:
    """The table as rules see it: cells may be text, which is cast to the types of the plan."""
    assert isinstance(transaction, Previews), "its module says that it can"
    with duckdb.connect() as connection:
        types = connection.from_arrow(schema.empty_table()).types
    found = read_all(transaction.preview(table, schema.names))
    assert found.column_names == schema.names
    return cast_columns(found, dict(zip(schema.names, map(str, types), strict=True)))


def seen(place: Place, table: str, schema: pa.Schema) -> pa.Table:
    """What readers see, in the same types."""
    return place.rows(table).select(schema.names).cast(schema)


class PreviewContract:
    """For stores whose ``capabilities`` name ``preview``."""

    capabilities: ClassVar[frozenset[Capability]]
    documents: ClassVar[frozenset[str]]
    signed_zero: ClassVar[bool]

    def _loads_of(self, way: str) -> tuple[Loads, Loads]:
        for needed in ("preview", WAYS[way]):
            if needed not in self.capabilities:
                pytest.skip(f"this store cannot {needed}")
        return ways_to_load(way)

    @pytest.mark.parametrize("way", WAYS)
    def test_a_preview_shows_what_readers_see_after_the_commit(self, place: Place, way: str) -> None:
        first, second = self._loads_of(way)
        place.run(1, first)
        self._shown_and_published(place, second, beside=True)

    @pytest.mark.parametrize("way", WAYS)
    def test_a_preview_of_a_table_that_is_not_there_yet_shows_it(self, place: Place, way: str) -> None:
        _, loads = self._loads_of(way)
        self._shown_and_published(place, loads, beside=True)

    @pytest.mark.parametrize("way", WAYS)
    def test_a_preview_shows_columns_that_are_new(self, place: Place, way: str) -> None:
        first, ((how, table),) = self._loads_of(way)
        place.run(1, first)
        wider = arrow_schema([("price", pa.float64())]).field("price")
        prices: Any = pa.array([number + 0.5 for number in range(table.num_rows)], pa.float64())
        how = load(how.table, how.mode, how.schema.append(wider), **{
            name: getattr(how, name)
            for name in ("keys", "partition", "between", "marker", "delete_missing", "history", "moment", "rescue")
        })  # fmt: skip
        self._shown_and_published(place, [(how, table.append_column(wider, prices))], beside=False)

    def _shown_and_published(self, place: Place, loads: Loads, *, beside: bool) -> None:
        """``beside``: readers see the table as it was meanwhile; those of one whose columns change may have to wait."""
        ((how, _),) = loads
        before = self._now(place, how.table)
        claim, transaction = place.begin(place.store(), "run-2", 2)
        stage(transaction, loads)
        found = [shown(transaction, how.table, how.columns) for _ in range(2)]
        assert not beside or self._now(place, how.table) == before
        transaction.publish(record(claim))
        after = multiset(seen(place, how.table, how.columns))
        assert [multiset(table) for table in found] == [after, after]

    @pytest.mark.parametrize(("way", "new"), PLACES)
    def test_what_was_shown_and_is_not_published_was_never_there(self, place: Place, way: str, new: bool) -> None:
        first, second = self._loads_of(way)
        ((how, _),) = second
        if not new:
            place.run(1, first)
        before = self._now(place, how.table)
        _, transaction = place.begin(place.store(), "run-2", 2)
        stage(transaction, second)
        once = shown(transaction, how.table, how.columns)
        transaction.rollback()
        assert self._now(place, how.table) == before
        assert place.store().tables() == ([] if new else [how.table])
        _, transaction = place.begin(place.store(), "run-3", 3)
        stage(transaction, second)
        assert multiset(shown(transaction, how.table, how.columns)) == multiset(once)
        transaction.rollback()

    @pytest.mark.parametrize(("way", "new"), PLACES)
    def test_killed_amid_a_preview_nothing_of_it_stays_and_the_next_run_completes_it(
        self, place: Place, way: str, new: bool
    ) -> None:
        first, second = self._loads_of(way)
        ((how, _),) = second
        if not new:
            place.run(1, first)
        before = self._now(place, how.table)

        def killed() -> None:
            _, transaction = place.begin(place.open(), "run-2", 2)
            stage(transaction, second)
            shown(transaction, how.table, how.columns)
            assert isinstance(transaction, Previews)
            transaction.preview(how.table, how.columns.names)
            die()

        assert in_child(killed) == -signal.SIGKILL
        assert self._now(place, how.table) == before
        assert place.published(2) is None
        store = place.store()
        claim, transaction = place.begin(store, "run-3", 2)
        store.sweep(claim)
        stage(transaction, second)
        found = shown(transaction, how.table, how.columns)
        transaction.publish(record(claim))
        assert multiset(seen(place, how.table, how.columns)) == multiset(found)
        assert store.tables() == [how.table]

    def test_columns_that_the_table_lacks_are_null(self, place: Place) -> None:
        first, second = self._loads_of("append")
        place.run(1, first)
        _, transaction = place.begin(place.store(), "run-2", 2)
        stage(transaction, second)
        wider = arrow_schema([("price", pa.float64()), ("id", pa.int64())])
        assert multiset(shown(transaction, "t", wider)) == multiset(
            arrow_table(wider, [[None] * 5, [1, 2, 3, 2, 4]])
        )  # fmt: skip
        transaction.rollback()

    def test_rows_held_back_after_a_preview_are_in_the_same_commit(self, place: Place) -> None:
        first, second = self._loads_of("upsert")
        place.run(1, first)
        claim, transaction = place.begin(place.store(), "run-2", 2)
        stage(transaction, second)
        shown(transaction, "t", IDS)
        transaction.hold(entry("q1", "run-2"), held_file(place))
        (commit,) = transaction.counts()
        assert (commit.inserted, commit.updated) == (1, 1)
        transaction.publish(record(claim, quarantine=(entry("q1", "run-2"),)))
        (kept,) = place.store().quarantine(claim.key.project)
        assert sum(batch.num_rows for batch in place.store().held(kept)) == 2
        assert place.pairs("t") == [(1, "a"), (2, "c"), (3, None), (4, None)]

    @pytest.mark.parametrize("way", ["append", "merge", "scd2"])
    def test_what_was_shown_can_be_parked_and_published_later(self, place: Place, way: str) -> None:
        first, second = self._loads_of(way)
        ((how, _),) = second
        place.run(1, first)
        before = self._now(place, how.table)
        claim, transaction = place.begin(place.store(), "run-2", 2, durable=True)
        stage(transaction, second)
        found = shown(transaction, how.table, how.columns)
        transaction.park(record(claim))
        assert self._now(place, how.table) == before
        store = place.store()
        claim = store.claim(claim.key, "run-3", claim.execution_id)
        resumed = store.resume(claim, "run-2", Emitter(), place.folder())
        assert resumed is not None
        resumed[0].publish(record(claim))
        assert multiset(seen(place, how.table, how.columns)) == multiset(found)

    def test_a_newer_run_fences_one_that_was_shown_its_table_or_waits_for_it(self, place: Place) -> None:
        first, second = self._loads_of("merge")
        place.run(1, first)
        before = self._now(place, "t")
        claim, transaction = place.begin(place.store(), "run-2", 2)
        stage(transaction, second)
        shown(transaction, "t", IDS)
        try:
            place.store().claim(claim.key, "run-3", claim.execution_id)
        except RetriableError as kept_out:  # a file with one writer at a time
            assert kept_out.code is Code.CONFLICT
            transaction.publish(record(claim))
            assert self._now(place, "t") != before
            return
        with pytest.raises(FatalError) as refusal:
            transaction.publish(record(claim))
        assert refusal.value.code is Code.FENCED
        transaction.rollback()
        assert self._now(place, "t") == before

    def test_a_preview_has_what_another_pipeline_published_before(self, place: Place) -> None:
        first, second = self._loads_of("append")
        place.run(1, first)
        _, transaction = place.begin(place.store(), "run-2", 2)
        stage(transaction, second)
        place.run("other", [(load("t"), rows((9, "other")))], key=OTHER)
        assert (9, "other") in [tuple(row.values()) for row in shown(transaction, "t", IDS).to_pylist()]
        transaction.rollback()

    @pytest.mark.parametrize("name", TYPES)
    def test_values_are_shown_as_they_are_kept(self, place: Place, name: str) -> None:
        """In a table that is there and in one that is not, of which a store may know less."""
        self._loads_of("append")
        table = type_table(name)
        try:
            place.run(1, [(load("t", schema=table.schema), table)])
        except FatalError as refusal:
            assert refusal.code in REFUSALS, refusal
            return
        _, transaction = place.begin(place.store(), "run-2", 2)
        stage(transaction, [(load(each, schema=table.schema), table) for each in ("t", "new")])
        for each, wanted in (("t", pa.concat_tables([table, table])), ("new", table)):
            if name in self.documents:
                continue
            found = shown(transaction, each, table.schema).cast(table.schema)
            if name == "minus_zero" and not self.signed_zero:
                assert set(found["value"].to_pylist()) == {0.0, None}
            else:
                assert multiset(found) == multiset(wanted)
        transaction.rollback()

    def _now(self, place: Place, table: str) -> Any:
        """The table's rows as readers see them; None: there is none."""
        store = place.open()
        try:
            return None if store.describe(table) is None else multiset(read_all(store.reader(table)))
        finally:
            store.close()
