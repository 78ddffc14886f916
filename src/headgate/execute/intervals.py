"""The time a run is for, and what its sources may know of it. Light: the probe for nothing new needs only this."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from headgate.core.contracts import Interval, ReadContext
from headgate.core.errors import Code, FatalError
from headgate.execute.workspace import Workspace


def read_context(
    workspace: Workspace,
    run_id: str,
    interval: Interval | None,
    variables: Mapping[str, str],
    on_news: Callable[[], None] = lambda: None,
    *,
    pipeline: str = "",
    trial: bool = False,
) -> ReadContext:
    """What sources may know of a run; the interval's ends are dates or UTC times."""
    values: dict[str, Any] = {f"var.{name}": value for name, value in variables.items()}
    values["run_id"] = run_id
    if interval is not None:
        start = parse_time(interval.start)
        values |= {"ds": start.date(), "interval_start": start, "interval_end": parse_time(interval.end)}
    project = workspace.project
    size = project.defaults.batch_size
    context = ReadContext(project.root, values, interval, size, on_news, project.name, pipeline, trial)
    if not pipeline:
        return context
    whose = (project.name, pipeline)
    return replace(
        context,
        note=lambda name, document: workspace.history.note(*whose, name, document),
        noted=lambda name: workspace.history.noted(*whose, name),
    )


def parse_time(text: str) -> datetime:
    """A date or an ISO time as a naive UTC datetime."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise FatalError(
            Code.USAGE,
            f'"{text}" is not a date',
            operation="interval",
            object=text,
            hint="write 2024-01-31 or 2024-01-31T06:00",
        ) from None
    if value.tzinfo is not None:
        value = (value - (value.utcoffset() or timedelta(0))).replace(tzinfo=None)
    return value


def interval_of(date_: str | None, start: str | None, end: str | None) -> Interval | None:
    """The interval that the flags name. Raises USAGE when they do not name one."""
    if date_ is not None:
        if start or end:
            raise FatalError(
                Code.USAGE, "--date stands alone", operation="interval", hint="use --date or --start with --end"
            )
        day = parse_time(date_)
        return Interval(_text(day), _text(day + timedelta(days=1)))
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise FatalError(Code.USAGE, "--start and --end go together", operation="interval", hint="give both")
    low, high = parse_time(start), parse_time(end)
    if low >= high:
        raise FatalError(
            Code.USAGE, "the start is not before the end", operation="interval", object=f"{start} … {end}",
            hint="the end is exclusive",
        )  # fmt: skip
    return Interval(_text(low), _text(high))


def seconds(interval: Interval) -> float:
    """How long an interval is."""
    return (parse_time(interval.end) - parse_time(interval.start)).total_seconds()


def _text(value: datetime) -> str:
    return value.date().isoformat() if value.time() == datetime.min.time() else value.isoformat()


def work_folder(workspace: Workspace, run_id: str) -> Path:
    """Where one run spools and spills; removed when the run ends, and by the next run when it was killed."""
    return workspace.state / "work" / run_id
