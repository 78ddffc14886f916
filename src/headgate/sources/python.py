"""Rows from a function of the user's: it yields dicts, lists of dicts, or Arrow batches and tables.

The function is called once a run. A parameter named ``since`` gets the highest cursor value that a published run has
read, and None at first; rows that were delivered before are dropped, so it may as well yield everything. Rows in the
future of this machine's clock wait until their time.
"""

from __future__ import annotations

import base64
import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from headgate.core.contracts import ReadContext, Scan, SourceSchema, Window
from headgate.core.engines import Column
from headgate.core.errors import Code, FatalError, HeadgateError, nearest
from headgate.core.models import ConnectionOptions, ReadOptions
from headgate.io.rows import Rows, infer, kind_of
from headgate.io.userland import load_function, user_error

if TYPE_CHECKING:
    import pyarrow as pa

    from headgate.io.cursor import Cursor
    from headgate.io.cursor_values import Kind

SAMPLE_ROWS = 1000


class Connection(ConnectionOptions):
    """No place of its own: ``type: python`` stands in the source itself."""

    type: Literal["python"] = "python"


class Read(ReadOptions):
    """A function below the project's folder."""

    type: Literal["python"] = "python"
    function: str = Field(description="`module:name`, a function that yields rows.")
    columns: dict[str, str] | None = Field(  # type: ignore[assignment]  # here columns have types
        default=None, description="Names and SQL types of the columns; default: as in the first rows."
    )

    @model_validator(mode="after")
    def _fits_functions(self) -> Read:
        if self.mode not in ("full", "incremental"):
            raise ValueError(f"mode: {self.mode} is not for functions; use full or incremental")
        if (self.mode == "incremental") != (self.incremental is not None):
            raise ValueError("mode: incremental and incremental: {column: …} go together")
        given = [name for name in ("table", "query", "where") if getattr(self, name) is not None]
        if given:
            raise ValueError(f"{given[0]}: is not for functions; let the function choose, or use a filter step")
        if self.max_records is not None and self.mode == "incremental":
            raise ValueError("max_records: is not for incremental functions; let the function yield less")
        return self


def open_source(connection: Connection, root: Path) -> PythonSource:  # noqa: ARG001 - a function needs no place
    return PythonSource(root)


@dataclass
class _Started:
    """A function that was called, with the items that were looked at before the scan."""

    items: Iterator[Any]
    close: Callable[[], None]


class PythonSource:
    """Functions of one project. One that was called for its schema or for the probe goes on in the scan."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._started: dict[str, _Started] = {}
        self._schemas: dict[str, pa.Schema] = {}

    def test(self) -> str:
        return f"functions below {self._root}"

    def tables(self) -> list[str]:
        return []

    def identity(self, read: ReadOptions) -> tuple[str, str]:
        own = _own(read)
        column = own.incremental.column if own.incremental else ""
        return f"python:{own.function}"[:250], hashlib.sha256(f"{own.mode} {column}".encode()).hexdigest()[:16]

    def schema(self, read: ReadOptions, context: ReadContext, since: Mapping[str, Any] | None) -> SourceSchema:
        return SourceSchema(self._schema(_own(read), since, context))

    def probe(self, read: ReadOptions, context: ReadContext, since: Mapping[str, Any] | None) -> Window | None:
        own = _own(read)
        if own.mode == "full":
            load_function(own.function, self._root)
            return Window(None, since, {}, note=f"all that {own.function} yields", limit=own.max_records)
        if context.interval is not None:
            raise FatalError(
                Code.UNSUPPORTED,
                "an incremental function yields what is new, not what lies in an interval",
                operation="probe",
                object=own.function,
                hint="leave --date, --start and --end out, or use mode: full",
            )
        started = self._start(own, since)
        first = next(started.items, None)
        if first is None:
            self._forget(own, since)
            return None
        started.items = chain([first], started.items)
        note = f"what {own.function} yields after {(since or {}).get('value') or 'the beginning'}"
        return Window(None, since, {}, note=note)

    def scan(self, read: ReadOptions, context: ReadContext, window: Window) -> Scan:
        own = _own(read)
        import pyarrow as pa

        from headgate.io.cursor_values import last_come

        schema = self._schema(own, window.since, context)
        started = self._start(own, window.since)
        self._started.pop(_key(own, window.since), None)
        rows = Rows(own.function, schema, own.batch_size or context.batch_size)
        reader = pa.RecordBatchReader.from_batches(schema, _limited(rows.batches(started.items), window.limit))
        pinned = {"columns_as": _encode(schema)}
        if own.incremental is None:
            return Scan(SourceSchema(schema), batches=reader, position=lambda: pinned, close=started.close)
        cursor = self._cursor(own, schema, window.since)
        come = last_come(cursor.kind, datetime.now(UTC))
        open_end = {"open": True, "come": None if come is None else cursor.text(come)}
        delivery = cursor.deliver(reader, Window(None, window.since, open_end))
        return Scan(
            SourceSchema(schema),
            batches=delivery.reader,
            position=lambda: {**delivery.position(), **pinned},
            close=started.close,
            warnings=delivery.warnings,
        )

    def acknowledge(self, read: ReadOptions, position: Mapping[str, Any]) -> None:
        """A function keeps nothing."""

    def close(self) -> None:
        for started in self._started.values():
            started.close()
        self._started.clear()

    # ------------------------------------------------------------------------------------------------------

    def _start(self, read: Read, since: Mapping[str, Any] | None) -> _Started:
        """Call the function, unless it was called already and nobody has scanned it."""
        key = _key(read, since)
        if key not in self._started:
            function = load_function(read.function, self._root)
            arguments = _arguments(function, read, since)
            with self._explaining(read.function):
                result = function(**arguments)
            items = self._items(result, read.function)
            self._started[key] = _Started(items, getattr(items, "close", lambda: None))
        return self._started[key]

    def _forget(self, read: Read, since: Mapping[str, Any] | None) -> None:
        self._started.pop(_key(read, since)).close()

    def _items(self, result: Any, name: str) -> Iterator[Any]:
        """What the function gives, with its errors explained; one table or dict counts as one item."""
        if isinstance(result, Mapping) or hasattr(result, "schema"):
            result = [result]
        if not isinstance(result, Iterable) or isinstance(result, str | bytes):
            raise FatalError(
                Code.EXTRACTION_FAILED,
                f"it returned {kind_of(result)}",
                operation="scan",
                object=name,
                hint="yield dicts, lists of dicts, or Arrow batches",
            )
        iterator = iter(result)

        def guarded() -> Iterator[Any]:
            try:
                with self._explaining(name):
                    yield from iterator
            finally:
                close = getattr(iterator, "close", None)
                if close is not None:
                    close()

        return guarded()

    @contextmanager
    def _explaining(self, name: str) -> Iterator[None]:
        try:
            yield
        except HeadgateError:
            raise
        except (Exception, SystemExit) as error:
            raise FatalError(
                Code.EXTRACTION_FAILED,
                user_error(error, self._root),
                operation="scan",
                object=name,
                hint="mend the function; nothing was published",
            ) from error

    def _schema(self, read: Read, since: Mapping[str, Any] | None, context: ReadContext) -> pa.Schema:
        """As declared, else as pinned by the first published run, else as in the first rows."""
        from headgate.io import inference

        if read.columns is not None:
            return inference.arrow_schema([Column(name, type_) for name, type_ in read.columns.items()])
        key = read.model_dump_json()
        pinned = (since or {}).get("columns_as")
        if pinned and key not in self._schemas:
            self._schemas[key] = _decode(pinned)
        if key not in self._schemas:
            started = self._start(read, since)
            seen: list[Any] = []
            rows = 0
            for item in started.items:
                seen.append(item)
                rows += len(item) if isinstance(item, list) else getattr(item, "num_rows", 1)
                if rows >= min(SAMPLE_ROWS, context.batch_size):
                    break
            started.items = chain(seen, started.items)
            self._schemas[key] = infer(seen, read.function)
        return self._schemas[key]

    def _cursor(self, read: Read, schema: pa.Schema, since: Mapping[str, Any] | None) -> Cursor:
        from headgate.io.cursor import Cursor

        options = read.incremental
        if options is None or options.column not in schema.names:
            column = options.column if options else ""
            raise FatalError(
                Code.PLAN_INVALID,
                f'the function yields no column "{column}"',
                operation="scan",
                object=read.function,
                hint=nearest(column, schema.names),
            )
        return Cursor(options, _cursor_kind(options.column, schema.field(options.column).type), since)


def _own(read: ReadOptions) -> Read:
    if not isinstance(read, Read):
        raise TypeError("options of another kind of source")
    return read


def _key(read: Read, since: Mapping[str, Any] | None) -> str:
    return f"{read.model_dump_json()} {json.dumps(since, sort_keys=True, default=str)}"


def _arguments(function: Callable[..., Any], read: Read, since: Mapping[str, Any] | None) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    needed = [
        p.name
        for p in parameters
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.name != "since"
    ]
    if needed:
        raise FatalError(
            Code.CONFIG_INVALID,
            f"it needs an argument {needed[0]}, and a source gets none but since",
            operation="load",
            object=read.function,
            hint="give the parameter a default",
        )
    return {"since": _since(read, since)} if any(p.name == "since" for p in parameters) else {}


def _since(read: Read, since: Mapping[str, Any] | None) -> Any:
    """The highest cursor value read before, as Python has it; before the first run what ``start`` says."""
    if read.incremental is None:
        return None
    from headgate.io.cursor_values import decode

    position = since or {}
    text = position.get("from") or position.get("value")
    if text is None:
        return read.incremental.start
    return decode(text, position.get("type", "text"), read.incremental.column)


def _cursor_kind(column: str, type_: Any) -> Kind:
    import pyarrow.types as t

    if t.is_integer(type_):
        return "int"
    if t.is_decimal(type_):
        return "decimal"
    if t.is_floating(type_):
        return "float"
    if t.is_string(type_):
        return "text"
    if t.is_date(type_):
        return "date"
    if t.is_timestamp(type_):
        return "timestamptz" if type_.tz else "timestamp"
    raise FatalError(
        Code.PLAN_INVALID,
        f"{column} is {type_}, which does not grow",
        operation="scan",
        object=column,
        hint="use a number, text, date or timestamp as the cursor",
    )


def _limited(batches: Iterator[pa.RecordBatch], limit: int | None) -> Iterator[pa.RecordBatch]:
    left = limit
    for batch in batches:
        if left is not None:
            batch = batch.slice(0, left)
            left -= batch.num_rows
        yield batch
        if left == 0:
            return


def _encode(schema: pa.Schema) -> str:
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def _decode(text: str) -> pa.Schema:
    import pyarrow as pa

    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))
