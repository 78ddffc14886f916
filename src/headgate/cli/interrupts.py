"""What Ctrl-C and SIGTERM do to a command: a run rolls back and ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

    from headgate.core.events import Event

_PRESSED = threading.Event()
_FORWARD = frozenset(
    {"plan.before", "claim.before", "begin.before", "scan.before", "stage.before", "audit.before", "publish.before",
     "progress.now"}
)  # fmt: skip

SENSITIVE = "duckdb"
"""A module that takes the process down when it is interrupted while it is imported."""


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does, so that it rolls back; neither in the middle of a sensitive import."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        _PRESSED.set()
        if _importing(frame):
            again = threading.Timer(0.02, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
            return
        raise KeyboardInterrupt

    _PRESSED.clear()
    before: dict[int, Any] = {}
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, interrupt)
    except ValueError:  # not the main thread: whoever runs it there minds the signals
        yield
        return
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _importing(frame: FrameType | None) -> bool:
    """Whether an exception would do harm here: it can leave a lock of Python's imports held for ever."""
    if frame is not None and frame.f_code.co_filename.startswith("<frozen importlib"):
        return True
    module = sys.modules.get(SENSITIVE)
    return module is not None and bool(getattr(module.__spec__, "_initializing", False))


def insist(event: Event) -> None:
    """A listener that interrupts a run which goes forward although it was interrupted.

    An exception that is raised while a library's native code calls Python can be dropped there.
    """
    if _PRESSED.is_set() and event.name in _FORWARD:
        raise KeyboardInterrupt
