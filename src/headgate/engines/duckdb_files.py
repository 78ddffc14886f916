"""Files that DuckDB reads itself, as one SELECT with exactly the columns of the pinned schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from headgate.core.contracts import Column, FileScan
from headgate.io import delimited
from headgate.io.embedded import file_list
from headgate.sql.literals import quote_name, quote_text

LINE = "headgate_line"
SEPARATOR = "\x01"  # no JSON text holds it, so a line that does is malformed anyway
NO_LINE = "\x02"  # read as NULL, which is malformed like the line itself
LONGEST_LINE = 16 << 20


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
            return _parquet(paths, columns)
        case "csv":
            if scan.options.get("header", True):
                delimited.check_headers(paths, [column.name for column in columns], scan.options)
            return _csv(paths, columns, scan)
        case "json":
            return _json(paths, columns, sequence)


def _nothing(columns: Sequence[Column]) -> str:
    body = ", ".join(f"CAST(NULL AS {column.type}) AS {quote_name(column.name)}" for column in columns)
    return f"SELECT {body} WHERE false"


def _parquet(paths: Sequence[str], columns: Sequence[Column]) -> str:
    body = ", ".join(
        f"CAST({quote_name(column.name)} AS {column.type}) AS {quote_name(column.name)}" for column in columns
    )
    union = ", union_by_name=true" if len(paths) > 1 else ""
    return f"SELECT {body} FROM read_parquet({file_list(paths)}{union}, hive_partitioning=false)"


def _csv(paths: Sequence[str], columns: Sequence[Column], scan: FileScan) -> str:
    types = ", ".join(f"{quote_text(column.name)}: {quote_text(column.type)}" for column in columns)
    nulls = ", ".join(quote_text(str(text)) for text in scan.options.get("null_values", [""]))
    options = [
        f"columns={{{types}}}",
        "auto_detect=false",
        f"header={'true' if scan.options.get('header', True) else 'false'}",
        f"delim={quote_text(scan.options.get('delimiter', ','))}",
        f"quote={quote_text(scan.options.get('quote', chr(34)))}",
        f"escape={quote_text(scan.options.get('escape', scan.options.get('quote', chr(34))))}",
        f"nullstr=[{nulls}]",
        f"encoding={quote_text(scan.options.get('encoding', 'utf-8'))}",
        "null_padding=false",
        "strict_mode=true",
        "hive_partitioning=false",
        "store_rejects=true",
        "rejects_limit=0",
    ]
    for ours, theirs in (("date_format", "dateformat"), ("timestamp_format", "timestampformat")):
        if scan.options.get(ours):
            options.append(f"{theirs}={quote_text(scan.options[ours])}")
    names = ", ".join(quote_name(column.name) for column in columns)
    source = f"read_csv({file_list(paths)}, {', '.join(options)})"
    # The condition is always true; it is what makes DuckDB read, and so check, every column.
    return f"SELECT {names} FROM {source} WHERE hash({names}) IS NOT NULL"


def lines(paths: Sequence[str]) -> str:
    """Table function giving each line that is text and not too long."""
    return (
        f"read_csv({file_list(paths)}, columns={{'{LINE}': 'VARCHAR'}}, auto_detect=false, header=false,"
        f" delim={quote_text(SEPARATOR)}, quote='', escape='', nullstr={quote_text(NO_LINE)}, strict_mode=false,"
        f" max_line_size={LONGEST_LINE}, hive_partitioning=false, store_rejects=true, rejects_limit=0)"
    )


def well_formed(line: str = LINE) -> str:
    """Condition: the line is a JSON object."""
    return f"CASE WHEN json_valid({line}) THEN json_type({line}) = 'OBJECT' ELSE false END"


def filled(line: str = LINE) -> str:
    """Condition: the line is not blank."""
    return f"coalesce(trim({line}, ' \t\r'), '-') <> ''"


def _json(paths: Sequence[str], columns: Sequence[Column], sequence: str) -> str:
    pointers = ", ".join(quote_text(_pointer(column.name)) for column in columns)
    body = ", ".join(
        f"CAST(headgate_values[{number}] AS {column.type}) AS {quote_name(column.name)}"
        for number, column in enumerate(columns, 1)
    )
    counted = f"nextval({quote_text(sequence)}) < 0" if sequence else "false"
    good = f"CASE WHEN {well_formed()} THEN true ELSE {counted} END"
    return (
        f"SELECT {body} FROM (SELECT json_extract_string({LINE}, [{pointers}]) AS headgate_values"
        f" FROM {lines(paths)} WHERE {filled()} AND {good})"
    )


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")


def numbered_lines(path: str, size: int = 5000) -> Iterator[list[tuple[int, str, str]]]:
    """Lines that are not blank as (number, text, what is wrong with them already), some thousand at a time."""
    found: list[tuple[int, str, str]] = []
    with Path(path).open("rb") as file:
        for number, data in enumerate(file, 1):
            line = data.removeprefix(b"\xef\xbb\xbf") if number == 1 else data
            line = line.rstrip(b"\r\n")
            reason = f"longer than {LONGEST_LINE} bytes" if len(line) > LONGEST_LINE else ""
            try:
                text = line.decode()
            except UnicodeDecodeError:
                text, reason = line.decode(errors="replace"), "not valid UTF-8"
            if text.strip(" \t\r"):
                found.append((number, text[:LONGEST_LINE], reason))
            if len(found) >= size:
                yield found
                found = []
    yield found
