"""Producing runs ahead of consuming by a few items: in threads of its own, while the caller works on what is there."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar, cast

from headgate.core.errors import Code, FatalError
from headgate.io.hearing import hear_again

T = TypeVar("T")

DEPTH = 2
"""Items that wait, for each of the iterators; each may be tens of megabytes."""
_END = object()


class _Failed:
    """An error on its way to the caller's thread."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Ahead(Generic[T]):
    """The items of one iterator or several, each produced in a thread of its own.

    Those of one come in its order, those of several as they are ready. An error is raised where they are consumed,
    after the items before it. Threads start with the first item that is asked for, or before.

    Args:
        items: what to run ahead of.
        depth: how many items may wait for each iterator.
        cancel: makes the items that are being produced end soon, for a caller that stops early; it waits for them, so
            that nobody closes what a thread still reads.
    """

    def __init__(self, *items: Iterator[T], depth: int = DEPTH, cancel: Callable[[], None] = lambda: None) -> None:
        self._items, self._cancel = items, cancel
        self._waiting: queue.Queue[T | _Failed | object] = queue.Queue(depth * len(items))
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Let the threads begin. Whoever has let them must close."""
        self._threads = [
            threading.Thread(target=self._produce, args=(items,), name="headgate-ahead", daemon=True)
            for items in self._items
        ]
        for thread in self._threads:
            thread.start()
        hear_again()

    def __iter__(self) -> Iterator[T]:
        """Once. Stops the threads when it is left."""
        if not self._threads:
            self.start()
        left = len(self._threads)
        try:
            while left:
                item = self._waiting.get()
                if self._stopped.is_set():
                    raise FatalError(Code.INTERRUPTED, "the reading was ended", operation="scan")
                if isinstance(item, _Failed):
                    left -= 1
                    raise item.error
                if item is _END:
                    left -= 1
                else:
                    yield cast("T", item)
        finally:
            self.close(cancel=left > 0)

    def close(self, *, cancel: bool = True) -> None:
        """Nobody wants more. Waits for the threads, and wakes whoever waits for an item in another one."""
        self._stopped.set()
        if cancel and any(thread.is_alive() for thread in self._threads):
            self._cancel()
        for thread in self._threads:
            thread.join()
        with suppress(queue.Full):
            self._waiting.put_nowait(_END)

    def _produce(self, items: Iterator[T]) -> None:
        try:
            for item in items:
                if not self._offer(item):
                    return
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            self._offer(_Failed(error))
        else:
            self._offer(_END)

    def _offer(self, item: object) -> bool:
        """Put an item when there is room; False when nobody wants it any more."""
        while not self._stopped.is_set():
            try:
                self._waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False
