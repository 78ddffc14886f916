"""Files that DuckDB reads itself, as one SELECT with exactly the columns of the pinned schema."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headgate.core.contracts import FileScan
from headgate.core.engines import Column
from headgate.io import delimited
from headgate.io.embedded import file_list, parquet_rows
from headgate.io.json_lines import LONGEST_LINE
from headgate.sql.json_numbers import LONG_FRACTION
from headgate.sql.literals import quote_name, quote_text

LINE = "headgate_line"
SEPARATOR = "\x01"  # no JSON text holds it, so a line that does is malformed anyway
NO_LINE = "\x02"  # read as NULL, which is malformed like the line itself


def select(scan: FileScan, columns: Sequence[Column], sequence: str = "") -> str:
    """SELECT that reads all files.

    Every column is always read, whatever the steps after it need: what is an error in a row must not depend on them.

    Args:
        scan: the files.
        columns: names and types, for csv in the files' order.
        sequence: for JSON lines, a sequence that counts malformed lines while they are skipped.
    """
    paths = [path for path in scan.paths if scan.format == "parquet" or Path(path).stat().st_size > 0]
    if not paths:
        return _nothing(columns)
    match scan.format:
        case "parquet":
            return _parquet(paths, columns, scan)
        case "csv":
            if scan.options.get("header", True):
                held = [name for name, _ in scan.options.get("columns", ())] or [column.name for column in columns]
                delimited.check_headers(paths, held, scan.options)
            return _csv(paths, columns, scan)
        case "json":
            return _json(paths, columns, scan, sequence)


def _nothing(columns: Sequence[Column]) -> str:
    body = ", ".join(f"CAST(NULL AS {column.type}) AS {quote_name(column.name)}" for column in columns)
    return f"SELECT {body} WHERE false"


def _parquet(paths: Sequence[str], columns: Sequence[Column], scan: FileScan) -> str:
    absent = set(scan.options.get("absent", ()))
    body = ", ".join(
        f"CAST({'NULL' if column.name in absent else quote_name(column.name)} AS {column.type})"
        f" AS {quote_name(column.name)}"
        for column in columns
    )
    return f"SELECT {body} FROM {parquet_rows(paths, union=len(paths) > 1)}"


def _csv(paths: Sequence[str], columns: Sequence[Column], scan: FileScan) -> str:
    held = [Column(name, type_) for name, type_ in scan.options.get("columns", ())] or list(columns)
    every = ", ".join(f"{quote_name(column.name)} IS NULL" for column in held)
    names = ", ".join(quote_name(column.name) for column in columns)
    # The condition is always true; it is what makes DuckDB read, and so check, every column.
    return f"SELECT {names} FROM {delimited.read_csv(paths, held, scan.options)} WHERE hash({every}) IS NOT NULL"


def lines(paths: Sequence[str]) -> str:
    """Table function giving each line that is text and not too long."""
    return (
        f"read_csv({file_list(paths)}, columns={{'{LINE}': 'VARCHAR'}}, auto_detect=false, header=false,"
        f" delim={quote_text(SEPARATOR)}, quote='', escape='', nullstr={quote_text(NO_LINE)}, strict_mode=false,"
        f" max_line_size={LONGEST_LINE}, hive_partitioning=false, store_rejects=true, rejects_limit=0)"
    )


def well_formed(options: Mapping[str, Any], line: str = LINE) -> str:
    """Condition: the line is a JSON object whose keys are all known (an unknown one would be lost silently), and the
    engine keeps its numbers.

    Args:
        options: of the scan: ``keys``, and ``floats``, those of columns that are doubles.
    """
    known = f" AND list_has_all({_texts(keys)}, json_keys({line}))" if (keys := options.get("keys", ())) else ""
    kept = (
        f" AND CASE WHEN regexp_matches({line}, {quote_text(_LONG)}) THEN NOT ({_rounded(options, line)}) ELSE true END"
    )
    return f"CASE WHEN json_valid({line}) THEN json_type({line}) = 'OBJECT'{known}{kept} ELSE false END"


def why_not(options: Mapping[str, Any], line: str = LINE) -> str:
    """What is wrong with a line that is not well formed."""
    keys = options.get("keys", ())
    unknown = f"list_filter(json_keys({line}), lambda k: NOT list_contains({_texts(keys)}, k))"
    return (
        f"CASE WHEN NOT json_valid({line}) OR json_type({line}) <> 'OBJECT' THEN 'not a JSON object'"
        f" WHEN {_rounded(options, line)} THEN 'a number of more than 15 digits would be rounded: write it as text'"
        f" ELSE 'keys that are not columns: ' || array_to_string({unknown}, ', ') END"
    )


_TEXT = r'"(?:[^"\\]|\\.)*"'
_LONG = "[0-9.]{16}"


def _rounded(options: Mapping[str, Any], line: str) -> str:
    """Condition: the engine, whose fractions in JSON are doubles, would change a number that no double is to hold."""
    floats = "|".join(re.escape(json.dumps(name, ensure_ascii=False)) for name in options.get("floats", ()))
    rest = line
    if floats:
        own = rf"({floats})\s*:\s*-?[0-9][0-9.eE+-]*"
        rest = f"regexp_replace({line}, {quote_text(own)}, '0', 'g')"
    return f"regexp_matches(regexp_replace({rest}, {quote_text(_TEXT)}, '0', 'g'), {quote_text(LONG_FRACTION)})"


def filled(line: str = LINE) -> str:
    """Condition: the line is not blank."""
    return f"coalesce(trim({line}, ' \t\r'), '-') <> ''"


def _texts(values: Sequence[str]) -> str:
    return "[" + ", ".join(map(quote_text, values)) + "]"


def _json(paths: Sequence[str], columns: Sequence[Column], scan: FileScan, sequence: str) -> str:
    body = ", ".join(
        f"CAST(headgate_values[{number}] AS {column.type}) AS {quote_name(column.name)}"
        for number, column in enumerate(columns, 1)
    )
    counted = f"nextval({quote_text(sequence)}) < 0" if sequence else "false"
    good = f"CASE WHEN {well_formed(scan.options)} THEN true ELSE {counted} END"
    pointers = _texts([_pointer(column.name) for column in columns])
    return (
        f"SELECT {body} FROM (SELECT json_extract_string({LINE}, {pointers}) AS headgate_values"
        f" FROM {lines(paths)} WHERE {filled()} AND {good})"
    )


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")
