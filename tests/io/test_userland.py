"""Modules of the user's project are loaded beside whatever else is being imported."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest

from headgate.core.errors import FatalError
from headgate.io.userland import load_function


def test_functions_are_loaded_while_another_thread_imports(tmp_path: Path) -> None:
    done = threading.Event()

    def importing() -> None:
        number = 0
        while not done.is_set():
            number += 1
            name = f"headgate_test_{number % 500}"
            if sys.modules.pop(name, None) is None:
                sys.modules[name] = ModuleType(name)

    thread = threading.Thread(target=importing)
    before, interval = set(sys.modules), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        for number in range(50):
            (tmp_path / f"m{number}.py").write_text("def one():\n    return 1\n")
            assert load_function(f"m{number}:one", tmp_path)() == 1
    finally:
        done.set()
        thread.join()
        sys.setswitchinterval(interval)
        for name in set(sys.modules) - before:
            if name.startswith("headgate_test_"):
                del sys.modules[name]


def test_code_that_ends_the_program_is_an_error_like_any_other(tmp_path: Path) -> None:
    """Its status would pass for one of ours: 3 says that a rule refused."""
    (tmp_path / "leaving.py").write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(FatalError, match="SystemExit: 3"):
        load_function("leaving:one", tmp_path)
