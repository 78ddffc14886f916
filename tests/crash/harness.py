"""Kills runs and looks what is left. A child is forked for every run: it dies alone, and starts in no time.

The parent imports everything and opens nothing, so that a fork is a fresh process without the start-up.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from headgate.core.events import Event, Listener, Step

PRELOAD = (
    "headgate.execute.runner",
    "headgate.execute.interpret",
    "headgate.execute.replay",
    "headgate.commands.handle",
    "headgate.commands.run",
    "headgate.engines.duckdb",
    "headgate.lake.iceberg",
    "headgate.sources.local",
    "headgate.sources.sqlite",
    "headgate.targets.local",
    "headgate.targets.sqlite",
    "headgate.io.sqlite_transaction",
    "headgate.commands.staged",
    "headgate.sources.postgres",
    "headgate.sources.postgres.source",
    "headgate.sources.python",
    "headgate.io.postgres.connection",
    "headgate.targets.postgres.store",
    "headgate.io.cursor_batches",
    "headgate.io.cursor_delivery",
    "headgate.lake._iceberg.store",
    "headgate.lake._iceberg.snapshots",
    "headgate.lake._iceberg.transaction",
    "headgate.lake._iceberg.sweep",
    "headgate.sources.mysql",
    "headgate.targets.mysql",
    "headgate.io.mysql.backend",
    "headgate.io.mysql.reading",
    "headgate.io.relational.store",
    "headgate.io.relational.trials",
    "headgate.sources.duckdb",
    "headgate.targets.duckdb",
    "headgate.io.duckdb.reading",
    "pymysql",
    "psycopg",
    "pgpq",
    "adbc_driver_postgresql",
    "headgate.transforms.filter",
    "headgate.transforms.cast",
    "headgate.quality.range",
    "headgate.lake._iceberg.fileio",
    "duckdb",
    "sqlglot.dialects.duckdb",
    "pyarrow.parquet",
    "pyarrow.compute",
    "pyarrow.acero",
    "dateutil.relativedelta",
    "pyarrow.dataset",
    "pyiceberg.table",
    "pyiceberg.io.pyarrow",
    "tenacity",
)


def preload() -> None:
    """Import what runs import, lazily loaded modules too."""
    for name in PRELOAD:
        importlib.import_module(name)
    from headgate.core.registry import GROUPS, PackageRegistry

    for group in GROUPS:
        PackageRegistry().kinds(group)


@dataclass(frozen=True)
class Outcome:
    """How a child ended: its own report, or the signal that killed it."""

    killed: bool
    report: dict[str, Any]


class Child:
    """An action in a forked process of its own, begun at once.

    Tests fork from the main thread, and start no other for it. Beside threads that come and go, a child may get the
    stack of one that was ending, with pointers to what Polars' allocator kept for it: DuckDB's next thread takes that
    stack, and dies of them when it ends.
    """

    def __init__(self, action: Callable[[], dict[str, Any]], *, seconds: int = 60) -> None:
        assert threading.current_thread() is threading.main_thread(), "children are forked from the main thread only"
        self._read, write = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._read)
            _report(action, write, seconds)
        os.close(write)

    def end(self) -> Outcome:
        """Wait for it: how it ended."""
        with os.fdopen(self._read, "rb") as pipe:
            data = pipe.read()
        _, status = os.waitpid(self._pid, 0)
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) in (signal.SIGKILL, signal.SIGALRM), f"died of signal {os.WTERMSIG(status)}"
            return Outcome(True, {})
        report = json.loads(data)
        assert "crashed" not in report, report["crashed"]
        return Outcome(False, report)


def _report(action: Callable[[], dict[str, Any]], write: int, seconds: int) -> NoReturn:
    """In the child: do it, tell the parent, and end, also if there is no parent any more: it must not go on as one."""
    signal.alarm(seconds)
    try:
        try:
            data = json.dumps(action()).encode()
        except BaseException:  # noqa: BLE001 - the report of a child that failed is its traceback
            data = json.dumps({"crashed": traceback.format_exc()}).encode()
        with os.fdopen(write, "wb") as pipe:
            pipe.write(data)
        sys.stdout.flush()
    finally:
        os._exit(0)


def in_child(action: Callable[[], dict[str, Any]], *, seconds: int = 60) -> Outcome:
    """Run ``action`` in a forked child and wait for it."""
    return Child(action, seconds=seconds).end()


def run_here(root: Path, pipeline: str, listener: Listener | None = None, **options: Any) -> dict[str, Any]:
    """Run a pipeline in this process; its receipt, or its error."""
    from headgate.commands.models import RunPipeline

    return do_here(root, RunPipeline(pipeline=pipeline, **options), listener)


def do_here(root: Path, command: Any, listener: Listener | None = None) -> dict[str, Any]:
    """Do a command in this process; its receipt, or its error."""
    from headgate.commands.handle import handle
    from headgate.execute.workspace import Workspace

    with Workspace.load(root, listeners=(listener,) if listener else ()) as workspace:
        result = handle(command, workspace)
        if result.value is not None:
            receipt: dict[str, Any] = result.value if isinstance(result.value, dict) else result.value.as_dict()
            return receipt
        assert result.failure is not None
        return {"error": result.failure.as_dict(), "status": "none"}


def events_of(root: Path, pipeline: str, *, status: str = "success", **options: Any) -> list[str]:
    """The names of all events of one run, in order; progress apart."""

    def action() -> dict[str, Any]:
        names: list[str] = []
        listener: Listener = lambda event: names.append(event.name) if _counts(event) else None  # noqa: E731
        receipt = run_here(root, pipeline, listener, **options)
        assert receipt["status"] == status, receipt
        return {"names": names}

    names: list[str] = in_child(action).report["names"]
    return names


def _counts(event: Event) -> bool:
    return event.step is not Step.PROGRESS


def at(number: int, action: Callable[[Event], None]) -> Listener:
    """A listener that does something at the ``number``-th event, once."""
    seen = 0

    def listen(event: Event) -> None:
        nonlocal seen
        if _counts(event):
            seen += 1
            if seen == number + 1:
                action(event)

    return listen


def killer(number: int) -> Listener:
    """A listener that kills the process at the ``number``-th event."""
    return at(number, lambda _: os.kill(os.getpid(), signal.SIGKILL))


def run_killed(root: Path, pipeline: str, number: int, **options: Any) -> Outcome:
    """A run in a child that is killed at the ``number``-th event."""
    return in_child(lambda: run_here(root, pipeline, killer(number), **options))


def failer(number: int, error: Exception) -> Listener:
    """A listener that raises at the ``number``-th event."""

    def fail(_: Event) -> None:
        raise error

    return at(number, fail)


def at_name(name: str, action: Callable[[], None]) -> Listener:
    """A listener that does something at the first event of that name."""
    done = False

    def listen(event: Event) -> None:
        nonlocal done
        if event.name == name and not done:
            done = True
            action()

    return listen


def kill_after(seconds: float) -> None:
    """Let this process be killed in a moment, wherever it is then."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
