"""Files of this machine: CSV, JSON lines and Parquet, read by the engine itself.

Columns and types are found once and pinned with the first published run. An incremental read takes the files that
no published run has read; files are known by path, size, time of change and the SHA-256 of their content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from headgate.core.contracts import FileScan, ReadContext, Scan, SourceSchema, Window
from headgate.core.engines import Column
from headgate.core.errors import RESET, Code, FatalError
from headgate.core.models import ReadOptions
from headgate.core.values import counted
from headgate.io import files, local
from headgate.io.local import Connection, FileState
from headgate.sql.templates import render_path

__all__ = ["Connection", "LocalSource", "Read", "open_source"]


class Read(ReadOptions):
    """Files below the connection's folder."""

    path: str = Field(description="A file, a folder or a glob (`*.csv`, `**/*.parquet`) below the connection's path.")
    format: Literal["csv", "json", "parquet"] | None = Field(
        default=None, description="Default: by the files' endings. `json` is one object a line."
    )
    delimiter: str | None = Field(
        default=None, min_length=1, max_length=1, description="Between the cells of CSV; default `,`, in .tsv a tab."
    )
    quote: str = Field(
        default='"', max_length=1, description="Around cells of CSV that hold delimiters or line breaks."
    )
    escape: str | None = Field(
        default=None, max_length=1, description="Before a quote in a quoted cell; default: the quote."
    )
    header: bool = Field(default=True, description="Whether the first line of CSV names the columns.")
    encoding: Literal["utf-8", "utf-16", "latin-1"] = Field(default="utf-8", description="Of CSV.")
    null_values: tuple[str, ...] = Field(default=("",), description="Cells of CSV that stand for NULL.")
    date_format: str | None = Field(default=None, description="Of dates in CSV, such as `%d.%m.%Y`; default ISO 8601.")
    timestamp_format: str | None = Field(default=None, description="Of times in CSV, such as `%d.%m.%Y %H:%M`.")
    exact: bool = Field(
        default=True,
        description="Read CSV as text and cast it in the plan, so that a value that a type would round or cut (1.5 as a"
        " whole number) is an error of its row. Off, such values are rounded in silence, and runs are a fifth faster.",
    )
    types: dict[str, str] = Field(default_factory=dict, description="SQL types of columns, where not to be found out.")
    changed: Literal["fail", "reread"] = Field(
        default="fail", description="What to do with a file that was read before and has other content now."
    )

    @model_validator(mode="after")
    def _fits_files(self) -> Read:
        if self.mode not in ("full", "incremental"):
            raise ValueError(f"mode: {self.mode} is not for files; use full or incremental")
        given = [name for name in ("table", "query", "where", "incremental") if getattr(self, name) is not None]
        if given:
            raise ValueError(f"{given[0]}: is not for files; use path, and a filter step for conditions")
        if self.max_records is not None:
            raise ValueError("max_records: is not for files: a file is read whole or not at all")
        return self


def open_source(connection: Connection, root: Path) -> LocalSource:
    return LocalSource(connection, root)


class LocalSource:
    """Files below one folder. What was found out about columns is kept while the source is open."""

    def __init__(self, connection: Connection, root: Path) -> None:
        self._folder = local.folder_of(connection, root)
        self._found: dict[str, tuple[Column, ...]] = {}

    def test(self) -> str:
        if not self._folder.is_dir():
            raise FatalError(
                Code.CONNECTION_FAILED,
                "there is no such folder",
                operation="connect",
                object=str(self._folder),
                hint="create it, or mend the connection's path",
            )
        with files.told("list", self._folder):
            count = sum(1 for _ in self._folder.iterdir())
        return f"folder {self._folder} with {counted(count, 'entry', 'entries')}"

    def tables(self) -> list[str]:
        """Files with a known ending, relative to the folder."""
        found = self._folder.rglob("*") if self._folder.is_dir() else ()
        return sorted(str(path.relative_to(self._folder)) for path in found if path.suffix.lower() in local.FORMATS)

    def identity(self, read: ReadOptions) -> tuple[str, str]:
        own = _own(read)
        name = f"{own.connection or 'local'}:{own.path}"
        if len(name) > 200:
            name = f"{name[:160]}…{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        return name, hashlib.sha256(b"files").hexdigest()[:16]

    def schema(self, read: ReadOptions, context: ReadContext, since: Mapping[str, Any] | None) -> SourceSchema:
        own = _own(read)
        found = self._find(own, context)
        format_ = local.format_of(found, own.format, own.path)
        columns = self._columns(own, found, format_, since)
        if format_ == "csv":
            from headgate.io import delimited

            known = local.unpack(since)
            new = [str(path) for path in found if self._name(path) not in known]
            delimited.check_headers(new, [column.name for column in columns], _csv_options(own, found))
        return _source_schema(own, format_, columns)

    def probe(self, read: ReadOptions, context: ReadContext, since: Mapping[str, Any] | None) -> Window | None:
        own = _own(read)
        found = self._find(own, context)
        if own.mode == "full":
            return Window(None, since, {}, note=f"all {len(found)} files")
        if context.interval is not None and "{{" not in own.path:
            raise FatalError(
                Code.UNSUPPORTED,
                "which files are new has nothing to do with the time that a run is for",
                operation="probe",
                object=own.path,
                hint="leave --date, --start and --end out, or put {{ ds }} into the path",
            )
        known = local.unpack(since)
        now, new = self._compare(own, found, known, context)
        if not new:
            return None
        identity = {"files": sorted(f"{name}:{state.digest}" for name, state in new.items())}
        high = {**local.pack({**known, **now}), "new": sorted(new)}
        return Window(identity, since, high, note=f"{len(new)} new of {len(found)} files, known by their content")

    def scan(self, read: ReadOptions, context: ReadContext, window: Window) -> Scan:
        own = _own(read)
        names = window.high.get("new")
        found = self._find(own, context) if names is None else [self._folder / name for name in names]
        format_ = local.format_of(found, own.format, own.path)
        columns = self._columns(own, found, format_, window.since)
        with files.told("scan", found[0]):
            states = {path: local.stat(path) for path in found}
        self._check_unchanged_since(states, local.unpack(window.high))
        schema = _source_schema(own, format_, columns)
        options = _scan_options(own, found, columns, format_)
        scan = FileScan(format_, tuple(str(path) for path in found), options)
        return Scan(schema, files=scan, position=self._position(states, columns, window))

    def acknowledge(self, read: ReadOptions, position: Mapping[str, Any]) -> None:
        """Files stay where they are."""

    def close(self) -> None:
        """Nothing is open."""

    # ------------------------------------------------------------------------------------------------------

    def _find(self, read: Read, context: ReadContext) -> list[Path]:
        return local.find(self._folder, render_path(read.path, context.variables))

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()

    def _compare(
        self, read: Read, found: list[Path], known: Mapping[str, FileState], context: ReadContext
    ) -> tuple[dict[str, FileState], dict[str, FileState]]:
        """(all files with their state, those to be read). Content is hashed only where size or time differ.

        Empty files wait until they have content, unless nothing was ever read: then they are told about.
        """
        now, new = {}, {}
        waiting = bool(known) or any(path.stat().st_size for path in found)
        for path in found:
            name = self._name(path)
            with files.told("probe", path):
                state = local.stat(path)
                if state.size == 0 and waiting and name not in known:
                    continue
                before = known.get(name)
                if before is not None and (before.size, before.changed) == (state.size, state.changed):
                    now[name] = before
                    continue
                context.on_news()
                state = replace(state, digest=local.fingerprint(path))
            now[name] = state
            if before is None or before.digest != state.digest:
                if before is not None and read.changed == "fail":
                    raise _changed(path)
                new[name] = state
        return now, new

    def _columns(
        self, read: Read, found: list[Path], format_: str, since: Mapping[str, Any] | None
    ) -> tuple[Column, ...]:
        """All columns of the files: as pinned, else as found out, with ``types`` over both."""
        key = read.model_dump_json()
        if key not in self._found:
            pinned = (since or {}).get("schema")
            columns = tuple(Column(name, type_) for name, type_ in pinned) if pinned else _infer(read, found, format_)
            self._found[key] = _with_types(read, columns, format_)
        return self._found[key]

    def _check_unchanged_since(self, states: Mapping[Path, FileState], probed: Mapping[str, FileState]) -> None:
        for path, state in states.items():
            before = probed.get(self._name(path))
            if before is not None and (before.size, before.changed) != (state.size, state.changed):
                raise _written(path)

    def _position(
        self, states: Mapping[Path, FileState], columns: tuple[Column, ...], window: Window
    ) -> Callable[[], Mapping[str, Any]]:
        def position() -> Mapping[str, Any]:
            for path, before in states.items():
                try:
                    unchanged = local.stat(path) == before
                except FileNotFoundError:
                    unchanged = False
                if not unchanged:
                    raise _written(path)
            read = {key: value for key, value in window.high.items() if key != "new"}
            return {"schema": [[column.name, column.type] for column in columns], **read}

        return position


def _own(read: ReadOptions) -> Read:
    if not isinstance(read, Read):
        raise TypeError("options of another kind of source")
    return read


def _csv_options(read: Read, found: list[Path]) -> dict[str, Any]:
    tabs = all(path.suffix.lower() == ".tsv" for path in found)
    return {
        "delimiter": read.delimiter or ("\t" if tabs else ","),
        "quote": read.quote,
        "escape": read.escape if read.escape is not None else read.quote,
        "header": read.header,
        "encoding": read.encoding,
        "null_values": list(read.null_values),
        "date_format": read.date_format,
        "timestamp_format": read.timestamp_format,
    }


def _scan_options(read: Read, found: list[Path], columns: tuple[Column, ...], format_: str) -> dict[str, Any]:
    if format_ == "json":
        floats = [column.name for column in columns if column.type.upper() in ("DOUBLE", "FLOAT", "REAL")]
        return {"keys": [column.name for column in columns], "floats": floats}
    if format_ == "parquet":
        return {"absent": _check_parquet(found, columns)}
    return {**_csv_options(read, found), "columns": [[c.name, _read_as(read, c, format_)] for c in columns]}


def _infer(read: Read, found: list[Path], format_: str) -> tuple[Column, ...]:
    from headgate.io import inference

    match format_:
        case "csv":
            return tuple(inference.csv_columns(found, _csv_options(read, found), read.types))
        case "json":
            return tuple(inference.json_columns(found))
        case _:
            return _united(inference.parquet_columns(found))


def _united(by_file: Mapping[Path, list[Column]]) -> tuple[Column, ...]:
    """All columns of all files, by name; a name must have one type."""
    columns: dict[str, Column] = {}
    for path, found in by_file.items():
        for column in found:
            before = columns.setdefault(column.name, column)
            if before.type != column.type:
                raise _mismatch(path, f"column {column.name} is {column.type}, in other files {before.type}")
    return tuple(columns.values())


def _with_types(read: Read, columns: tuple[Column, ...], format_: str) -> tuple[Column, ...]:
    """``types`` over what was found; JSON lines may get columns that no sampled line had."""
    names = {name.lower(): (name, type_) for name, type_ in read.types.items()}
    typed = tuple(Column(c.name, names.pop(c.name.lower(), ("", c.type))[1]) for c in columns)
    if names and format_ != "json":
        unknown = next(iter(names.values()))[0]
        raise FatalError(
            Code.CONFIG_INVALID,
            f'types: there is no column "{unknown}"',
            operation="schema",
            object=read.path,
            hint="columns: " + ", ".join(column.name for column in columns),
        )
    return typed + tuple(Column(name, type_) for name, type_ in names.values())


def _source_schema(read: Read, format_: str, columns: tuple[Column, ...]) -> SourceSchema:
    from headgate.io import inference

    chosen = columns
    if read.columns is not None:
        by_name = {column.name.lower(): column for column in columns}
        missing = [name for name in read.columns if name.lower() not in by_name]
        if missing:
            raise FatalError(
                Code.SCHEMA_MISMATCH,
                f'there is no column "{missing[0]}"',
                operation="schema",
                object=read.path,
                hint="columns: " + ", ".join(column.name for column in columns),
            )
        chosen = tuple(by_name[name.lower()] for name in read.columns)
    read_as = [Column(column.name, _read_as(read, column, format_)) for column in chosen]
    casts = {c.name: c.type for c, raw in zip(chosen, read_as, strict=True) if c.type.upper() != raw.type.upper()}
    inference.arrow_schema(chosen)  # refuses types that do not exist, also where the plan casts to them
    return SourceSchema(inference.arrow_schema(read_as), casts)


def _read_as(read: Read, column: Column, format_: str) -> str:
    """The type in which the engine reads a column; the plan casts the rest."""
    by_format = {"DATE": read.date_format, "TIMESTAMP": read.timestamp_format}.get(column.type.upper())
    as_text = format_ == "json" or (format_ == "csv" and read.exact and by_format is None)
    return "VARCHAR" if as_text else column.type


def _check_parquet(found: list[Path], columns: tuple[Column, ...]) -> list[str]:
    """Every file's columns are among the pinned ones, with their types; those that no file has, which are NULL."""
    from headgate.io import inference

    types = {column.name: column.type for column in columns}
    seen: set[str] = set()
    for path, held in inference.parquet_columns(found).items():
        for column in held:
            seen.add(column.name)
            if column.name not in types:
                raise _mismatch(path, f"column {column.name} is new")
            if column.type != types[column.name]:
                raise _mismatch(path, f"column {column.name} is {column.type}, expected is {types[column.name]}")
    return [name for name in types if name not in seen]


def _mismatch(path: Path, why: str) -> FatalError:
    return FatalError(
        Code.SCHEMA_MISMATCH,
        why,
        operation="scan",
        object=str(path),
        hint=f"rewrite the file with the other files' columns and types, or forget them with: {RESET}",
    )


def _changed(path: Path) -> FatalError:
    return FatalError(
        Code.EXTRACTION_FAILED,
        "a published run has read this file, and its content is another one now",
        operation="probe",
        object=str(path),
        hint="put new rows into new files, or say changed: reread to read it again",
    )


def _written(path: Path) -> FatalError:
    return FatalError(
        Code.EXTRACTION_FAILED,
        "the file changed while it was being read",
        operation="scan",
        object=str(path),
        hint="write files under another name (.tmp, _name) and rename them when they are complete",
    )
