"""How many changes a second does CDC apply, from the source's log to the target's commit?

A table of a million rows is followed; then ``--changes`` changes are made (half updates, a quarter insertions, a
quarter deletions) and one run applies them. Both databases are on one server. The target must then be the source.
"""

from __future__ import annotations

import statistics
import sys
from functools import partial
from pathlib import Path

import psutil
import psycopg

from benchmarks.measure import (
    Cost,
    MeasurementError,
    arguments,
    fresh,
    headgate,
    interleaved,
    report,
    summarise,
    tell,
)
from benchmarks.postgres_to_postgres import counting, execute, server, url

GOAL = 100_000
MEMORY_MB = 500
TABLE = "CREATE TABLE orders (id bigint PRIMARY KEY, customer int, total numeric(12,2), note text, at timestamptz)"
VALUES = "g, g % 1000, g / 100.0, 'note of ' || g, now()"


def project(host: str) -> Path:
    root = fresh("cdc")
    (root / "headgate.yml").write_text(
        "version: 1\nproject: bench\nconnections:\n"
        f'  source: {{type: postgres, url: "{url(host, "source")}"}}\n'
        f'  target: {{type: postgres, url: "{url(host, "target")}"}}\n'
        "pipelines:\n  follow:\n    source: {connection: source, table: orders, mode: cdc}\n"
        "    target: {connection: target, table: orders, mode: merge, keys: id}\n"
    )
    return root


def change(host: str, changes: int, turn: list[int]) -> None:
    """So many changes, in transactions of different sizes."""
    turn[0] += 1
    quarter, first = changes // 4, 10_000_000 * turn[0]
    execute(
        url(host, "source"),
        f"UPDATE orders SET total = total + 1, at = now() WHERE id <= {quarter}",
        f"UPDATE orders SET note = 'changed {turn[0]}' WHERE id > {quarter} AND id <= {2 * quarter}",
        f"INSERT INTO orders SELECT {VALUES.replace('g', f'(g + {first})', 1)} FROM generate_series(1, {quarter}) g",
        f"DELETE FROM orders WHERE id > {first} AND id <= {first + quarter // 2}",
        f"DELETE FROM orders WHERE id > {first + quarter // 2} AND id <= {first + quarter}",
        "CHECKPOINT",
    )


def contents(address: str) -> tuple[int, int]:
    with psycopg.connect(address) as session:
        found = session.execute("SELECT count(*), sum(hashtextextended(o::text, 0)) FROM orders o").fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


def measured(host: str, first: psutil.Process, seconds: list[float], root: Path, changes: int, turn: list[int]) -> Cost:
    change(host, changes, turn)
    with counting(first, seconds):
        cost, receipt = headgate("run", "follow", project=root)
    if receipt["rows"]["extracted"] != changes or contents(url(host, "source")) != contents(url(host, "target")):
        raise MeasurementError(f"the target is not what the source is: {receipt['rows']}")
    return cost


def main() -> int:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the table")
    parser.add_argument("--changes", type=int, default=600_000, help="changes a run")
    options = parser.parse_args()
    with server(more="wal_level = logical\n") as (host, first):
        execute(url(host, "postgres"), "CREATE DATABASE source", "CREATE DATABASE target")
        fill = f"INSERT INTO orders SELECT {VALUES} FROM generate_series(1, {options.rows}) g"
        execute(url(host, "source"), TABLE, fill, "VACUUM ANALYZE orders")
        root = project(host)
        tell("the snapshot")
        headgate("run", "follow", project=root)
        turn: list[int] = [0]
        seconds: list[float] = []
        name = f"headgate: {options.changes:,} changes"
        costs = interleaved(options.times, {name: partial(measured, host, first, seconds, root, options.changes, turn)})
        execute(url(host, "source"), "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    rate = options.changes / statistics.median(cost.wall for cost in costs[name])
    peak = max(cost.peak_mb for cost in costs[name])
    row = summarise(
        name,
        costs[name],
        goal=f"≥ {GOAL:,} changes/s, < {MEMORY_MB} MB",
        met=rate >= GOAL and peak < MEMORY_MB,
        note=f"({rate:,.0f} changes/s; server {statistics.median(seconds):.1f} CPU s)",
    )
    return report(f"CDC into a table of {options.rows:,} rows", [row], options.output)


if __name__ == "__main__":
    sys.exit(main())
