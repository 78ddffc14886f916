"""Computing runs ahead of writing by a few batches: one thread computes while the caller writes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")

DEPTH = 2
"""Batches that wait; each may be tens of megabytes."""


def ahead(items: Iterator[T], depth: int = DEPTH) -> Iterator[T]:
    """The same items in the same order, produced in another thread, at most ``depth`` before they are asked for.

    An error of ``items`` is raised here, after the items before it. When the caller stops early, the thread ends with
    the item it is at; the generator waits for that, so that nobody closes what the thread still reads.
    """
    waiting: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
    stopped = threading.Event()

    def produce() -> None:
        try:
            for item in items:
                if not _offer((item, None)):
                    return
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            _offer((None, error))
        else:
            _offer((None, None))

    def _offer(entry: tuple[T | None, BaseException | None]) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    thread = threading.Thread(target=produce, name="headgate-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item
    finally:
        stopped.set()
        thread.join()
