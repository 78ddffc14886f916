"""From a target's options to the stage that writes it."""

from __future__ import annotations

from collections.abc import Sequence

from headgate.config.models import Pipeline
from headgate.core.contracts import History, Mode, Partitioning
from headgate.core.engines import Column
from headgate.core.errors import Code, FatalError, nearest
from headgate.core.models import WriteOptions
from headgate.plan.flags import MARKER
from headgate.plan.places import located
from headgate.plan.stages import Write


def marker(target: int) -> str:
    """The column of a pass that says which of its rows delete their key in a target."""
    return f"{MARKER}{target}"


def write_stage(
    pipeline: Pipeline,
    number: int,
    target: WriteOptions,
    relation: str,
    store: str,
    columns: tuple[Column, ...],
    *,
    followed: bool = False,
) -> Write:
    """The stage. ``followed``: the source itself says which rows delete their key.

    Raises:
        FatalError: PLAN_INVALID, with file and line, for columns that are not there.
    """
    wanted = _Names(pipeline, number, target.table, columns)
    mode: Mode = "overwrite" if target.mode == "snapshot" else target.mode
    if target.delete_missing:
        _check_whole_read(pipeline, number, target)
    partition = wanted.all("partition_by", target.partition_by if target.scope == "partition" else None)
    between = wanted.all("interval_column", (target.interval_column,) if target.interval_column else None)
    effective = wanted.all("effective", (target.effective,) if target.effective else None)
    return Write(
        relation,
        number,
        store,
        target.table,
        mode,
        wanted.all("keys", target.keys),
        columns,
        partition,
        between[0] if between else "",
        wanted.new("snapshot_column", target.snapshot_column) if target.mode == "snapshot" else "",
        marker(number) if target.delete_when is not None or followed else "",
        target.delete_missing,
        _history(target, wanted) if target.mode == "scd2" else None,
        effective[0] if effective else "",
        target.dead_letter or "",
        _partitioning(target, wanted),
    )


class _Names:
    """The columns of the rows, as a target's options name them."""

    def __init__(self, pipeline: Pipeline, number: int, table: str, columns: Sequence[Column]) -> None:
        self._pipeline, self._number, self._table = pipeline, number, table
        self._known = {item.name.lower(): item.name for item in columns}
        self._types = {item.name: item.type for item in columns}

    def all(self, option: str, names: Sequence[str] | None) -> tuple[str, ...]:
        """Columns in their own spelling."""
        for name in names or ():
            if name.lower() not in self._known:
                what = "merge key" if option == "keys" else option.replace("_", " ")
                hint = nearest(name, self._known.values())
                raise self.wrong(option, f'{what} "{name}" is not a column of the rows; {hint}')
        return tuple(self._known[name.lower()] for name in names or ())

    def type(self, column: str) -> str:
        return self._types[column]

    def new(self, option: str, name: str) -> str:
        """A column that is added, so that it may not be there."""
        if name.lower() in self._known:
            raise self.wrong(option, f'the rows have a column "{name}" already', f"choose another name: {option}: …")
        return name

    def wrong(self, option: str, message: str, hint: str = "") -> Exception:
        error = FatalError(Code.PLAN_INVALID, message, operation="plan", object=self._table, hint=hint)
        return located(error, self._pipeline, ("targets", self._number, option))

    @property
    def names(self) -> list[str]:
        return list(self._known.values())


def _partitioning(target: WriteOptions, wanted: _Names) -> Partitioning | None:
    if target.partitioning is None:
        return None
    (column,) = wanted.all("partitioning", (target.partitioning.column,))
    if target.partitioning.by != "value" and not wanted.type(column).startswith(("DATE", "TIMESTAMP")):
        message = f'"{column}" is {wanted.type(column)}, and parts by {target.partitioning.by} need a date or time'
        raise wanted.wrong("partitioning", message, f"cast the column first, or use {{column: {column}, by: value}}")
    return Partitioning(column, target.partitioning.by)


def _history(target: WriteOptions, wanted: _Names) -> History:
    columns = target.history
    effective = target.effective or ""
    since = columns.valid_from
    if since.lower() != effective.lower():
        wanted.new("history", since)
    else:
        (since,) = wanted.all("effective", (effective,))
    for name in (columns.valid_to, columns.is_current, columns.version):
        wanted.new("history", name)
    keys = {key.lower() for key in target.keys or ()}
    if target.track:
        track = wanted.all("track", target.track)
    else:
        track = tuple(name for name in wanted.names if name.lower() not in {*keys, effective.lower()})
    return History(since, columns.valid_to, columns.is_current, columns.version, track)


def _check_whole_read(pipeline: Pipeline, number: int, target: WriteOptions) -> None:
    """What a part of the source does not have is not missing."""
    source = pipeline.sources[0]
    if source.mode != "full" or source.max_records is not None or len(pipeline.sources) > 1:
        error = FatalError(
            Code.PLAN_INVALID,
            "delete_missing deletes what the rows do not have, so they must be a full read of one source",
            operation="plan",
            object=target.table,
            hint="read with mode: full and without max_records, or mark deleted rows with delete_when",
        )
        raise located(error, pipeline, ("targets", number, "delete_missing"))
