"""Histories in files of the size at which they are changed where they are, as a table in use has them."""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from headgate.lake._iceberg import rewrite, staging
from headgate.testing.histories import Change
from headgate.testing.pages import pages
from headgate.testing.place import Place
from headgate.testing.store_modes import changes_table, day, versioned

LARGE = staging.FILE_ROWS // rewrite.LARGE
"""The fewest rows of a large file."""
SINCE, LATER = 10, 20


def test_versions_end_in_a_large_file_whose_other_columns_are_copied(place: Place, root: Path) -> None:
    keys = range(LARGE + 1)
    place.run(1, [(versioned(), changes_table([Change(key, SINCE, (f"a{key}", 1.0), "x") for key in keys]))])
    (first,) = root.rglob("data/*.parquet")
    changed = [0, LARGE // 2, LARGE]
    place.run(2, [(versioned(), changes_table([Change(key, LATER, ("b", 1.0)) for key in changed]))])
    (now,) = [path for path in root.rglob("data/*.parquet") if path != first and pq.read_metadata(path).num_rows > 3]
    for column in ("key", "a", "b", "other", "valid_from", "version"):
        assert pages(now, column) == pages(first, column), column
    rows = pq.read_table(now)
    ended = rows.filter(pc.invert(rows.column("is_current")))
    assert ended.sort_by("key").column("key").to_pylist() == changed
    assert set(ended.column("valid_to").to_pylist()) == {day(LATER)}
    table = place.rows("h")
    assert table.num_rows == len(keys) + len(changed)
    current = table.filter(table.column("is_current"))
    assert current.sort_by("key").column("key").to_pylist() == list(keys)


def test_a_file_of_less_is_written_anew(place: Place, root: Path) -> None:
    place.run(
        1, [(versioned(), changes_table([Change(key, SINCE, (f"a{key}", 1.0), "x") for key in range(LARGE - 1)]))]
    )
    place.run(2, [(versioned(), changes_table([Change(7, LATER, ("b", 1.0))]))])
    assert sorted(pq.read_metadata(path).num_rows for path in root.rglob("data/*.parquet")) == [LARGE - 1, LARGE]
