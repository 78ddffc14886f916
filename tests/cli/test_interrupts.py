"""A Ctrl-C ends a command, whatever it was doing."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from headgate.cli.interrupts import ended_by_signals
from headgate.core.errors import Code, FatalError
from headgate.execute.interpret import Interpreter

if TYPE_CHECKING:
    from collections.abc import Callable

NO_SUCH_MODULE = "headgate_has_no_such_module"

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


@pytest.fixture
def pressed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of modules whose import was interrupted within Python's machinery."""
    told: list[str] = []

    class Presses:
        def find_spec(self, name: str, *_: Any) -> None:
            if name == NO_SUCH_MODULE:
                frame = sys._getframe(1)
                assert frame.f_code.co_filename.startswith("<frozen importlib")
                handler = signal.getsignal(signal.SIGINT)
                assert callable(handler)
                handler(signal.SIGINT, frame)
                told.append(name)

    monkeypatch.setattr(sys, "meta_path", [Presses(), *sys.meta_path])
    return told


def while_importing(lost: list[int] | None = None) -> None:
    """``lost``: takes the signals that somebody else's handler swallows after the import."""
    with ended_by_signals():
        with suppress(ModuleNotFoundError):  # an interrupt would go through here
            importlib.import_module(NO_SUCH_MODULE)
        if lost is not None:
            ours = signal.signal(signal.SIGINT, lambda number, _: lost.append(number))
            time.sleep(0.2)
            signal.signal(signal.SIGINT, ours)
        time.sleep(20)


def test_an_interrupt_waits_until_the_machinery_of_imports_is_left(pressed: list[str]) -> None:
    """Raised within, it left the lock of all imports held, and the run waited for ever."""
    with pytest.raises(KeyboardInterrupt):
        while_importing()
    assert pressed == [NO_SUCH_MODULE]


@pytest.mark.usefixtures("pressed")
def test_an_interrupt_that_was_put_off_is_sent_until_it_is_raised() -> None:
    """A signal just before a wait does not wake it: one in fifty was slept through until the wait ended by itself."""
    lost: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        while_importing(lost)
    assert len(lost) > 1, "what is sent again is lost again"


def test_signals_at_once_are_one_interrupt() -> None:
    """What reaches a process and its group does not disturb the rolling back that the first began."""
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted_twice(done)
    assert done == ["rolled back"]


def interrupted_twice(done: list[str]) -> None:
    with ended_by_signals():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(20)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            done.append("rolled back")


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


PRESSED_AT_THE_START = """
import os, signal, sys

class Presses:
    def find_spec(self, name, *_):
        if name == "{module}":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Presses())
from headgate.cli.start import main
main()
"""


@pytest.mark.parametrize("module", ["headgate.cli.main", "typer", "headgate.cli.interrupts"])
@pytest.mark.parametrize("output", [[], ["-o", "json"]], ids=["text", "json"])
def test_a_ctrl_c_while_the_program_is_imported_is_one_message(module: str, output: list[str]) -> None:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", PRESSED_AT_THE_START.format(module=module), "runs", *output],
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    said, nothing = (done.stdout, done.stderr) if output else (done.stderr, done.stdout)
    assert (done.returncode, nothing) == (1, "")
    if output:
        error = FatalError(
            Code.INTERRUPTED, "interrupted", operation="command", hint="nothing is half done; call it again"
        )
        assert json.loads(said) == {"error": error.as_dict()}
    else:
        assert said == "error[INTERRUPTED] command: interrupted\n  hint: nothing is half done; call it again\n"


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
