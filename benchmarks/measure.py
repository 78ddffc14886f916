"""What a command costs: wall and CPU seconds, peak memory of its process tree; and how to show it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "bench"
HEADGATE = str(Path(sys.executable).with_name("headgate"))
_SAMPLE_SECONDS = 0.02
_SAMPLES_A_LOOK = 10
"""Samples between two looks for new processes of the tree."""


@dataclass(frozen=True)
class Cost:
    """One measured command. CPU counts the whole tree; memory is the highest sum of resident sets, in MB."""

    wall: float
    cpu: float
    peak_mb: float
    stdout: str = ""


class MeasurementError(Exception):
    """A command that was to be measured did not do its work."""


def run(command: Sequence[str], *, cwd: Path = ROOT, environment: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its end and measure it.

    Raises:
        MeasurementError: it exited with another status than 0; its last words are in the message.
    """
    surroundings = {**os.environ, **(environment or {})}
    surroundings.pop("PYTHONDONTWRITEBYTECODE", None)  # nobody compiles what is installed at every start
    before = os.times()
    started = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - the commands stand in this folder
        list(command),
        cwd=cwd,
        env=surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    peak = [0]
    watcher = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
    watcher.start()
    stdout, stderr = process.communicate()
    wall = time.perf_counter() - started
    after = os.times()
    watcher.join()
    if process.returncode != 0:
        words = (stderr or stdout).decode(errors="replace")[-2000:]
        raise MeasurementError(f"{' '.join(command)} exited with {process.returncode}: {words}")
    cpu = (after.children_user - before.children_user) + (after.children_system - before.children_system)
    return Cost(wall, cpu, peak[0] / 1e6, stdout.decode())


def _watch(pid: int, peak: list[int]) -> None:
    """Sample the tree's resident memory until its root is gone."""
    try:
        root = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return
    tree = [root]
    for sample in count():
        if not root.is_running() or root.status() == psutil.STATUS_ZOMBIE:
            return
        if sample % _SAMPLES_A_LOOK == 0:  # it looks at all processes of the machine
            with suppress(psutil.NoSuchProcess):
                tree = [root, *root.children(recursive=True)]
        total = 0
        for process in tree:
            with suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        peak[0] = max(peak[0], total)
        time.sleep(_SAMPLE_SECONDS)


def headgate(*arguments: str, project: Path) -> tuple[Cost, Any]:
    """Measure ``headgate … -C project -o json`` and parse what it prints."""
    cost = run([HEADGATE, *arguments, "-C", str(project), "-o", "json"])
    return cost, json.loads(cost.stdout)


def fresh(name: str) -> Path:
    """An empty folder for one measurement."""
    folder = CACHE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@dataclass(frozen=True)
class Summary:
    """The medians of several costs."""

    name: str
    wall: float
    cpu: float
    peak_mb: float
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None
    note: str = ""


def summarise(name: str, costs: Sequence[Cost], **more: Any) -> Summary:
    return Summary(
        name,
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.cpu for cost in costs),
        max(cost.peak_mb for cost in costs),
        **more,
    )


def interleaved(times: int, sides: Mapping[str, Callable[[], Cost]]) -> dict[str, list[Cost]]:
    """Measure each side ``times`` times, in turns, so that a noisy minute meets them all."""
    costs: dict[str, list[Cost]] = {name: [] for name in sides}
    for turn in range(times):
        for name, measure in sides.items():
            cost = measure()
            costs[name].append(cost)
            tell(f"{turn + 1}/{times} {name}: {cost.wall:.2f} s, {cost.cpu:.2f} CPU s, {cost.peak_mb:.0f} MB")
    return costs


def arguments(description: str, *, times: int = 3) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("-o", "--output", type=Path, help="write the figures to this file too, as JSON")
    parser.add_argument("--times", type=int, default=times, help=f"measure so often (default {times})")
    parser.add_argument(
        "--only", default="", help="only sides whose name has this in it (the limit is always measured)"
    )
    return parser


def report(question: str, summaries: Sequence[Summary], output: Path | None) -> int:
    """Print the table and write the JSON; the exit status is 1 when a goal was missed."""
    print(f"\n{question}\n")
    print(f"{'':42} {'wall s':>8} {'CPU s':>8} {'peak MB':>8} {'ratio':>6}  goal")
    for row in summaries:
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
        verdict = {True: "met", False: "MISSED", None: ""}[row.met]
        end = f"  {row.goal} {verdict} {row.note}".rstrip()
        print(f"{row.name:42} {row.wall:8.3f} {row.cpu:8.3f} {row.peak_mb:8.0f} {ratio:>6}{end}")
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        machine = {
            "cores": os.cpu_count(),
            "memory_mb": psutil.virtual_memory().total // 10**6,
            "python": platform.python_version(),
        }
        document = {"question": question, "machine": machine, "rows": [asdict(row) for row in summaries]}
        output.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return 1 if any(row.met is False for row in summaries) else 0


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
