"""Kills runs and looks what is left. A child is forked for every run: it dies alone, and starts in no time.

The parent imports everything and opens nothing, so that a fork is a fresh process without the start-up.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    "headgate.transforms.filter",
    "headgate.transforms.cast",
    "headgate.quality.range",
    "pyarrow.parquet",
    "pyarrow.compute",
    "tenacity",
)


def preload() -> None:
    """Import what runs import, lazily loaded modules too."""
    for name in PRELOAD:
        importlib.import_module(name)


@dataclass(frozen=True)
class Outcome:
    """How a child ended: its own report, or the signal that killed it."""

    killed: bool
    report: dict[str, Any]


def in_child(action: Callable[[], dict[str, Any]], *, seconds: int = 60) -> Outcome:
    """Run ``action`` in a forked child and wait for it."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        signal.alarm(seconds)
        try:
            data = json.dumps(action()).encode()
        except BaseException:  # noqa: BLE001 - the report of a child that failed is its traceback
            data = json.dumps({"crashed": traceback.format_exc()}).encode()
        with os.fdopen(write, "wb") as pipe:
            pipe.write(data)
        sys.stdout.flush()
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL, f"the child died of signal {os.WTERMSIG(status)}"
        return Outcome(True, {})
    report = json.loads(data)
    assert "crashed" not in report, report["crashed"]
    return Outcome(False, report)


def run_here(root: Path, pipeline: str, listener: Listener | None = None, **options: Any) -> dict[str, Any]:
    """Run a pipeline in this process; its receipt, or its error."""
    from headgate.commands.handle import handle
    from headgate.commands.models import RunPipeline
    from headgate.execute.workspace import Workspace

    with Workspace.load(root, listeners=(listener,) if listener else ()) as workspace:
        result = handle(RunPipeline(pipeline=pipeline, **options), workspace)
        if result.value is not None:
            receipt: dict[str, Any] = result.value.as_dict()
            return receipt
        assert result.failure is not None
        return {"error": result.failure.as_dict(), "status": "none"}


def events_of(root: Path, pipeline: str) -> list[str]:
    """The names of all events of one run, in order; progress apart."""

    def action() -> dict[str, Any]:
        names: list[str] = []
        receipt = run_here(root, pipeline, lambda event: names.append(event.name) if _counts(event) else None)
        assert receipt["status"] == "success", receipt
        return {"names": names}

    names: list[str] = in_child(action).report["names"]
    return names


def _counts(event: Event) -> bool:
    return event.step is not Step.PROGRESS


def killer(number: int) -> Listener:
    """A listener that kills the process at the ``number``-th event."""
    seen = 0

    def listen(event: Event) -> None:
        nonlocal seen
        if _counts(event):
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1

    return listen


@dataclass(frozen=True)
class Snapshot:
    """A project as it was, to be put back at the same place: lakes know their own path."""

    root: Path
    copy: Path

    @classmethod
    def take(cls, root: Path) -> Snapshot:
        copy = root.with_name(root.name + ".snapshot")
        if copy.exists():
            shutil.rmtree(copy)
        shutil.copytree(root, copy, symlinks=True)
        return cls(root, copy)

    def restore(self) -> None:
        shutil.rmtree(self.root)
        shutil.copytree(self.copy, self.root, symlinks=True)
