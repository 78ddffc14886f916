"""The first record of delimited text files: what columns a file says it has."""

from __future__ import annotations

import codecs
import csv
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headgate.core.engines import Column
from headgate.core.errors import RESET, Code, FatalError
from headgate.io.embedded import file_list
from headgate.sql.literals import quote_text

LONGEST_HEADER = 1 << 20


def header(path: str | Path, options: Mapping[str, Any]) -> list[str] | None:
    """Names in the first record; None for a file without one.

    Raises:
        FatalError: EXTRACTION_FAILED for bytes that are not text in the given encoding.
    """
    encoding = str(options.get("encoding", "utf-8"))
    with Path(path).open("rb") as file:
        data = file.read(LONGEST_HEADER)
    if not data:
        return None
    decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)()
    first = _first_lines(data, encoding)
    try:
        text = decoder.decode(first)
    except UnicodeDecodeError:
        raise _not_text(path, f"its header is not {encoding}") from None
    if "\x00" in text:
        raise _not_text(path, "it holds NUL bytes, so it is not text")
    delimiter = str(options.get("delimiter", ","))
    quote = str(options.get("quote", '"'))
    escape = str(options.get("escape", quote))
    reader = csv.reader(
        text.splitlines(keepends=True),
        delimiter=delimiter,
        quotechar=quote or None,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        doublequote=escape == quote,
        escapechar=escape if escape and escape != quote else None,
    )
    try:
        return next((record for record in reader if record), None)
    except csv.Error as error:
        raise _not_text(path, f"its header cannot be read: {error}") from None


def _first_lines(data: bytes, encoding: str) -> bytes:
    """Enough bytes for one record; names with line breaks in quotes are rare, so a few lines are kept."""
    if encoding != "utf-8":
        return data
    end = -1
    for _ in range(16):
        found = data.find(b"\n", end + 1)
        if found < 0:
            return data
        end = found
        if data[: end + 1].count(b'"') % 2 == 0 and data[: end + 1].strip():
            break
    return data[: end + 1]


def check_headers(paths: Sequence[str], expected: Sequence[str], options: Mapping[str, Any]) -> None:
    """Raise SCHEMA_MISMATCH unless every file has the expected names at the expected places, whatever their case."""
    wanted = [name.strip().lower() for name in expected]
    for path in paths:
        found = header(path, options)
        if found is not None and [name.strip().lower() for name in found] != wanted:
            raise FatalError(
                Code.SCHEMA_MISMATCH,
                _difference(found, expected),
                operation="scan",
                object=str(path),
                hint=f"mend the file (its delimiter too), or forget the pinned columns with: {RESET}",
            )


def _difference(found: Sequence[str], expected: Sequence[str]) -> str:
    """In what a header differs: columns renamed, new, missing or moved."""
    known, there = {name.strip().lower() for name in expected}, {name.strip().lower() for name in found}
    new = [name.strip() for name in found if name.strip().lower() not in known]
    missing = [name for name in expected if name.strip().lower() not in there]
    if len(found) == 1 and len(expected) > 1 and not known & there:
        return f'its header is one column, "{found[0]}"; expected are {", ".join(expected)}: another delimiter?'
    parts = []
    for name in new[:5]:
        near = difflib.get_close_matches(name.lower(), [other.lower() for other in missing], n=1)
        likely = next((other for other in missing if near and other.lower() == near[0]), None)
        if likely is not None:
            missing.remove(likely)
        parts.append(f'column "{name}" is new' + (f'; did you mean "{likely}"?' if likely is not None else ""))
    parts += [f'column "{name}" is missing' for name in missing[:5]]
    if not parts:
        return f"the columns are {', '.join(found)}; expected, in this order, are {', '.join(expected)}"
    return "; ".join(parts)


def read_csv(paths: Sequence[str], columns: Sequence[Column], options: Mapping[str, Any]) -> str:
    """DuckDB's table function for such files: nothing is guessed, lines that do not fit go to the reject tables."""
    types = ", ".join(f"{quote_text(column.name)}: {quote_text(column.type)}" for column in columns)
    nulls = ", ".join(quote_text(str(text)) for text in options.get("null_values") or [""])
    quote = options.get("quote", '"')
    arguments = [
        f"columns={{{types}}}",
        "auto_detect=false",
        f"header={'true' if options.get('header', True) else 'false'}",
        f"delim={quote_text(options.get('delimiter', ','))}",
        f"quote={quote_text(quote)}",
        f"escape={quote_text(options.get('escape', quote))}",
        f"nullstr=[{nulls}]",
        f"encoding={quote_text(options.get('encoding', 'utf-8'))}",
        "null_padding=false, strict_mode=true, hive_partitioning=false, store_rejects=true, rejects_limit=0",
    ]
    for ours, theirs in (("date_format", "dateformat"), ("timestamp_format", "timestampformat")):
        if options.get(ours):
            arguments.append(f"{theirs}={quote_text(options[ours])}")
    return f"read_csv({file_list(paths)}, {', '.join(arguments)})"


def _not_text(path: str | Path, why: str) -> FatalError:
    return FatalError(
        Code.EXTRACTION_FAILED,
        why,
        operation="scan",
        object=str(path),
        hint="give the file's encoding, or take the file out of the path",
    )
