"""Blocks of code in a page, and a runner of its console sessions."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ID = re.compile(r"\b[0-9a-f]{12}(?:-\d+)?\b")
UNORDERED = "headgate quarantine list"
"""Entries of one run are numbered as their first rows came."""


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, the file that it is (``file=PATH``), its text and line in the page."""

    language: str
    file: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(found[1], found[2] or "", found[3], text.count("\n", 0, found.start()) + 2)
        for found in re.finditer(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


@dataclass
class Session:
    """Runs blocks one after another. Ids of runs on the page stand for the ids that the session really gets."""

    folder: Path
    ids: dict[str, str] = field(default_factory=dict)
    python_path: str = ""

    def run(self, block: Block) -> None:
        """Write a file, run Python, or run commands and compare what they print. Raises AssertionError."""
        if block.file:
            path = self.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            for command, expected in _commands(block.text):
                printed = self._shell(self._known(command))
                self._compare(printed, expected, command, block.line)
        elif block.language == "python":
            done = self.process([sys.executable, "-c", block.text])
            assert done.returncode == 0, f"line {block.line}: {done.stderr}"

    def _known(self, command: str) -> str:
        return ID.sub(lambda found: self.ids.get(found[0], found[0]), command)

    def _shell(self, command: str) -> str:
        place = self.folder.parent / "place"
        done = self.process(["bash", "-c", f'{command}\nstatus=$?; pwd > "{place}"; exit $status'])
        assert done.returncode == 0, f"{command}: exit status {done.returncode}\n{done.stdout}{done.stderr}"
        self.folder = Path(place.read_text().strip())
        return done.stdout + done.stderr

    def process(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a program in the session's folder, with this environment's programs first."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {"PATH": path, "HOME": str(self.folder.parent), "LANG": "C.UTF-8", "NO_COLOR": "1"}
        environment |= {"PYTHONPATH": self.python_path} if self.python_path else {}
        return subprocess.run(  # noqa: S603 - commands of our own pages
            arguments, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    def _compare(self, printed: str, expected: list[str], command: str, line: int) -> None:
        """The expected lines are printed in this order; there may be others between them."""
        left = [text.strip() for text in printed.splitlines()]
        for wanted in expected:
            pattern = re.compile(self._pattern(wanted))
            at = next((index for index, text in enumerate(left) if pattern.fullmatch(text)), None)
            assert at is not None, f"line {line}: {command}\nexpected: {wanted}\nprinted:\n{printed}"
            found = pattern.fullmatch(left[at])
            assert found is not None
            self.ids.update(zip(ID.findall(wanted), found.groups(), strict=False))
            left = [*left[:at], *left[at + 1 :]] if command.startswith(UNORDERED) else left[at + 1 :]

    def _pattern(self, wanted: str) -> str:
        """A line of the page as a pattern: … is anything, ids are taken down, the width of blanks is free."""
        parts = ID.split(wanted.strip())
        found = [re.sub(r"(?:\\ )+", r"\\s+", re.escape(part)).replace("…", ".*") for part in parts]
        ids = [self.ids.get(known) for known in ID.findall(wanted)]
        texts = [f"({re.escape(one)})" if one else r"([0-9a-f]{12}(?:-\d+)?)" for one in ids] + [""]
        return "".join(part + text for part, text in zip(found, texts, strict=True)).replace(r".*\s+", r"(?:.*\s+)?")


def _commands(text: str) -> list[tuple[str, list[str]]]:
    """Commands of a console block, each with the lines that it must print; a lone … says nothing."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.strip() not in ("", "…"):
            found[-1][1].append(line)
    return found
