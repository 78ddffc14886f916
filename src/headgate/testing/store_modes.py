"""What a store promises of modes that look at what is there: partitions, intervals, merges, histories."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from headgate.core.contracts import EVERY, Between, Capability, History, Rescue
from headgate.core.errors import Code, FatalError
from headgate.core.events import Emitter
from headgate.core.runs import TableCommit
from headgate.testing.histories import OPEN, Change, Version, loaded
from headgate.testing.place import IDS, Place, load, record, rows, stage
from headgate.testing.rows import arrow_schema, arrow_table, values

MARKER = "_hg_d0"
MARKED = arrow_schema([("id", pa.int64()), ("name", pa.string()), (MARKER, pa.bool_())])
DAYS = arrow_schema([("day", pa.date32()), ("id", pa.int64())])
START = date(2024, 1, 1)
END = date(9999, 12, 31)


def day(number: int) -> date:
    return END if number == OPEN else START + timedelta(days=number)


def number_of(found: Any) -> int:
    moment = found.date() if isinstance(found, datetime) else found
    return OPEN if moment == END else (moment - START).days


def counted(commit: TableCommit) -> tuple[int, int, int, int]:
    return commit.inserted, commit.updated, commit.deleted, commit.unchanged


def marked(*triples: tuple[int | None, str | None, bool | None]) -> pa.Table:
    return arrow_table(MARKED, [list(column) for column in zip(*triples, strict=True)] or [[], [], []])


HISTORY = arrow_schema(
    [
        ("key", pa.int64()),
        ("a", pa.string()),
        ("b", pa.float64()),
        ("other", pa.string()),
        ("valid_from", pa.date32()),
        ("valid_to", pa.date32()),
        ("is_current", pa.bool_()),
        ("version", pa.int64()),
        (MARKER, pa.bool_()),
    ]
)
VERSIONED = History(track=("a", "b"))


def changes_table(changes: Sequence[Change]) -> pa.Table:
    return arrow_table(
        HISTORY,
        [
            [change.key for change in changes],
            [change.values[0] for change in changes],
            [change.values[1] for change in changes],
            [change.other for change in changes],
            [day(change.since) for change in changes],
            [END] * len(changes),
            [True] * len(changes),
            [1] * len(changes),
            [change.deleted for change in changes],
        ],
    )


def versioned(**options: Any) -> Any:
    return load("h", "scd2", HISTORY, keys=("key",), history=VERSIONED, marker=MARKER, **options)


def versions_in(place: Place, table: str = "h") -> list[Version]:
    """What a table of versions holds; also checks that it says itself which are current."""
    found = []
    for row in place.rows(table).to_pylist():
        version = Version(
            row["key"], number_of(row["valid_from"]), number_of(row["valid_to"]), row["version"],
            (row["a"], row["b"]), row["other"],
        )  # fmt: skip
        assert bool(row["is_current"]) == version.current
        found.append(version)
    return sorted(found, key=repr)


class ModeContract:
    """``capabilities``: what the store's module says in ``MODES``; ``instants``: it holds times with a zone."""

    capabilities: ClassVar[frozenset[Capability]] = EVERY
    instants: ClassVar[bool] = True

    def _can(self, capability: Capability) -> None:
        if capability not in self.capabilities:
            pytest.skip(f"this store cannot {capability}")

    # ---------------------------------------------------------------------------- partitions and intervals

    def test_overwriting_partitions_leaves_the_others_alone(self, place: Place) -> None:
        self._can("overwrite partition")
        first = arrow_table(DAYS, [[day(0), day(1), day(1), None, None], [1, 2, 3, 4, 5]])
        again = arrow_table(DAYS, [[day(1), None, day(2)], [20, 40, 60]])
        mode = load("t", "overwrite", DAYS, partition=("day",))
        assert counted(place.run(1, [(mode, first)])[0]) == (5, 0, 0, 0)
        assert counted(place.run(2, [(mode, again)])[0]) == (3, 0, 4, 0)
        assert sorted(map(repr, place.rows("t")["id"].to_pylist())) == ["1", "20", "40", "60"]
        assert counted(place.run(3, [(mode, again)])[0]) == (3, 0, 3, 0)
        assert place.rows("t").num_rows == 4

    def test_partitions_of_several_columns_are_told_apart_with_their_nulls(self, place: Place) -> None:
        self._can("overwrite partition")
        schema = arrow_schema([("a", pa.int64()), ("b", pa.string()), ("id", pa.int64())])
        first = arrow_table(schema, [[1, 1, None, 1], ["x", None, "x", "y"], [1, 2, 3, 4]])
        again = arrow_table(schema, [[1, None], [None, "x"], [20, 30]])
        mode = load("t", "overwrite", schema, partition=("a", "b"))
        place.run(1, [(mode, first)])
        assert counted(place.run(2, [(mode, again)])[0]) == (2, 0, 2, 0)
        assert values(place.rows("t"), "id") == [1, 4, 20, 30]

    @pytest.mark.parametrize("kind", ["date", "timestamp", "instant"])
    def test_overwriting_an_interval_replaces_what_lies_in_it(self, place: Place, kind: str) -> None:
        self._can("overwrite interval")
        if kind == "instant" and not self.instants:
            pytest.skip("this store refuses times with a zone")
        type_: Any = {"date": pa.date32(), "timestamp": pa.timestamp("us"), "instant": pa.timestamp("us", "UTC")}[kind]
        schema = arrow_schema([("at", type_), ("id", pa.int64())])

        def table(*pairs: tuple[int | None, int]) -> pa.Table:
            at: Any = pa.array([None if n is None else day(n) for n, _ in pairs], pa.date32()).cast(pa.timestamp("us"))
            return pa.table({"at": at.cast(type_), "id": [id_ for _, id_ in pairs]}, schema)

        ends = [table((number, 0))["at"][0] for number in (1, 2)]
        within = load("t", "overwrite", schema, between=Between("at", ends[0], ends[1]))
        place.run(1, [(load("t", schema=schema), table((0, 1), (1, 2), (1, 3), (2, 4), (None, 5)))])
        assert counted(place.run(2, [(within, table((1, 20)))])[0]) == (1, 0, 2, 0)
        assert values(place.rows("t"), "id") == [1, 4, 5, 20]
        assert counted(place.run(3, [(within, table())])[0]) == (0, 0, 1, 0)
        assert values(place.rows("t"), "id") == [1, 4, 5]

    # ----------------------------------------------------------------------------------------------- merges

    def test_a_merge_inserts_updates_deletes_and_leaves_equal_rows_alone(self, place: Place) -> None:
        self._can("merge")
        merge = load("t", "merge", MARKED, keys=("id",), marker=MARKER)
        first = marked((1, "a", False), (2, "b", None), (3, None, False), (4, "d", False), (9, "never", True))
        assert counted(place.run(1, [(merge, first)])[0]) == (4, 0, 0, 0)
        assert place.rows("t").column_names == ["id", "name"]
        second = marked((1, "a", False), (2, "B", False), (3, None, False), (4, "x", True), (5, "e", False))
        assert counted(place.run(2, [(merge, second)])[0]) == (1, 1, 1, 2)
        assert place.pairs("t") == [(1, "a"), (2, "B"), (3, None), (5, "e")]
        assert counted(place.run(3, [(merge, second)])[0]) == (0, 0, 0, 4)

    def test_a_merge_deletes_what_a_full_read_no_longer_has(self, place: Place) -> None:
        self._can("merge")
        merge = load("t", "merge", keys=("id",), delete_missing=True)
        place.run(1, [(merge, rows((1, "a"), (2, "b"), (3, "c")))])
        assert counted(place.run(2, [(merge, rows((2, "b"), (3, "C"), (4, "d")))])[0]) == (1, 1, 1, 1)
        assert place.pairs("t") == [(2, "b"), (3, "C"), (4, "d")]
        assert counted(place.run(3, [(merge, rows())])[0]) == (0, 0, 3, 0)
        assert place.pairs("t") == []

    def test_a_merge_leaves_columns_alone_that_it_does_not_have(self, place: Place) -> None:
        self._can("merge")
        place.run(1, [(load("t"), rows((1, "a"), (2, "b"), (3, "c")))])
        wider = arrow_schema([("id", pa.int64()), ("price", pa.float64())])
        table = pa.table({"id": [2, 4], "price": [0.5, 1.5]}, wider)
        place.run(2, [(load("t", "merge", wider, keys=("id",)), table)])
        assert sorted(place.rows("t").select(["id", "name", "price"]).to_pylist(), key=lambda row: row["id"]) == [
            {"id": 1, "name": "a", "price": None},
            {"id": 2, "name": "b", "price": 0.5},
            {"id": 3, "name": "c", "price": None},
            {"id": 4, "name": None, "price": 1.5},
        ]

    @pytest.mark.parametrize("bad", [rows((1, "x"), (1, "y")), rows((1, "x"), (None, "y"))], ids=["twice", "null"])
    @pytest.mark.parametrize("mode", ["merge", "scd2"])
    def test_rows_without_a_key_of_their_own_are_not_merged(self, place: Place, mode: Any, bad: pa.Table) -> None:
        self._can(mode)
        place.run(1, [(load("t"), rows((1, "a")))])
        if mode == "merge":
            loads = [(load("t", mode, keys=("id",)), bad)]
        else:
            keys = bad["id"].to_pylist()
            loads = [(versioned(), changes_table([Change(key, 0, ("a", 1.0)) for key in keys]))]
        with pytest.raises(FatalError) as refusal:
            place.run(2, loads)
        assert refusal.value.code is Code.DUPLICATE_KEYS
        assert place.pairs("t") == [(1, "a")]
        assert place.published(2) is None

    @pytest.mark.parametrize("mode", ["upsert", "merge"])
    def test_not_a_number_is_a_key_like_any_other(self, place: Place, mode: Any) -> None:
        """Statistics of files leave NaN out, so that looking for it must not go by them."""
        self._can("merge")
        schema = arrow_schema([("k", pa.float64()), ("v", pa.string())])
        first = arrow_table(schema, [[0.0, math.nan], ["zero", "none"]])
        try:
            place.run(1, [(load("t", "append", schema), first)])
        except FatalError as refused:
            pytest.skip(f"this store has no NaN: {refused}")
        again = load("t", mode, schema, keys=("k",))
        (commit,) = place.run(2, [(again, arrow_table(schema, [[math.nan], ["new"]]))])
        assert counted(commit) == (0, 1, 0, 0)
        assert values(place.rows("t"), "v") == ["new", "zero"]

    def test_duplicates_are_counted_in_the_merged_table(self, place: Place) -> None:
        self._can("merge")
        place.run(1, [(load("t"), rows((1, "a"), (2, "b"), (3, "c")))])
        _, transaction = place.begin(place.store(), "run-2", 2)
        merge = load("t", "merge", keys=("id",), delete_missing=True)
        stage(transaction, [(merge, rows((1, "z"), (2, "z"), (5, "c")))])
        assert transaction.duplicates("t", ["name"]) == (2, 3)
        assert counted(transaction.counts()[0]) == (1, 2, 1, 0)
        transaction.rollback()
        assert place.pairs("t") == [(1, "a"), (2, "b"), (3, "c")]

    # --------------------------------------------------------------------------------------------- rescue

    def test_rows_that_a_constraint_rejects_become_dead_letters_in_the_same_commit(self, place: Place) -> None:
        self._can("rescue")
        place.run(1, [(load("t", "upsert", keys=("id",)), rows((1, "a"), (5, "e")))])
        table = rows(*((number, f"row {number}") for number in (2, 1, 3, 5, 4, 3, 6, 7, 8, 9)))
        rescue = load("t", rescue=Rescue("rejected", "run-2", "2024-01-15T00:00:00Z"))
        _, transaction = place.begin(place.store(), "run-2", 2)
        stage(transaction, [(rescue, table)])
        assert [(commit.inserted, commit.rejected) for commit in transaction.counts()] == [(7, 3)]
        transaction.rollback()
        assert place.store().describe("rejected") is None
        (commit,) = place.run(2, [(rescue, table)])
        assert (commit.inserted, commit.rejected) == (7, 3)
        assert place.pairs("t")[1:3] == [(2, "row 2"), (3, "row 3")]
        assert values(place.rows("t"), "id") == list(range(1, 10))
        letters = place.rows("rejected").to_pylist()
        assert sorted(json.loads(letter["payload"])["id"] for letter in letters) == [1, 3, 5]
        assert {(letter["run_id"], letter["table_name"]) for letter in letters} == {("run-2", "t")}
        assert all(letter["reason"] for letter in letters)
        assert counted(place.run(3, [(rescue, rows((20, "z")))])[0]) == (1, 0, 0, 0)

    # -------------------------------------------------------------------------------------------- histories

    def _loads(self, place: Place, *loads: Sequence[Change]) -> list[tuple[int, int, int, int]]:
        """Load changes, and the same again, which must change nothing; what each first load counted."""
        self._can("scd2")
        expected: list[Version] = []
        counts = []
        for number, changes in enumerate(loads, start=1):
            (commit,) = place.run(number, [(versioned(), changes_table(changes))])
            expected = loaded(expected, changes)
            assert versions_in(place) == sorted(expected, key=repr)
            counts.append(counted(commit))
            (again,) = place.run(f"{number}-again", [(versioned(), changes_table(changes))])
            assert (again.inserted, again.updated, again.deleted) == (0, 0, 0)
            assert versions_in(place) == sorted(expected, key=repr)
        return counts

    def test_a_history_gets_a_version_for_each_change_and_none_for_what_is_the_same(self, place: Place) -> None:
        counts = self._loads(
            place,
            [Change(1, 0, ("a", 1.0)), Change(2, 0, ("b", None)), Change(3, 0, (None, None))],
            [Change(1, 5, ("A", 1.0)), Change(2, 5, ("b", None), "untracked"), Change(4, 5, ("d", 4.0))],
            [Change(1, 9, ("a", 1.0)), Change(3, 9, (None, 0.0))],
        )
        assert counts == [(3, 0, 0, 0), (2, 1, 0, 1), (2, 2, 0, 0)]
        assert [v for v in versions_in(place) if v.key == 1] == [
            Version(1, 0, 5, 1, ("a", 1.0)),
            Version(1, 5, 9, 2, ("A", 1.0)),
            Version(1, 9, OPEN, 3, ("a", 1.0)),
        ]

    def test_a_deleted_key_is_closed_and_may_come_back(self, place: Place) -> None:
        counts = self._loads(
            place,
            [Change(1, 0, ("a", 1.0)), Change(2, 0, ("b", 2.0)), Change(9, 0, ("never", None), deleted=True)],
            [Change(1, 3, (None, None), deleted=True)],
            [Change(1, 7, ("a", 1.0))],
        )
        assert counts[1:] == [(0, 0, 1, 0), (1, 0, 0, 0)]
        assert [v for v in versions_in(place) if v.key == 1] == [
            Version(1, 0, 3, 1, ("a", 1.0)),
            Version(1, 7, OPEN, 2, ("a", 1.0)),
        ]

    def test_late_changes_find_their_place_and_move_their_neighbours(self, place: Place) -> None:
        self._loads(
            place,
            [Change(1, 10, ("a", 1.0)), Change(2, 10, ("a", 1.0)), Change(3, 10, ("a", 1.0))],
            [Change(1, 20, ("b", 1.0)), Change(2, 20, ("b", 1.0)), Change(3, 15, ("gone", None), deleted=True)],
            [Change(1, 15, ("c", 1.0)), Change(2, 15, ("b", 1.0)), Change(3, 12, ("z", 1.0))],
            [Change(1, 5, ("first", 1.0)), Change(2, 10, ("corrected", 1.0)), Change(3, 14, ("z", 1.0))],
        )

    def test_several_versions_of_a_key_come_in_one_load_in_the_order_of_their_time(self, place: Place) -> None:
        self._loads(
            place,
            [Change(1, 9, ("c", 1.0)), Change(1, 3, ("a", 1.0)), Change(1, 6, ("a", 1.0)), Change(2, 1, ("x", 0.0))],
            [
                Change(1, 12, ("c", 1.0)),
                Change(1, 11, ("d", 1.0)),
                Change(1, 13, ("c", 1.0), deleted=True),
                Change(2, 2, ("y", 0.0)),
            ],
        )

    def test_keys_that_a_full_read_no_longer_has_are_closed(self, place: Place) -> None:
        self._can("scd2")
        first = [Change(1, 0, ("a", 1.0)), Change(2, 0, ("b", 2.0)), Change(3, 0, ("c", 3.0))]
        whole = versioned(delete_missing=True, moment=pa.scalar(day(8), pa.date32()))
        place.run(1, [(versioned(), changes_table(first))])
        (commit,) = place.run(2, [(whole, changes_table([Change(1, 0, ("a", 1.0)), Change(2, 5, ("B", 2.0))]))])
        assert counted(commit) == (1, 1, 1, 1)
        assert versions_in(place) == sorted(
            [
                Version(1, 0, OPEN, 1, ("a", 1.0)),
                Version(2, 0, 5, 1, ("b", 2.0)),
                Version(2, 5, OPEN, 2, ("B", 2.0)),
                Version(3, 0, 8, 1, ("c", 3.0)),
            ],
            key=repr,
        )
        later = versioned(delete_missing=True, moment=pa.scalar(day(9), pa.date32()))
        again = changes_table([Change(1, 0, ("a", 1.0)), Change(2, 5, ("B", 2.0))])
        assert counted(place.run(3, [(later, again)])[0]) == (0, 0, 0, 2)

    def test_a_history_grows_columns(self, place: Place) -> None:
        self._can("scd2")
        narrow = HISTORY.remove(HISTORY.get_field_index("other"))
        before = changes_table([Change(1, 0, ("a", 1.0)), Change(2, 0, ("b", 1.0))]).select(narrow.names)
        place.run(1, [(load("h", "scd2", narrow, keys=("key",), history=VERSIONED, marker=MARKER), before)])
        place.run(2, [(versioned(), changes_table([Change(1, 4, ("A", 1.0), "new"), Change(2, 0, ("c", 1.0), "x")]))])
        assert versions_in(place) == [
            Version(1, 0, 4, 1, ("a", 1.0)),
            Version(1, 4, OPEN, 2, ("A", 1.0), "new"),
            Version(2, 0, OPEN, 1, ("c", 1.0), "x"),
        ]

    @pytest.mark.parametrize("mode", ["partition", "interval", "merge", "scd2"])
    def test_parked_loads_of_every_mode_are_published_later(self, place: Place, mode: str) -> None:
        loads = self._parkable(mode)
        claim, transaction = place.begin(place.store(), "run-1", 1, durable=True)
        stage(transaction, [loads])
        transaction.park(record(claim))
        store = place.store()
        claim = store.claim(claim.key, "run-2", claim.execution_id)
        found = store.resume(claim, "run-1", Emitter(), place.folder())
        assert found is not None
        assert [commit.inserted for commit in found[0].counts()] == [loads[1].num_rows]
        found[0].publish(record(claim))
        assert place.rows(loads[0].table).num_rows == loads[1].num_rows

    def _parkable(self, mode: str) -> tuple[Any, pa.Table]:
        match mode:
            case "partition":
                self._can("overwrite partition")
                return load("t", "overwrite", IDS, partition=("name",)), rows((1, "a"), (2, None))
            case "interval":
                self._can("overwrite interval")
                between = Between("day", pa.scalar(day(0), pa.date32()), pa.scalar(day(2), pa.date32()))
                return load("t", "overwrite", DAYS, between=between), arrow_table(DAYS, [[day(1)], [1]])
            case "merge":
                self._can("merge")
                return load("t", "merge", MARKED, keys=("id",), marker=MARKER), marked((1, "a", False))
            case _:
                self._can("scd2")
                return versioned(), changes_table([Change(1, 0, ("a", 1.0))])
