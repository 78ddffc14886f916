"""Versions that only end, or move, are changed where they are: a large file keeps its rows and most of its pages."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.core.contracts import Load
from headgate.core.errors import HeadgateError
from headgate.io import files
from headgate.lake import iceberg
from headgate.lake._iceberg import staging
from headgate.testing.histories import OPEN, Change, Version, loaded
from headgate.testing.place import Place, load
from headgate.testing.store_modes import HISTORY, VERSIONED, changes_table, counted, day, versioned, versions_in

FULL = 20
"""Rows of a full file: a quarter of them makes a large one."""
FIRST = [Change(key, 10, (f"a{key}", 1.0), "x") for key in range(10)]


@pytest.fixture(autouse=True)
def files_of_twenty_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "FILE_ROWS", FULL)


def data_files(root: Path) -> set[Path]:
    return set(root.rglob("data/*.parquet"))


def keys_in(path: Path) -> list[int]:
    return [int(row["key"]) for row in pq.read_table(path, columns=["key"]).to_pylist()]


def come_with(place: Place, root: Path, number: int, *changes: Change, what: Load | None = None) -> list[list[int]]:
    """The keys in each file that a load adds, in their order."""
    before = data_files(root)
    place.run(number, [(what or versioned(), changes_table(changes))])
    return sorted(keys_in(path) for path in data_files(root) - before)


def test_a_version_that_ends_stays_where_it_is_in_a_large_file(place: Place, root: Path) -> None:
    assert come_with(place, root, 1, *FIRST) == [list(range(10))]
    (first,) = data_files(root)
    assert come_with(place, root, 2, Change(3, 20, ("b", 1.0)), Change(7, 20, ("b", 1.0))) == [list(range(10)), [3, 7]]
    (now,) = [path for path in data_files(root) - {first} if pq.read_metadata(path).num_rows == 10]
    was, found = pq.read_table(first), pq.read_table(now)
    assert found.drop_columns(["valid_to", "is_current"]).equals(was.drop_columns(["valid_to", "is_current"]))
    assert found.column("valid_to").to_pylist() == [day(20 if key in (3, 7) else OPEN) for key in range(10)]
    assert versions_in(place) == sorted(
        loaded(loaded([], FIRST), [Change(3, 20, ("b", 1.0)), Change(7, 20, ("b", 1.0))]), key=repr
    )


def test_small_files_are_brought_together(place: Place, root: Path) -> None:
    come_with(place, root, 1, *FIRST[:4])
    come_with(place, root, 2, *FIRST[4:8])
    changed = come_with(place, root, 3, Change(0, 20, ("b", 1.0)), Change(4, 20, ("b", 1.0)))
    assert [sorted(keys) for keys in changed] == [[0, 0, 1, 2, 3, 4, 4, 5, 6, 7]]


@pytest.mark.parametrize(
    ("change", "in_place"),
    [
        (Change(3, 20, (None, None), deleted=True), True),
        (Change(3, 5, ("earlier", 1.0)), True),  # the version that is there gets another number
        (Change(3, 10, ("corrected", 1.0)), False),
        (Change(3, 5, ("a3", 1.0)), False),  # what is there says nothing new any more
    ],
)
def test_rows_that_say_something_else_or_go_have_their_file_written_anew(
    place: Place, root: Path, change: Change, in_place: bool
) -> None:
    come_with(place, root, 1, *FIRST)
    changed = come_with(place, root, 2, change)
    assert (changed[0] == list(range(10))) == in_place
    assert versions_in(place) == sorted(loaded(loaded([], FIRST), [change]), key=repr)


def test_keys_that_are_missing_end_where_they_are(place: Place, root: Path) -> None:
    come_with(place, root, 1, *FIRST)
    whole = versioned(delete_missing=True, moment=pa.scalar(day(30), pa.date32()))
    assert come_with(place, root, 2, *FIRST[:9], what=whole) == [list(range(10))]
    assert Version(9, 10, 30, 1, ("a9", 1.0), "x") in versions_in(place)


def test_a_load_of_fewer_columns_leaves_the_others_as_they_are(place: Place) -> None:
    place.run(1, [(versioned(), changes_table(FIRST))])
    narrow = HISTORY.remove(HISTORY.get_field_index("other"))
    changes = changes_table([Change(1, 20, ("b", 1.0)), Change(2, 10, ("c", 1.0))]).select(narrow.names)
    place.run(2, [(load("h", "scd2", narrow, keys=("key",), history=VERSIONED, marker="_hg_d0"), changes)])
    assert [version for version in versions_in(place) if version.key in (1, 2)] == [
        Version(1, 10, 20, 1, ("a1", 1.0), "x"),
        Version(1, 20, OPEN, 2, ("b", 1.0), None),
        Version(2, 10, OPEN, 1, ("c", 1.0), "x"),
    ]


@pytest.mark.parametrize("how", ["indexes", "narrow", "column of that name"])
def test_files_of_other_shape_are_written_anew_as_a_whole(place: Place, root: Path, how: str) -> None:
    schema = HISTORY
    if how == "narrow":
        schema = HISTORY.remove(HISTORY.get_field_index("other"))
    elif how == "column of that name":
        schema = HISTORY.append(pa.field("file_row_number", pa.int64()))
    table = changes_table(FIRST)
    if how == "column of that name":
        table = table.append_column("file_row_number", pa.array([7] * 10, pa.int64()))
    what = load("h", "scd2", schema, keys=("key",), history=VERSIONED, marker="_hg_d0")
    place.run(1, [(what, table.select(schema.names))])
    if how == "indexes":
        (path,) = data_files(root)
        pq.write_table(pq.read_table(path), path, write_page_index=True)
    changed = come_with(place, root, 2, Change(3, 20, ("b", 1.0)))
    assert [sorted(keys) for keys in changed] == [[0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9]]
    assert changed[0] != sorted(changed[0])


VALUES = st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from([0.0, None]))
CHANGES = st.builds(
    Change,
    st.integers(0, 12),
    st.integers(0, 7),
    VALUES,
    st.sampled_from(["x", None]),
    st.sampled_from([False] * 5 + [True]),
)
LOADS = st.lists(
    st.lists(CHANGES, min_size=1, max_size=12, unique_by=lambda change: (change.key, change.since)),
    min_size=2,
    max_size=4,
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(LOADS)
def test_any_changes_in_any_order_give_the_history_of_the_model(
    tmp_path_factory: pytest.TempPathFactory, loads: Sequence[Sequence[Change]]
) -> None:
    folder = tmp_path_factory.mktemp("history")
    connection = iceberg.Connection(type="iceberg", path="lake")
    place = Place(lambda: iceberg.open_store("lake", connection, folder), folder / "_runs")
    expected: list[Version] = []
    for number, changes in enumerate(loads):
        place.run(number, [(versioned(), changes_table(changes))])
        expected = loaded(expected, changes)
        assert versions_in(place) == sorted(expected, key=repr)
    files_before = data_files(folder)
    (again,) = place.run("again", [(versioned(), changes_table(loads[-1]))])
    assert counted(again) == (0, 0, 0, len(loads[-1]))
    assert data_files(folder) == files_before
    place.close()


def test_whichever_file_operation_fails_the_history_is_whole_or_as_it_was(place: Place) -> None:
    place.run(1, [(versioned(), changes_table(FIRST))])
    changes = [Change(3, 20, ("b", 1.0))]
    before, after = (sorted(history, key=repr) for history in (loaded([], FIRST), loaded(loaded([], FIRST), changes)))
    for nth in itertools.count(1):
        left = [nth]

        def fail(operation: str, path: Path, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise OSError(errno.ENOSPC, f"injected into {operation}", str(path))

        with files.observing(fail):
            try:
                place.run(2, [(versioned(), changes_table(changes))], run_id=f"run-{nth}")
            except HeadgateError:
                assert left[0] <= 0
        published = place.published(2) is not None
        assert versions_in(place) == (after if published else before)
        if published:
            break
    assert nth > 10, "the run makes many file operations"
