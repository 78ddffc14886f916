"""Days and moments that have no ISO text are refused where texts are kept; the lake keeps them as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from headgate.core.errors import Code, FatalError
from headgate.io import formats, iso_times
from headgate.lake import iceberg
from headgate.targets import sqlite
from headgate.testing.place import Place, load

FAR: dict[str, Any] = {
    "a day of the year 10000": pa.array([2_932_897], pa.int32()).cast(pa.date32()),
    "a day before the year 0": pa.array([-719_529], pa.int32()).cast(pa.date32()),
    "a day of the year 5874897": pa.array([2_145_042_905], pa.int32()).cast(pa.date32()),
    "24:00": pa.array([86_400_000_000], pa.int64()).cast(pa.time64("us")),
    "a moment of the year 20000": pa.array([568_971_820_800_000_000], pa.int64()).cast(pa.timestamp("us")),
    "a moment before Christ": pa.array([-210_866_803_200_000_000], pa.int64()).cast(pa.timestamp("us", "UTC")),
}


@pytest.mark.parametrize("name", FAR)
def test_what_has_no_text_is_refused_where_texts_are_kept(tmp_path: Path, name: str) -> None:
    table = pa.table({"c": FAR[name]})
    file = formats.named("csv").create(tmp_path / "rows.csv", table.schema, "none")
    with pytest.raises(FatalError) as csv:
        file.write(table.to_batches()[0])
    file.abort()
    place = Place(
        lambda: sqlite.open_store("w", sqlite.Connection(type="sqlite", path="w.db"), tmp_path), tmp_path / "r"
    )
    with pytest.raises(FatalError) as lite:
        place.run(1, [(load("t", schema=table.schema), table)])
    place.close()
    assert [error.value.code for error in (csv, lite)] == [Code.UNSUPPORTED] * 2


@pytest.mark.parametrize("name", ["a day of the year 5874897", "a moment before Christ"])
def test_the_lake_keeps_them(tmp_path: Path, name: str) -> None:
    table = pa.table({"c": FAR[name]})
    place = Place(lambda: iceberg.open_store("lake", iceberg.Connection(type="iceberg"), tmp_path), tmp_path / "r")
    place.run(1, [(load("t", schema=table.schema), table)])
    assert place.rows("t").column("c").combine_chunks().equals(FAR[name])
    place.close()


@pytest.mark.parametrize("values", [["0000-01-01", "9999-12-31", None], [None], []])
def test_the_others_pass(values: list[Any]) -> None:
    for type_ in (pa.date32(), pa.timestamp("us"), pa.timestamp("ms", "UTC")):
        iso_times.check(pa.array(values, pa.string()).cast(pa.timestamp("s")).cast(type_), "c", "CSV")
    iso_times.check(pa.array([0, 86_399_999_999], pa.int64()).cast(pa.time64("us")), "c", "CSV")
    iso_times.check(pa.array(["9"]), "c", "CSV")
