"""How long does headgate take when there is nothing to do?

``headgate --help``, ``headgate check --offline`` of ten pipelines, and an incremental run that finds nothing new, for
each kind of store. Every run is verified to be skipped after a first run that published.
"""

from __future__ import annotations

import sqlite3
import statistics
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from benchmarks import lineitem
from benchmarks.measure import (
    HEADGATE,
    Cost,
    MeasurementError,
    Summary,
    arguments,
    fresh,
    headgate,
    interleaved,
    report,
    run,
    summarise,
)
from benchmarks.postgres_to_postgres import execute, server, url

ROWS = 1000
FOLDER = "{connection: out, table: orders}"
LAKE = "{table: orders}"
STEPS = """\
    transformations:
      - {type: filter, condition: "amount > 0"}
      - {type: calculate, columns: {tax: "amount * 0.19"}}
    quality_rules:
      - {type: not_null, columns: [id]}
"""


def write(root: Path, connections: str, source: str, target: str) -> Path:
    (root / "pipelines").mkdir(parents=True)
    (root / "headgate.yml").write_text(f"version: 1\nproject: bench\nconnections:\n{connections}")
    (root / "pipelines" / "load.yml").write_text(
        f"pipelines:\n  load:\n    source: {source}\n{STEPS}    target: {target}\n"
    )
    return root


def csv_project(name: str, target: str) -> Path:
    root = fresh(f"startup_{name}")
    (root / "in").mkdir()
    lines = "\n".join(f"{number},{number % 97}.50" for number in range(ROWS))
    (root / "in" / "one.csv").write_text(f"id,amount\n{lines}\n")
    connections = "  files: {type: local, path: in}\n  out: {type: local, path: out}\n"
    return write(root, connections, '{connection: files, path: "*.csv", mode: incremental}', target)


def sqlite_project() -> Path:
    root = fresh("startup_sqlite")
    with closing(sqlite3.connect(root / "in.db")) as database, database:
        database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, amount REAL NOT NULL)")
        database.executemany(
            "INSERT INTO orders VALUES (?, ?)", [(number, number % 97 + 0.5) for number in range(ROWS)]
        )
    connections = "  shop: {type: sqlite, path: in.db}\n  out: {type: sqlite, path: out.db}\n"
    source = "{connection: shop, table: orders, mode: incremental, incremental: {column: id}}"
    return write(root, connections, source, "{connection: out, table: orders}")


def postgres_project(host: str) -> Path:
    root = fresh("startup_postgres")
    execute(url(host, "postgres"), "CREATE DATABASE source", "CREATE DATABASE target")
    execute(
        url(host, "source"),
        "CREATE TABLE orders (id bigint PRIMARY KEY, amount numeric(12,2) NOT NULL)",
        f"INSERT INTO orders SELECT n, n % 97 + 0.5 FROM generate_series(1, {ROWS}) AS n",
    )
    connections = "".join(f'  {name}: {{type: postgres, url: "{url(host, name)}"}}\n' for name in ("source", "target"))
    source = "{connection: source, table: orders, mode: incremental, incremental: {column: id}}"
    return write(root, connections, source, "{connection: target, table: orders}")


def ten_pipelines() -> Path:
    root = fresh("startup_check")
    (root / "pipelines").mkdir()
    (root / "headgate.yml").write_text("version: 1\nproject: bench\nconnections:\n  files: {type: local, path: in}\n")
    for number in range(10):
        (root / "pipelines" / f"load_{number}.yml").write_text(
            f"pipelines:\n  load_{number}:\n    source: {{connection: files, path: lineitem_{number}.csv}}\n"
            f"{lineitem.STEPS}    target: {{table: lineitem_{number}}}\n"
        )
    return root


def nothing_new(project: Path) -> Callable[[], Cost]:
    """Publish once; what is measured then finds nothing new."""
    _, receipt = headgate("run", "load", project=project)
    if receipt["status"] != "success" or receipt["rows"]["extracted"] != ROWS:
        raise MeasurementError(f"the first run did not publish {ROWS} rows: {receipt}")

    def measure() -> Cost:
        cost, again = headgate("run", "load", project=project)
        if again["status"] != "skipped":
            raise MeasurementError(f"not skipped: {again}")
        return cost

    return measure


def checked(project: Path) -> Cost:
    cost, answer = headgate("check", "--offline", project=project)
    if answer["ok"] is not True or answer["problems"]:
        raise MeasurementError(f"the check found problems: {answer}")
    return cost


def main() -> int:
    options = arguments((__doc__ or "").splitlines()[0], times=9).parse_args()
    with server() as (host, _):
        makers: dict[str, tuple[float | None, Callable[[], Callable[[], Cost]]]] = {
            "python -c pass": (None, lambda: partial(run, [sys.executable, "-c", "pass"])),
            "headgate --help": (0.15, lambda: partial(run, [HEADGATE, "--help"])),
            "check --offline, ten pipelines": (1.0, lambda: partial(checked, ten_pipelines())),
            "nothing new: files → folder": (0.7, lambda: nothing_new(csv_project("folder", FOLDER))),
            "nothing new: SQLite → SQLite": (0.7, lambda: nothing_new(sqlite_project())),
            "nothing new: files → lake": (1.0, lambda: nothing_new(csv_project("lake", LAKE))),
            "nothing new: PostgreSQL → PostgreSQL": (1.0, lambda: nothing_new(postgres_project(host))),
        }
        sides = {name: (goal, make()) for name, (goal, make) in makers.items() if options.only in name}
        costs = interleaved(options.times, {name: measure for name, (_, measure) in sides.items()})
    rows: list[Summary] = []
    for name, (goal, _) in sides.items():
        if goal is None:
            rows.append(summarise(name, costs[name]))
        else:
            met = statistics.median(cost.wall for cost in costs[name]) <= goal
            rows.append(summarise(name, costs[name], goal=f"≤ {goal:g} s", met=met))
    return report("Start-up: what a run costs that has nothing to do", rows, options.output)


if __name__ == "__main__":
    sys.exit(main())
