"""The memory of a run in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def peak(project: Path) -> float:
    """The most memory, in megabytes, that a run of the pipeline ``load`` took."""
    program = str(Path(sys.executable).with_name("headgate"))
    command = [program, "run", "load", "-C", str(project), "-o", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603 - the program itself
        assert process.stdout is not None
        told = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert json.loads(told)["status"] == "success", told
    return usage.ru_maxrss / 1000
