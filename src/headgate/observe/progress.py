"""Progress: a line that moves on a terminal, plain lines where output is piped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import IO, TYPE_CHECKING

from headgate.core.events import Event, Listener, Phase, Step
from headgate.core.secrets import mask
from headgate.observe.words import rows, words

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PAUSE = timedelta(seconds=2)
"""At most one plain line about rows in this time."""


@contextmanager
def progress(stream: IO[str]) -> Iterator[Listener]:
    """A listener that tells ``stream`` how a run goes; what it drew is gone afterwards."""
    if stream.isatty():
        with moving(stream) as listener:
            yield listener
    else:
        yield PlainLines(stream)


class PlainLines:
    """One line a stage, and now and then the rows so far."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._told: datetime | None = None

    def __call__(self, event: Event) -> None:
        if event.step is Step.PROGRESS:
            if self._told is None:
                self._told = event.at
            if event.at - self._told >= PAUSE:
                self._told = event.at
                self._tell(event, f"{rows(int(event.detail.get('rows', 0)))} so far")
            return
        text = words(event)
        if text is not None:
            self._told = event.at
            self._tell(event, text)

    def _tell(self, event: Event, text: str) -> None:
        print(mask(f"{event.pipeline}: {text}"), file=self._stream, flush=True)


class MovingLine:
    """One line that shows stage, rows so far and time."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        if event.step is Step.RUN and event.phase is Phase.AFTER:
            task = self._tasks.pop(event.pipeline, None)
            if task is not None:
                self._bar.remove_task(task)
            return
        task = self._task(event.pipeline)
        if event.step is Step.PROGRESS:
            self._bar.update(task, rows=rows(int(event.detail.get("rows", 0))))
            return
        text = words(event)
        if text is not None:
            self._bar.update(task, description=f"{event.pipeline}: {mask(text)}")

    def _task(self, pipeline: str) -> TaskID:
        if pipeline not in self._tasks:
            self._tasks[pipeline] = self._bar.add_task(f"{pipeline}: starting", total=None, rows="")
        return self._tasks[pipeline]


@contextmanager
def moving(stream: IO[str]) -> Iterator[Listener]:
    """A moving line by rich, for terminals."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.fields[rows]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(file=stream), transient=True) as bar:
        yield MovingLine(bar)
