# ruff: noqa: PT017 - a contract suite is a test
"""What a store promises of rows: modes, counts, visibility, schemas, names."""

from __future__ import annotations

import os
from typing import ClassVar

import pyarrow as pa
import pytest

from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError
from headgate.testing.place import IDS, KEY, OTHER, Place, fork, load, record, rows, stage
from headgate.testing.rows import arrow_schema, multiset, values

HOSTILE = ('a"b; drop table x', "it's", "with space", "naïve – ☃", "select", "100%s", "q?", ":name", "{brace}", "$1")


class LoadContract:
    modes: ClassVar[frozenset[str]] = frozenset({"append", "overwrite", "upsert"})

    def test_append_adds_rows_and_counts_them(self, place: Place) -> None:
        first = place.run(1, [(load("t"), rows((1, "a"), (2, None)))])
        second = place.run(2, [(load("t"), rows((2, "b"), (3, "c"), (4, "d")))])
        assert [(commit.table, commit.inserted, commit.updated, commit.deleted) for commit in first + second] == [
            ("t", 2, 0, 0),
            ("t", 3, 0, 0),
        ]
        assert place.pairs("t") == sorted([(1, "a"), (2, None), (2, "b"), (3, "c"), (4, "d")], key=repr)

    def test_overwrite_replaces_every_row(self, place: Place) -> None:
        place.run(1, [(load("t", "overwrite"), rows((1, "a"), (2, "b")))])
        (commit,) = place.run(2, [(load("t", "overwrite"), rows((3, "c")))])
        assert (commit.inserted, commit.updated, commit.deleted) == (1, 0, 2)
        assert place.pairs("t") == [(3, "c")]

    def test_a_reader_beside_overwrites_never_sees_an_empty_or_half_table(self, place: Place) -> None:
        """Whatever moment a reader comes at: all rows are there, and all of one run."""

        def version(number: int) -> pa.Table:
            return rows(*((id_, f"run {number}") for id_ in range(100)))

        place.run(0, [(load("t", "overwrite"), version(0))])

        def overwrite() -> None:
            for number in range(1, 5):
                place.run(number, [(load("t", "overwrite"), version(number))])

        child, seen = fork(overwrite), set()
        ended, status = os.waitpid(child, os.WNOHANG)
        while not ended:
            found = place.rows("t")
            assert found.num_rows == 100
            names = set(found["name"].to_pylist())
            assert len(names) == 1, f"rows of several runs: {names}"
            seen |= names
            ended, status = os.waitpid(child, os.WNOHANG)
        assert os.waitstatus_to_exitcode(status) == 0
        assert seen
        assert set(place.rows("t")["name"].to_pylist()) == {"run 4"}

    def test_upsert_updates_what_matches_and_inserts_the_rest(self, place: Place) -> None:
        self._needs("upsert")
        upsert = load("t", "upsert", keys=("id",))
        place.run(1, [(upsert, rows((1, "a"), (2, "b"), (3, "c")))])
        (commit,) = place.run(2, [(upsert, rows((2, "B"), (4, "d"), (3, None)))])
        assert (commit.inserted, commit.updated, commit.deleted) == (1, 2, 0)
        assert place.pairs("t") == [(1, "a"), (2, "B"), (3, None), (4, "d")]

    def test_an_upsert_of_keys_alone_inserts_the_new_ones(self, place: Place) -> None:
        self._needs("upsert")
        schema = arrow_schema([("id", pa.int64())])
        upsert = load("t", "upsert", schema, keys=("id",))
        place.run(1, [(upsert, pa.table({"id": [1, 2]}, schema))])
        (commit,) = place.run(2, [(upsert, pa.table({"id": [2, 3]}, schema))])
        assert (commit.inserted, commit.updated) == (1, 1)
        assert values(place.rows("t"), "id") == [1, 2, 3]

    @pytest.mark.parametrize("bad", [rows((1, "x"), (1, "y")), rows((1, "x"), (None, "y"))], ids=["twice", "null"])
    def test_null_and_repeated_merge_keys_are_refused(self, place: Place, bad: pa.Table) -> None:
        self._needs("upsert")
        upsert = load("t", "upsert", keys=("id",))
        place.run(1, [(upsert, rows((1, "a")))])
        with pytest.raises(FatalError) as refusal:
            place.run(2, [(upsert, bad)])
        assert refusal.value.code is Code.DUPLICATE_KEYS
        assert place.pairs("t") == [(1, "a")]
        assert place.published(2) is None

    def test_several_tables_become_visible_in_one_publish(self, place: Place) -> None:
        store = place.store()
        claim, transaction = place.begin(store)
        stage(transaction, [(load("a"), rows((1, "a"))), (load("b"), rows((2, "b")))])
        assert place.pairs("a") == place.pairs("b") == []
        assert {commit.table: commit.inserted for commit in transaction.counts()} == {"a": 1, "b": 1}
        assert place.pairs("a") == place.pairs("b") == []
        assert {commit.table for commit in transaction.publish(record(claim))} == {"a", "b"}
        assert (place.pairs("a"), place.pairs("b")) == ([(1, "a")], [(2, "b")])
        assert sorted(place.store().tables()) == ["a", "b"]

    @pytest.mark.parametrize("mode", ["append", "overwrite", "upsert"])
    def test_nothing_is_visible_before_publish_nor_after_rollback(self, place: Place, mode: str) -> None:
        self._needs(mode)
        keys = ("id",) if mode == "upsert" else ()
        place.run(1, [(load("t", mode, keys=keys), rows((1, "a")))])
        _, transaction = place.begin(place.store(), "run-2", 2)
        stage(transaction, [(load("t", mode, keys=keys), rows((1, "x"), (2, "b"))), (load("new"), rows((9, "z")))])
        assert place.pairs("t") == [(1, "a")]
        transaction.rollback()
        transaction.rollback()
        assert place.pairs("t") == [(1, "a")]
        assert place.store().describe("new") is None
        assert place.published(2) is None

    def test_a_load_of_no_rows_commits(self, place: Place) -> None:
        (commit,) = place.run(1, [(load("t"), rows())])
        assert (commit.inserted, commit.updated, commit.deleted) == (0, 0, 0)
        assert place.rows("t").num_rows == 0
        assert place.published(1) is not None
        assert place.run(2, []) == []
        assert place.published(2) is not None

    def test_new_columns_are_added_and_missing_ones_are_null(self, place: Place) -> None:
        place.run(1, [(load("t"), rows((1, "a")))])
        wider = arrow_schema([("id", pa.int64()), ("price", pa.float64())])
        place.run(2, [(load("t", schema=wider), pa.table({"id": [2], "price": [0.5]}, wider))])
        found = place.rows("t")
        assert sorted(found.column_names) == ["id", "name", "price"]
        assert sorted(found.select(["id", "name", "price"]).to_pylist(), key=lambda row: row["id"]) == [
            {"id": 1, "name": "a", "price": None},
            {"id": 2, "name": None, "price": 0.5},
        ]
        place.run(3, [(load("t"), rows((3, "c")))])
        assert "price" in place.rows("t").column_names

    def test_a_frozen_table_refuses_new_columns(self, place: Place) -> None:
        place.run(1, [(load("t"), rows((1, "a")))])
        wider = IDS.append(pa.field("price", pa.float64()))
        table = pa.table({"id": [2], "name": ["b"], "price": [0.5]}, wider)
        with pytest.raises(FatalError) as refusal:
            place.run(2, [(load("t", schema=wider, evolve=False), table)])
        assert refusal.value.code is Code.SCHEMA_MISMATCH
        assert "price" in str(refusal.value)
        assert place.rows("t").column_names == ["id", "name"]

    def test_a_change_of_type_that_would_lose_is_refused(self, place: Place) -> None:
        place.run(1, [(load("t"), rows((1, "a")))])
        other = arrow_schema([("id", pa.string()), ("name", pa.string())])
        with pytest.raises(FatalError) as refusal:
            place.run(2, [(load("t", schema=other), pa.table({"id": ["x"], "name": ["b"]}, other))])
        assert refusal.value.code is Code.SCHEMA_MISMATCH
        assert "id" in str(refusal.value)
        assert place.pairs("t") == [(1, "a")]

    def test_a_narrower_type_fits_into_a_wider_column(self, place: Place) -> None:
        place.run(1, [(load("t"), rows((1, "a")))])
        narrow = arrow_schema([("id", pa.int32()), ("name", pa.string())])
        place.run(2, [(load("t", schema=narrow), pa.table({"id": [2], "name": ["b"]}, narrow))])
        assert place.pairs("t") == [(1, "a"), (2, "b")]

    def test_an_absent_table_is_not_created_unless_allowed(self, place: Place) -> None:
        with pytest.raises(FatalError) as refusal:
            place.run(1, [(load("t", create=False), rows((1, "a")))])
        assert refusal.value.code is Code.TABLE_NOT_FOUND
        assert place.store().tables() == []

    @pytest.mark.parametrize("name", HOSTILE)
    def test_hostile_names_are_only_names(self, place: Place, name: str) -> None:
        place.run(1, [(load("canary"), rows((1, "alive")))])
        schema = arrow_schema([("id", pa.int64()), (name, pa.string())])
        wanted = pa.table({"id": [1, 2], name: ["x", None]}, schema)
        try:
            place.run(2, [(load(name, schema=schema), wanted)])
            self._upsert_again(place, name, schema)
        except FatalError as refusal:
            assert refusal.code is Code.UNSUPPORTED, refusal
        else:
            assert multiset(place.rows(name)) == multiset(wanted)
            info = place.store().describe(name)
            assert info is not None
            assert info.schema.names == ["id", name]
        assert place.pairs("canary") == [(1, "alive")]

    def _upsert_again(self, place: Place, name: str, schema: pa.Schema) -> None:
        """The same name as a merge key, in a table of its own."""
        if "upsert" in self.modes:
            table = pa.table({"id": [1], name: ["k"]}, schema)
            for number in (3, 4):
                place.run(number, [(load(name + "2", "upsert", schema, keys=(name,)), table)])
            assert multiset(place.rows(name + "2")) == multiset(table)

    def test_names_of_the_ledger_are_not_for_users(self, place: Place) -> None:
        with pytest.raises(FatalError) as refusal:
            place.run(1, [(load("headgate_runs"), rows((1, "a")))])
        assert refusal.value.code in {Code.UNSUPPORTED, Code.CONFIG_INVALID, Code.PLAN_INVALID}
        place.run(2, [(load("t"), rows((1, "a")))])
        assert place.store().tables() == ["t"]

    def test_duplicates_are_counted_in_the_table_as_it_will_be(self, place: Place) -> None:
        place.run(1, [(load("t"), rows((1, "a"), (2, "b")))])
        _, transaction = place.begin(place.store(), "run-2", 2)
        stage(transaction, [(load("t"), rows((2, "c"), (3, "d"), (None, "e"), (None, "f")))])
        assert transaction.duplicates("t", ["id"]) == (2, 6)
        assert transaction.duplicates("t", ["id", "name"]) == (0, 6)
        transaction.rollback()
        _, transaction = place.begin(place.store(), "run-3", 3)
        stage(transaction, [(load("t", "overwrite"), rows((2, "c"), (5, "c"), (5, "c")))])
        assert transaction.duplicates("t", ["id"]) == (2, 3)
        assert transaction.duplicates("t", ["name"]) == (3, 3)
        transaction.rollback()
        if "upsert" in self.modes:
            _, transaction = place.begin(place.store(), "run-4", 4)
            stage(transaction, [(load("t", "upsert", keys=("id",)), rows((2, "a"), (9, "z")))])
            assert transaction.duplicates("t", ["name"]) == (2, 3)
            transaction.rollback()

    @pytest.mark.parametrize("mode", ["append", "upsert"])
    def test_two_pipelines_on_one_table_both_arrive_once(self, place: Place, mode: str) -> None:
        self._needs(mode)
        keys = ("id",) if mode == "upsert" else ()
        place.run(0, [(load("t", mode, keys=keys), rows((0, "first")))])
        one, two = place.store(), place.store()
        claim_one, first = place.begin(one, "run-1", 1)
        claim_two, second = place.begin(two, "run-2", 2, key=OTHER)
        stage(first, [(load("t", mode, keys=keys), rows((1, "one")))])
        stage(second, [(load("t", mode, keys=keys), rows((2, "two")))])
        first.publish(record(claim_one))
        try:
            second.publish(record(claim_two))
        except RetriableError as conflict:
            assert conflict.code is Code.CONFLICT
            second.rollback()
            assert place.pairs("t") == [(0, "first"), (1, "one")]
            place.run(2, [(load("t", mode, keys=keys), rows((2, "two")))], key=OTHER, run_id="run-3")
        assert place.pairs("t") == [(0, "first"), (1, "one"), (2, "two")]

    def test_forced_again_replaces_the_rows_of_the_run_or_is_refused(self, place: Place) -> None:
        place.run(1, [(load("t"), rows((1, "a")))])
        again = load("t", replaces="run-1")
        try:
            place.run(1, [(again, rows((1, "b")))], run_id="run-2", replaces="run-1")
        except HeadgateError as refusal:
            assert refusal.code is Code.UNSUPPORTED
            assert place.pairs("t") == [(1, "a")]
        else:
            assert place.pairs("t") == [(1, "b")]
        published = place.published(1, KEY)
        assert published is not None

    def _needs(self, mode: str) -> None:
        if mode not in self.modes:
            pytest.skip(f"this store does not {mode}")
