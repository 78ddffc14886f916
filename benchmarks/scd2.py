"""What does a history cost that is right, against the two statements that people write by hand?

600,000 changes, half of them of known keys, go from one PostgreSQL database into a history of 6,000,000 customers in
another. The limit: binary COPY into a temporary table, UPDATE of the versions that end, INSERT of the new ones, all in
one transaction. headgate: the same with unchanged, late and repeated keys looked for, keys checked, and a run record.
Both must leave the same rows.
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

GOAL, MEMORY_MB = 1.3, 1_000
ROWS = 6_000_000
PLAIN = "id BIGINT, name TEXT, city TEXT, segment TEXT, balance NUMERIC(12,2), changed_on DATE"
HISTORY = "valid_from DATE, valid_to DATE, is_current BOOLEAN, version BIGINT"
TRACKED = ("name", "city", "segment", "balance")


def seed(host: str, rows: int) -> None:
    execute(url(host, "postgres"), "CREATE DATABASE source", "CREATE DATABASE target", "CREATE DATABASE before")
    value = "'name ' || i, 'city ' || i % 1000, 'segment ' || i % 5, (i % 100000)::numeric / 100"
    execute(
        url(host, "before"),
        f"CREATE TABLE customers ({PLAIN}, {HISTORY})",
        f"INSERT INTO customers SELECT i, {value}, DATE '2024-01-01', DATE '2024-01-01', DATE '9999-12-31', TRUE, 1"
        f" FROM generate_series(1, {rows}) AS i",
        "ALTER TABLE customers ADD PRIMARY KEY (id, valid_from)",
        "VACUUM ANALYZE customers",
    )
    changes = rows // 10
    execute(
        url(host, "source"),
        f"CREATE TABLE changes ({PLAIN})",
        f"INSERT INTO changes SELECT i, 'name ' || i, 'moved ' || i % 7, 'segment ' || i % 5,"
        f" (i % 100000)::numeric / 100, DATE '2024-06-01' FROM (SELECT CASE WHEN n % 2 = 0"
        f" THEN n * 19 % {rows} + 1 ELSE {rows} + n END AS i FROM generate_series(1, {changes}) AS n) AS made",
        "VACUUM ANALYZE changes",
        "CHECKPOINT",
    )


def limit(host: str, first: psutil.Process, seconds: list[float]) -> Cost:
    empty_target(host, "before")
    with counting(first, seconds):
        return run([sys.executable, "-m", "benchmarks.scd2", "--by-hand", url(host, "source"), url(host, "target")])


def by_hand(source: str, target: str) -> None:
    with psycopg.connect(source) as left, psycopg.connect(target) as right:
        right.execute("CREATE TEMP TABLE staged (LIKE customers INCLUDING DEFAULTS) ON COMMIT DROP")
        for column in HISTORY.split(", "):
            right.execute(f"ALTER TABLE staged DROP COLUMN {column.split()[0]}")
        out, into = "COPY changes TO STDOUT (FORMAT binary)", "COPY staged FROM STDIN (FORMAT binary)"
        with left.cursor().copy(out) as reading, right.cursor().copy(into) as writing:
            for data in reading:
                writing.write(data)
        right.execute("ANALYZE staged")
        # the versions that end must be counted before they do, so the new ones come first
        right.execute(
            "CREATE TEMP TABLE fresh ON COMMIT DROP AS SELECT s.*, coalesce(t.version, 0) + 1 AS version FROM staged"
            " AS s LEFT JOIN customers AS t ON t.id = s.id AND t.is_current WHERE t.id IS NULL OR"
            f" ({', '.join(f't.{c}' for c in TRACKED)}) IS DISTINCT FROM ({', '.join(f's.{c}' for c in TRACKED)})"
        )
        right.execute(
            "UPDATE customers AS t SET valid_to = f.changed_on, is_current = FALSE FROM fresh AS f"
            " WHERE t.id = f.id AND t.is_current"
        )
        right.execute(
            "INSERT INTO customers SELECT id, name, city, segment, balance, changed_on, changed_on,"
            " DATE '9999-12-31', TRUE, version FROM fresh"
        )
        right.commit()


def headgate_run(host: str, first: psutil.Process, seconds: list[float]) -> Cost:
    empty_target(host, "before")
    root = fresh("scd2")
    (root / "headgate.yml").write_text(
        "version: 1\nproject: bench\nconnections:\n"
        f'  source: {{type: postgres, url: "{url(host, "source")}"}}\n'
        f'  target: {{type: postgres, url: "{url(host, "target")}"}}\n'
        "pipelines:\n  load:\n    source: {connection: source, table: changes}\n"
        "    target: {connection: target, table: customers, mode: scd2, keys: [id], effective: changed_on,"
        f" track: [{', '.join(TRACKED)}]}}\n"
    )
    with counting(first, seconds):
        cost, receipt = headgate("run", "load", project=root)
    if not receipt["published"]:
        raise MeasurementError("the run was not published")
    return cost


def contents(host: str) -> tuple[int, str]:
    with psycopg.connect(url(host, "target")) as session:
        found = session.execute("SELECT count(*), sum(hashtext(customers::text))::text FROM customers").fetchone()
    assert found is not None
    return found[0], found[1]


def main() -> int:
    parser = arguments(__doc__ or "")
    parser.add_argument("--scale", type=float, default=1.0, help="1: 6,000,000 customers")
    parser.add_argument("--by-hand", nargs=2, metavar=("SOURCE", "TARGET"), help="only this, for measuring it")
    chosen = parser.parse_args()
    if chosen.by_hand:
        by_hand(*chosen.by_hand)
        return 0
    with server() as (host, first):
        tell("making the customers")
        seed(host, int(ROWS * chosen.scale))
        sides = {"by hand": partial(limit, host, first), "headgate": partial(headgate_run, host, first)}
        server_seconds: dict[str, list[float]] = {name: [] for name in sides}
        made: dict[str, set[tuple[int, str]]] = {name: set() for name in sides}

        def measured(name: str) -> Cost:
            cost = sides[name](server_seconds[name])
            made[name].add(contents(host))
            return cost

        costs = interleaved(chosen.times, {name: partial(measured, name) for name in sides})
    if len(set().union(*made.values())) != 1:
        raise MeasurementError(f"the two histories differ: {made}")
    base = statistics.median(cost.wall for cost in costs["by hand"])
    rows: list[Summary] = []
    for name, found in costs.items():
        own = statistics.median(server_seconds[name])
        ratio = statistics.median(cost.wall for cost in found) / base
        peak = max(cost.peak_mb for cost in found)
        more = {"goal": f"<= {GOAL} x, < {MEMORY_MB} MB", "met": ratio <= GOAL and peak < MEMORY_MB}
        rows.append(
            summarise(name, found, ratio=ratio, note=f"server {own:.1f} CPU s", **(more if name == "headgate" else {}))
        )
    return report("600,000 changes into a history of 6,000,000 rows", rows, chosen.output)


if __name__ == "__main__":
    sys.exit(main())
