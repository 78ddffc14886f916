"""What Ctrl-C and SIGTERM do to a command: a run rolls back and ends."""

from __future__ import annotations

import signal
import sys
import threading
import time
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


_SAME_PRESS = 0.1
"""Seconds after an interrupt in which another signal is the same one: sent again, or to the whole group."""

_AGAIN = 0.02
"""Seconds until a signal that came at a sensitive moment is sent again."""


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does, so that it rolls back; neither in the middle of a sensitive import."""
    _PRESSED.clear()
    interrupt = _Interrupt()
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
        interrupt.close()
        for each, handler in before.items():
            signal.signal(each, handler)


class _Interrupt:
    """The handler of one command's signals: it raises KeyboardInterrupt, once the moment does no harm.

    A signal that comes just before the main thread waits for something does not wake it, so one that had to be put off
    is sent until it has been raised.
    """

    def __init__(self) -> None:
        self._raised = float("-inf")
        self._heard = threading.Event()
        self._again: threading.Thread | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        _PRESSED.set()
        if time.monotonic() - self._raised < _SAME_PRESS:
            return
        if _importing(frame):
            if self._again is None or not self._again.is_alive():
                self._heard.clear()
                self._again = threading.Thread(target=self._send_again, args=(number,), daemon=True)
                self._again.start()
            return
        self._raised = time.monotonic()
        self._heard.set()
        raise KeyboardInterrupt

    def close(self) -> None:
        """No signal is on its way afterwards, and none is raised."""
        self._raised = float("inf")
        self._heard.set()
        if self._again is not None:
            self._again.join()

    def _send_again(self, number: int) -> None:
        main = threading.main_thread().ident
        assert main is not None
        while not self._heard.wait(_AGAIN):
            signal.pthread_kill(main, number)


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
