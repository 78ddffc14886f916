"""What does a checked upsert cost, against the statements that people write by hand?

600,000 rows, half of them new, go from one PostgreSQL database into a table of 6,000,000 with a primary key in another.
The limit: binary COPY into a temporary table, INSERT … ON CONFLICT DO UPDATE, in one transaction. headgate: the same,
with keys checked, inserted and updated rows counted, and a run record. Both must leave the same rows.
"""

from __future__ import annotations

import statistics
import sys
from functools import partial

import psutil
import psycopg

from benchmarks.measure import (
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
    tell,
)
from benchmarks.postgres_to_postgres import counting, empty_target, execute, server, url

GOAL, MEMORY_MB = 1.15, 500
ROWS = 6_000_000
COLUMNS = "id BIGINT, name TEXT, city TEXT, segment TEXT, balance NUMERIC(12,2), changed_on DATE"
NAMES = [column.split()[0] for column in COLUMNS.split(", ")]


def seed(host: str, rows: int) -> None:
    """Databases: before (a tenth more keys than changes), source (the changes, in no order)."""
    execute(url(host, "postgres"), "CREATE DATABASE source", "CREATE DATABASE target", "CREATE DATABASE before")
    value = "'name ' || i, 'city ' || i % 1000, 'segment ' || i % 5, (i % 100000)::numeric / 100"
    execute(
        url(host, "before"),
        f"CREATE TABLE customers ({COLUMNS})",
        f"INSERT INTO customers SELECT i, {value}, DATE '2024-01-01' FROM generate_series(1, {rows}) AS i",
        "ALTER TABLE customers ADD PRIMARY KEY (id)",
        "VACUUM ANALYZE customers",
    )
    execute(
        url(host, "source"),
        f"CREATE TABLE changes ({COLUMNS})",
        f"INSERT INTO changes SELECT i, {value.replace('city', 'moved')}, DATE '2024-06-01' FROM (SELECT CASE WHEN"
        f" n % 2 = 0 THEN n * 19 % {rows} + 1 ELSE {rows} + n END AS i FROM generate_series(1, {rows // 10}) AS n)"
        " AS made ORDER BY hashint8(i)",
        "VACUUM ANALYZE changes",
        "CHECKPOINT",
    )


def by_hand(source: str, target: str) -> None:
    updates = ", ".join(f"{name} = excluded.{name}" for name in NAMES[1:])
    with psycopg.connect(source) as left, psycopg.connect(target) as right:
        right.execute("CREATE TEMP TABLE staged (LIKE customers) ON COMMIT DROP")
        out, into = "COPY changes TO STDOUT (FORMAT binary)", "COPY staged FROM STDIN (FORMAT binary)"
        with left.cursor().copy(out) as reading, right.cursor().copy(into) as writing:
            for data in reading:
                writing.write(data)
        right.execute(
            f"INSERT INTO customers SELECT {', '.join(NAMES)} FROM staged ON CONFLICT (id) DO UPDATE SET {updates}"
        )
        right.commit()


def limit(host: str, first: psutil.Process, seconds: list[float]) -> Cost:
    empty_target(host, "before")
    with counting(first, seconds):
        return run([sys.executable, "-m", "benchmarks.upsert", "--by-hand", url(host, "source"), url(host, "target")])


def headgate_run(host: str, first: psutil.Process, seconds: list[float], rows: int) -> Cost:
    empty_target(host, "before")
    root = fresh("upsert")
    (root / "headgate.yml").write_text(
        "version: 1\nproject: bench\nconnections:\n"
        f'  source: {{type: postgres, url: "{url(host, "source")}"}}\n'
        f'  target: {{type: postgres, url: "{url(host, "target")}"}}\n'
        "pipelines:\n  load:\n    source: {connection: source, table: changes}\n"
        "    target: {connection: target, table: customers, mode: upsert, keys: [id]}\n"
    )
    with counting(first, seconds):
        cost, receipt = headgate("run", "load", project=root)
    counts = receipt["rows"]
    if not receipt["published"] or (counts["inserted"], counts["updated"]) != (rows // 20, rows // 20):
        raise MeasurementError(f"not published with half of the rows new: {receipt}")
    return cost


def contents(host: str) -> tuple[int, str]:
    with psycopg.connect(url(host, "target")) as session:
        found = session.execute("SELECT count(*), sum(hashtext(customers::text))::text FROM customers").fetchone()
    assert found is not None
    return found[0], found[1]


def main() -> int:
    parser = arguments((__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="1: 6,000,000 customers")
    parser.add_argument("--by-hand", nargs=2, metavar=("SOURCE", "TARGET"), help="only this, for measuring it")
    chosen = parser.parse_args()
    if chosen.by_hand:
        by_hand(*chosen.by_hand)
        return 0
    count = int(ROWS * chosen.scale)
    with server() as (host, first):
        tell("making the customers")
        seed(host, count)
        seconds: dict[str, list[float]] = {"by hand": [], "headgate": []}
        sides = {
            "by hand": partial(limit, host, first, seconds["by hand"]),
            "headgate": partial(headgate_run, host, first, seconds["headgate"], count),
        }
        made: set[tuple[int, str]] = set()

        def measured(name: str) -> Cost:
            cost = sides[name]()
            made.add(contents(host))
            return cost

        costs = interleaved(chosen.times, {name: partial(measured, name) for name in sides})
    if len(made) != 1:
        raise MeasurementError(f"the tables differ: {made}")
    base = statistics.median(cost.wall for cost in costs["by hand"])
    rows: list[Summary] = []
    for name, found in costs.items():
        ratio = statistics.median(cost.wall for cost in found) / base
        peak = max(cost.peak_mb for cost in found)
        more = {"goal": f"≤ {GOAL} ×, < {MEMORY_MB} MB", "met": ratio <= GOAL and peak < MEMORY_MB}
        note = f"(server {statistics.median(seconds[name]):.1f} CPU s)"
        rows.append(summarise(name, found, ratio=ratio, note=note, **(more if name == "headgate" else {})))
    return report(f"{count // 10:,} rows, half of them new, into {count:,} by primary key", rows, chosen.output)


if __name__ == "__main__":
    sys.exit(main())
