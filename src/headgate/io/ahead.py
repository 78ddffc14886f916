"""Computing runs ahead of writing by a few batches: one thread computes while the caller writes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from headgate.io.hearing import hear_again

T = TypeVar("T")

DEPTH = 2
"""Batches that wait; each may be tens of megabytes."""


def ahead(items: Iterator[T], depth: int = DEPTH, cancel: Callable[[], None] = lambda: None) -> Iterator[T]:
    """The same items in the same order, produced in another thread, at most ``depth`` before they are asked for.

    An error of ``items`` is raised here, after the items before it. When the caller stops early, the thread ends with
    the item it is at; the generator waits for that, so that nobody closes what the thread still reads. ``cancel`` is
    called first and should make that item end soon.
    """
    producer = _Producer(items, depth)
    thread = threading.Thread(target=producer.run, name="headgate-ahead", daemon=True)
    thread.start()
    hear_again()
    finished = False
    try:
        while True:
            item, error, ended = producer.waiting.get()
            if error is not None:
                finished = True
                raise error
            if ended:
                finished = True
                return
            assert item is not None
            yield item
    finally:
        producer.stopped.set()
        if not finished:
            cancel()
        thread.join()


class _Producer(Generic[T]):
    def __init__(self, items: Iterator[T], depth: int) -> None:
        self._items = items
        self.waiting: queue.Queue[tuple[T | None, BaseException | None, bool]] = queue.Queue(depth)
        self.stopped = threading.Event()

    def run(self) -> None:
        try:
            for item in self._items:
                if not self._offer(item, None):
                    return
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            self._offer(None, error)
        else:
            self._offer(None, None, ended=True)

    def _offer(self, item: T | None, error: BaseException | None, *, ended: bool = False) -> bool:
        """Put an entry when there is room; False when nobody wants it any more."""
        while not self.stopped.is_set():
            try:
                self.waiting.put((item, error, ended), timeout=0.1)
            except queue.Full:
                continue
            return True
        return False
