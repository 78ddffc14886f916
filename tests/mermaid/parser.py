"""Mermaid's own parser, in one process of Node.js that answers one diagram after the other."""

from __future__ import annotations

import fcntl
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.mermaid.needed import program

FOLDER = Path(__file__).parent
PACKAGES = FOLDER / "node_modules"
LOCK = FOLDER / "package-lock.json"


class UnparsableError(AssertionError):
    """What Mermaid says of a text that it cannot parse."""


class Parser:
    """Asks the process; :meth:`kind` raises for what does not parse."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._ask: IO[str] = process.stdin
        self._answer: IO[str] = process.stdout

    def kind(self, text: str) -> str:
        """The diagram's type, such as flowchart-v2, sequence, er, stateDiagram, gitGraph. Raises UnparsableError."""
        self._ask.write(json.dumps(text) + "\n")
        self._ask.flush()
        answer = json.loads(self._answer.readline())
        if "error" in answer:
            raise UnparsableError(f"{answer['error']}\n\n{text}")
        return str(answer["kind"])


@contextmanager
def running_parser() -> Iterator[Parser]:
    """Start the parser; its packages are installed as they are locked, if they are not there yet."""
    packages()
    node = program("node")
    with subprocess.Popen(  # noqa: S603 - our own script
        [node, "parse.mjs"], cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        yield Parser(process)
        assert process.stdin is not None
        process.stdin.close()


def packages() -> Path:
    """The folder of the locked packages of the npm registry. Without Node.js the test is skipped, or fails in CI."""
    npm = program("npm")
    with (FOLDER / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # workers share the folder
        mark = PACKAGES / ".installed"
        locked = LOCK.read_text()
        if not mark.exists() or mark.read_text() != locked:
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            subprocess.run(command, cwd=FOLDER, check=True, capture_output=True, timeout=280)  # noqa: S603
            mark.write_text(locked)
    return PACKAGES
