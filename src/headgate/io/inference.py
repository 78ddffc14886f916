"""Columns and types of files, found once from a sample and then pinned.

A type is chosen only if every sampled value keeps its meaning in it: numbers with leading zeros stay text, integers
that 64 bits cannot hold become decimals, times with an offset keep it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from headgate.core.engines import Column
from headgate.core.errors import Code, FatalError
from headgate.io import delimited, embedded
from headgate.io.json_lines import numbered_lines
from headgate.sql.literals import quote_name, quote_text

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

SAMPLE_ROWS = 50_000
SAMPLE_FILES = 500

_PATTERNS = (
    ("BOOLEAN", r"(?i:true|false)"),
    ("BIGINT", r"-?(?:0|[1-9]\d{0,17})"),
    ("DECIMAL(38,0)", r"-?[1-9]\d{18,36}"),
    ("DOUBLE", r"-?(?:0|[1-9]\d*)?(?:\.\d*)?(?:[eE][+-]?\d+)?"),
    ("DATE", r"\d{4}-\d{2}-\d{2}"),
    ("TIMESTAMP", r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?"),
    (
        "TIMESTAMP WITH TIME ZONE",
        r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}(?::?\d{2})?)",
    ),
    ("TIME", r"\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?"),
)
_WIDER = (
    ({"BOOLEAN"}, "BOOLEAN"),
    ({"BIGINT"}, "BIGINT"),
    ({"BIGINT", "DECIMAL(38,0)"}, "DECIMAL(38,0)"),
    ({"BIGINT", "DECIMAL(38,0)", "DOUBLE"}, "DOUBLE"),
    ({"DATE"}, "DATE"),
    ({"DATE", "TIMESTAMP"}, "TIMESTAMP"),
    ({"TIMESTAMP WITH TIME ZONE"}, "TIMESTAMP WITH TIME ZONE"),
    ({"TIME"}, "TIME"),
)
_TEXT_IN_JSON = {"DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"}


def csv_columns(paths: Sequence[Path], options: Mapping[str, Any], given: Iterable[str] = ()) -> list[Column]:
    """Names from the first header, types from a sample over all files, unless all of them are ``given``.

    Raises:
        FatalError: EXTRACTION_FAILED for files that are empty, not text, or delimited otherwise.
    """
    filled = [path for path in paths if path.stat().st_size > 0]
    if not filled:
        raise _unreadable(paths[0], "the file is empty", "columns are found from a header or rows: put one in, or wait")
    names = _names(filled, options)
    if {name.lower() for name in names} <= {name.lower() for name in given}:
        return [Column(name, "VARCHAR") for name in names]
    sample = filled[:: max(1, len(filled) // SAMPLE_FILES)]
    with TemporaryDirectory(prefix="headgate-") as folder:
        connection = embedded.connect(Path(folder), paths=[str(path) for path in sample])
        try:
            kinds = _csv_kinds(connection, sample, names, options)
        finally:
            connection.close()
    return [Column(name, widest(found)) for name, found in zip(names, kinds, strict=True)]


def _names(paths: Sequence[Path], options: Mapping[str, Any]) -> list[str]:
    first = next((found for path in paths if (found := delimited.header(path, options))), None)
    if first is None:
        raise _unreadable(paths[0], "the file has only blank lines", "columns are found from a header or rows")
    if not options.get("header", True):
        return [f"column{number}" for number in range(len(first))]
    names = [name.strip() for name in first]
    if len(names) == 1:
        other = next((mark for mark in ",;\t|" if mark in names[0] and mark != options.get("delimiter", ",")), None)
        if other is not None:
            shown = "\\t" if other == "\t" else other
            raise _unreadable(
                paths[0],
                f"with the delimiter {options.get('delimiter', ',')!r} it has one column, {names[0]!r}",
                f'its delimiter seems to be another one: say delimiter: "{shown}"',
            )
    repeated = {name for name in names if [other.lower() for other in names].count(name.lower()) > 1}
    if repeated or "" in names:
        what = f"the column {sorted(repeated)[0]!r} is there twice" if repeated else "a column has no name"
        raise _unreadable(paths[0], what, "give every column a name of its own, or say header: false")
    return names


def _csv_kinds(
    connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], names: Sequence[str], options: Mapping[str, Any]
) -> list[set[str]]:
    import duckdb

    rows = max(200, SAMPLE_ROWS // len(paths))
    found: list[set[str]] = [set() for _ in names]
    kinds = ", ".join(f"list_distinct(list({_kind(name, options)}))" for name in names)
    for path in paths:
        source = delimited.read_csv([str(path)], [Column(name, "VARCHAR") for name in names], options)
        try:
            row = connection.execute(f"SELECT {kinds} FROM (SELECT * FROM {source} LIMIT {rows})").fetchone()
        except duckdb.Error as error:
            text = re.sub(r"\s+", " ", str(error).split("Possible", 1)[0]).strip()
            raise _unreadable(path, text, "give its delimiter, quote and encoding") from None
        for kind, values in zip(found, row or (), strict=True):
            kind.update(value for value in values or () if value)
    return found


def _kind(name: str, options: Mapping[str, Any]) -> str:
    """SQL: the name of the narrowest kind of a value; NULL for NULL."""
    column = quote_name(name)
    cases = [f"WHEN {column} IS NULL THEN NULL"]
    for kind, pattern in _PATTERNS:
        given = options.get({"DATE": "date_format", "TIMESTAMP": "timestamp_format"}.get(kind, ""))
        if given:
            cases.append(f"WHEN try_strptime({column}, {quote_text(given)}) IS NOT NULL THEN {quote_text(kind)}")
            continue
        cases.append(
            f"WHEN regexp_full_match({column}, {quote_text(pattern)}) AND TRY_CAST({column} AS {kind}) IS NOT NULL"
            f" THEN {quote_text(kind)}"
        )
    return f"CASE {' '.join(cases)} ELSE 'VARCHAR' END"


def widest(kinds: set[str]) -> str:
    """The type that holds values of all these kinds; VARCHAR for none and for what does not go together."""
    return next((type_ for members, type_ in _WIDER if kinds and kinds <= members), "VARCHAR")


def json_columns(paths: Sequence[Path]) -> list[Column]:
    """Keys of the sampled objects in order of appearance; nested values are text of JSON.

    Raises:
        FatalError: EXTRACTION_FAILED when no sampled line is a JSON object.
    """
    kinds: dict[str, set[str]] = {}
    sample = paths[:: max(1, len(paths) // SAMPLE_FILES)]
    rows = max(200, SAMPLE_ROWS // 2 // len(sample))
    for path in sample:
        for row in _objects(path, rows):
            for name, value in row.items():
                kinds.setdefault(name, set()).update(() if value is None else (_json_kind(value),))
    if not kinds:
        raise _unreadable(paths[0], "no line of it is a JSON object with keys", "write one JSON object a line")
    return [Column(name, widest(found)) for name, found in kinds.items()]


def _objects(path: Path, rows: int) -> Iterable[dict[str, Any]]:
    seen = 0
    for lines in numbered_lines(path):
        for _, text, wrong in lines:
            try:
                value = None if wrong else json.loads(text)
            except ValueError:
                continue
            if isinstance(value, dict):
                yield value
            seen += 1
            if seen >= rows:
                return


def _json_kind(value: Any) -> str:
    match value:
        case bool():
            return "BOOLEAN"
        case int():
            return "BIGINT" if -(2**63) <= value < 2**63 else "DECIMAL(38,0)" if abs(value) < 10**38 else "VARCHAR"
        case float():
            return "DOUBLE"
        case str():
            found = next((kind for kind, pattern in _PATTERNS if re.fullmatch(pattern, value)), "VARCHAR")
            return found if found in _TEXT_IN_JSON and _is_time(value) else "VARCHAR"
        case _:
            return "VARCHAR"


def _is_time(value: str) -> bool:
    try:
        date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def parquet_columns(paths: Sequence[Path]) -> dict[Path, list[Column]]:
    """Columns of each file, as DuckDB reads them; only footers are read, and those of an unchanged list once.

    Raises:
        FatalError: EXTRACTION_FAILED for what is not a Parquet file.
    """
    columns = _parquet_columns(tuple((path, _state(path)) for path in paths))
    return {path: list(own) for path, own in columns.items()}


def _state(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()  # the engine says what is wrong with it
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@lru_cache(maxsize=2)
def _parquet_columns(states: tuple[tuple[Path, tuple[int, ...]], ...]) -> dict[Path, list[Column]]:
    """What the files hold in this state: a run asks when it plans and when it scans, and each opens a database."""
    import duckdb

    paths = [path for path, _ in states]
    with TemporaryDirectory(prefix="headgate-") as folder:
        connection = embedded.connect(Path(folder), paths=[str(path) for path in paths])
        try:
            found = {}
            for path in paths:
                source = embedded.parquet_rows([str(path)], union=False)
                try:
                    described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
                except duckdb.Error as error:
                    text = re.sub(r"^[A-Za-z ]+Error: ", "", str(error).splitlines()[0])
                    raise _unreadable(path, text, "the file may be cut off or no Parquet at all") from None
                found[path] = [Column(row[0], row[1]) for row in described]
                _refuse_renamed(connection, path, [column.name for column in found[path]])
            return found
        finally:
            connection.close()


def _refuse_renamed(connection: duckdb.DuckDBPyConnection, path: Path, names: Sequence[str]) -> None:
    """Of two names that differ in case only the engine makes ``k`` and ``K_1``, so that K would mean the other one."""
    known = {name.lower() for name in names}
    if not any((cut := re.fullmatch(r"(.+)_\d+", name.lower())) and cut[1] in known for name in names):
        return
    nodes = connection.execute("SELECT name, num_children FROM parquet_schema(?)", [str(path)]).fetchall()
    own, place = [], 1
    while place < len(nodes):
        own.append(nodes[place][0])
        below = 1
        while below:
            below += (nodes[place][1] or 0) - 1
            place += 1
    lowered = [name.lower() for name in own]
    if repeated := sorted(name for name in own if lowered.count(name.lower()) > 1):
        what = f"the columns {repeated[0]!r} and {repeated[1]!r} differ in case only"
        raise _unreadable(path, what, "names are compared without case: write the file with other ones")


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """The Arrow schema of columns with SQL types. Raises FatalError CONFIG_INVALID for an unknown type."""
    import pyarrow as pa

    found = _arrow_types(tuple(column.type for column in columns))
    for column, type_ in zip(columns, found, strict=True):
        if isinstance(type_, str):
            raise FatalError(
                Code.CONFIG_INVALID,
                f'"{column.type}" is not a type: {type_}',
                operation="schema",
                object=column.name,
                hint="write a SQL type, such as BIGINT, DECIMAL(12,2), DATE, TIMESTAMP or VARCHAR",
            )
    return pa.schema([(column.name, type_) for column, type_ in zip(columns, found, strict=True)])


@lru_cache(maxsize=64)
def _arrow_types(types: tuple[str, ...]) -> tuple[Any, ...]:
    """The Arrow type of each SQL type, or what is wrong with it. Asked once: a database is opened for it."""
    import duckdb

    connection = embedded.bare()
    try:
        known: dict[str, Any] = {}
        for type_ in dict.fromkeys(types):
            try:
                relation = connection.sql(f"SELECT CAST(NULL AS {type_}) AS x")
                known[type_] = relation.to_arrow_table().schema.field(0).type
            except duckdb.Error as error:
                known[type_] = str(error).splitlines()[0]
        return tuple(known[type_] for type_ in types)
    finally:
        connection.close()


def _unreadable(path: Path, why: str, hint: str) -> FatalError:
    return FatalError(Code.EXTRACTION_FAILED, why, operation="scan", object=str(path), hint=hint)
