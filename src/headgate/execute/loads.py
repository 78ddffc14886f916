"""What goes into a target beside the rows themselves: dates of snapshots, columns of histories, marks of deletion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Between, Load, Rescue, Writer
from headgate.core.errors import Code, FatalError
from headgate.core.runs import timestamp
from headgate.execute.context import Run
from headgate.plan.stages import Write

if TYPE_CHECKING:
    import pyarrow as pa

Adapt = Callable[["pa.RecordBatch"], "pa.RecordBatch"]
_BY_KEY = ("merge", "scd2")
OPEN_END = "9999-12-31"
"""Until when a current version holds."""


def open_writer(run: Run, write: Write, schema: pa.Schema, *, selects: bool) -> Writer:
    """Open a target's table for the rows of a pass, which have ``schema`` and maybe (``selects``) more columns."""
    if write.omitted:
        for name in write.omitted:
            schema = schema.remove(schema.get_field_index(name))
        selects = True
    load, adapt = _load(run, write, schema)
    writer = run.transactions[write.store].stage(load)
    if adapt is None and not selects:
        return writer
    return _Adapting(writer, adapt or (lambda batch: batch.select(schema.names)))


class _Adapting:
    """A writer that is given a pass's rows and takes those of its load."""

    def __init__(self, writer: Writer, adapt: Adapt) -> None:
        self._writer, self._adapt = writer, adapt

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write(self._adapt(batch))

    def close(self) -> None:
        self._writer.close()


def _load(run: Run, write: Write, schema: pa.Schema) -> tuple[Load, Adapt | None]:
    target = run.pipeline.targets[write.target]
    replaces = run.replaces if write.mode == "append" else ""
    load = Load(
        write.table, write.mode, schema, write.keys, target.create, target.evolve == "evolve", target, replaces,
        partition=write.partition, partitioning=write.partitioning,
    )  # fmt: skip
    if run.request.full_refresh or (run.whole and write.mode != "append"):
        return _refreshed(write, load)
    if deletes_missing(run, write):
        _check_whole(run, write)
        load = replace(load, delete_missing=not run.request.replay)
    if write.dead_letter:
        load = replace(load, rescue=Rescue(write.dead_letter, run.run_id, timestamp(run.started_at)))
    if write.dated:
        return _dated(run, write, load)
    if write.between:
        return _within(run, write, load)
    if write.history is not None:
        return _versioned(run, write, load)
    return _marked(write, load)


def deletes_missing(run: Run, write: Write) -> bool:
    """Whether rows go whose keys this run does not have: as the target says, or since a snapshot follows a reset."""
    return write.delete_missing or (run.reconciles and write.mode in _BY_KEY)


def _check_whole(run: Run, write: Write) -> None:
    if run.request.interval is not None and run.request.interval.explicit:
        raise FatalError(
            Code.USAGE,
            "a run for an interval reads a part of the source, and delete_missing would delete all the rest",
            operation="load",
            object=write.table,
            hint="run it without --start, --end and --date",
        )


def _refreshed(write: Write, load: Load) -> tuple[Load, Adapt | None]:
    """Everything again, in place of what is there."""
    if write.history is not None or write.dated:
        raise FatalError(
            Code.UNSUPPORTED,
            "a full refresh would replace what the table remembers by what the source says now",
            operation="load",
            object=write.table,
            hint="run without --full-refresh; to begin anew, drop the table by hand",
        )
    load = replace(load, mode="overwrite", partition=())
    if not write.marker:
        return load, None
    names = load.schema.names

    def unmarked(batch: pa.RecordBatch) -> pa.RecordBatch:
        import pyarrow.compute as pc

        return batch.filter(pc.invert(batch.column(write.marker))).select(names)

    return load, unmarked


def _marked(write: Write, load: Load) -> tuple[Load, Adapt | None]:
    if not write.marker:
        return load, None
    import pyarrow as pa

    names = [*load.schema.names, write.marker]
    marked = replace(load, schema=load.schema.append(pa.field(write.marker, pa.bool_())), marker=write.marker)
    return marked, lambda batch: batch.select(names)


def run_time(run: Run) -> datetime:
    """The time that a run is for: where its interval begins, else when it began."""
    if run.request.interval is None:
        return run.started_at
    start = datetime.fromisoformat(run.request.interval.start)
    return start if start.tzinfo else start.replace(tzinfo=UTC)


# ----------------------------------------------------------------------------------- snapshots and intervals


def _dated(run: Run, write: Write, load: Load) -> tuple[Load, Adapt]:
    """Rows side by side under the date of their run; the same date again replaces its rows."""
    import pyarrow as pa

    day = run_time(run).date()
    start: pa.Scalar[Any] = pa.scalar(day, pa.date32())
    end: pa.Scalar[Any] = pa.scalar(day + timedelta(days=1), pa.date32())
    schema = load.schema.append(pa.field(write.dated, pa.date32()))
    names = load.schema.names

    def dated(batch: pa.RecordBatch) -> pa.RecordBatch:
        column = _repeated(start, batch.num_rows)
        return pa.RecordBatch.from_arrays([*batch.select(names).columns, column], schema=schema)

    return replace(load, schema=schema, between=Between(write.dated, start, end)), dated


def _within(run: Run, write: Write, load: Load) -> tuple[Load, Adapt]:
    interval = run.request.interval
    if interval is None:
        raise FatalError(
            Code.USAGE,
            "scope: interval replaces the rows of the run's interval, and this run has none",
            operation="load",
            object=write.table,
            hint="give it one: --date, or --start and --end",
        )
    type_ = load.schema.field(write.between).type
    between = Between(write.between, _bound(interval.start, type_, write), _bound(interval.end, type_, write))
    names = load.schema.names

    def checked(batch: pa.RecordBatch) -> pa.RecordBatch:
        import pyarrow.compute as pc

        column = batch.column(write.between)
        inside = pc.and_(pc.greater_equal(column, between.start), pc.less(column, between.end))
        outside = batch.num_rows - inside.true_count
        if outside:
            raise FatalError(
                Code.LOAD_EXECUTION_FAILED,
                f"{outside} rows lie outside of the interval {interval.start} to {interval.end} by {write.between},"
                " so that a second run would double them",
                operation="load",
                object=write.table,
                hint="read the interval's rows only: where, or a filter step",
            )
        return batch.select(names)

    return replace(load, between=between), checked


def _bound(text: str, type_: pa.DataType, write: Write) -> pa.Scalar[Any]:
    """An end of the interval in the type of the column that it is compared with."""
    import pyarrow as pa

    moment = datetime.fromisoformat(text)
    if pa.types.is_timestamp(type_):
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return _scalar(zoned if type_.tz else zoned.astimezone(UTC).replace(tzinfo=None), type_)
    if pa.types.is_date32(type_) and moment.time() == datetime.min.time():
        return _scalar(moment.date(), type_)
    raise FatalError(
        Code.UNSUPPORTED,
        f"{write.between} is {type_}, which cannot be compared with {text}",
        operation="load",
        object=write.table,
        hint="use a column of dates, with whole days, or of timestamps",
    )


# ------------------------------------------------------------------------------------------------- histories


def history_fields(write: Write, schema: pa.Schema) -> list[pa.Field[Any]]:
    """The columns that a history has beside those of its rows, none of another mode."""
    import pyarrow as pa

    history = write.history
    if history is None:
        return []
    type_ = _since_type(write, schema)
    return [
        *([pa.field(history.valid_from, type_)] if history.valid_from not in schema.names else []),
        pa.field(history.valid_to, type_),
        pa.field(history.is_current, pa.bool_()),
        pa.field(history.version, pa.int64()),
    ]


def _since_type(write: Write, schema: pa.Schema) -> pa.DataType:
    """The type of the moments: that of the column that tells them, or that of the run's own time."""
    import pyarrow as pa

    return schema.field(write.effective).type if write.effective else pa.timestamp("us", "UTC")


def _versioned(run: Run, write: Write, load: Load) -> tuple[Load, Adapt]:
    """Every row as the only version of its key would look."""
    import pyarrow as pa

    history, names = write.history, load.schema.names
    assert history is not None
    type_ = _since_type(write, load.schema)
    moment, end = _moment(run_time(run), type_, write), _moment(datetime.fromisoformat(OPEN_END), type_, write)
    adds_since = history.valid_from not in names
    marker = [pa.field(write.marker, pa.bool_())] if write.marker else []
    schema = pa.schema([*load.schema, *history_fields(write, load.schema), *marker])
    one, true = pa.scalar(1, pa.int64()), pa.scalar(True)

    def versions(batch: pa.RecordBatch) -> pa.RecordBatch:
        rows = batch.num_rows
        since: Any = batch.column(write.effective) if write.effective else _repeated(moment, rows)
        columns: list[Any] = list(batch.select(names).columns)
        columns += [since] if adds_since else []
        columns += [_repeated(value, rows) for value in (end, true, one)]
        columns += [batch.column(write.marker)] if write.marker else []
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    return replace(load, schema=schema, marker=write.marker, history=history, moment=moment), versions


def _scalar(value: date, type_: Any) -> pa.Scalar[Any]:
    import pyarrow as pa

    found: pa.Scalar[Any] = pa.scalar(value, type_)
    return found


def _repeated(value: Any, rows: int) -> Any:
    import pyarrow as pa

    return pa.repeat(value, rows)


def _moment(value: datetime, type_: pa.DataType, write: Write) -> pa.Scalar[Any]:
    import pyarrow as pa

    utc = value if value.tzinfo else value.replace(tzinfo=UTC)
    if pa.types.is_timestamp(type_):
        return _scalar(utc if type_.tz else utc.replace(tzinfo=None), type_)
    if pa.types.is_date32(type_):
        return _scalar(utc.date(), type_)
    raise FatalError(
        Code.UNSUPPORTED,
        f"{write.effective} is {type_}, and says no time",
        operation="load",
        object=write.table,
        hint="cast it to DATE or TIMESTAMP",
    )
