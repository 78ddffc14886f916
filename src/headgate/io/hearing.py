"""Calls into libraries that hear no signals, made so that a Ctrl-C is heard all the same."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import TypeVar, cast

T = TypeVar("T")


def hear_again() -> None:
    """Put Python's handler of Ctrl-C back over that of a library, in the main thread; elsewhere nothing happens.

    Polars, which ADBC's drivers import where it is there, leaves one behind that restarts what the system was doing:
    a main thread that waits for another one would never wake.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is threading.main_thread() and handler is not None:
        signal.signal(signal.SIGINT, handler)


def heard(action: Callable[[], T], interrupt: Callable[[], None]) -> T:
    """Do it in another thread while the main thread waits where Python hears signals.

    DuckDB hears none, and ADBC's drivers put a handler of their own in Python's place, which cancels the statement and
    tells nobody why. After a Ctrl-C the call is interrupted, and its end waited for, before the interruption goes on.
    """
    if threading.current_thread() is not threading.main_thread():
        return action()
    hear_again()
    outcome: list[tuple[T | None, BaseException | None]] = []
    done = threading.Event()

    def work() -> None:
        try:
            outcome.append((action(), None))
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            outcome.append((None, error))
        finally:
            done.set()

    threading.Thread(target=work, name="headgate-statement", daemon=True).start()
    try:
        done.wait()
    except BaseException:
        interrupt()
        done.wait()
        raise
    value, failure = outcome[0]
    if failure is not None:
        raise failure
    return cast("T", value)
