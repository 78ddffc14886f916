"""A Ctrl-C ends a command, whatever it was doing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from headgate.execute.interpret import Interpreter

if TYPE_CHECKING:
    from collections.abc import Callable

PRESSED_IN_THE_IMPORT = """
import os, signal, sys, time
from headgate.cli.interrupts import ended_by_signals

class Presses:
    def find_spec(self, name, path=None, target=None):
        if name == "_duckdb":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Presses())
try:
    with ended_by_signals():
        import duckdb
        time.sleep(60)
except KeyboardInterrupt:
    print(sys.modules["duckdb"].execute("SELECT 42").fetchone())
"""


def test_an_interrupt_waits_until_duckdb_is_imported() -> None:
    """In the middle of its import it took the process down."""
    child = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", PRESSED_IN_THE_IMPORT], capture_output=True, text=True, timeout=50, check=False
    )
    assert (child.returncode, child.stdout) == (0, "(42,)\n"), child.stderr


def test_an_interrupt_that_a_library_dropped_ends_the_run_at_its_next_step(
    headgate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Interpreter.interpret

    def dropped(self: Interpreter) -> None:
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        whole(self)

    monkeypatch.setattr(Interpreter, "interpret", dropped)
    answer = headgate("run", "orders")
    assert answer.status == 1
    assert "error[INTERRUPTED] run orders: the run was interrupted" in answer.err
    monkeypatch.undo()
    assert headgate("run", "orders").status == 0, "the next run hears of nothing"


def test_an_interrupt_before_the_command_is_known_is_one_line() -> None:
    program = """
import sys
class CtrlC:
    def find_spec(self, name, *_):
        if name == "typer._click.decorators":
            raise KeyboardInterrupt
import headgate.cli.main
sys.modules.pop("typer._click.decorators", None)
sys.meta_path.insert(0, CtrlC())
from headgate.cli.start import main
main()
"""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program, "runs"], capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error[INTERRUPTED]")
