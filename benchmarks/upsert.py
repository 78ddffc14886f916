"""What does a checked, published upsert cost against COPY and INSERT … ON CONFLICT by hand?

600,000 rows, half of them of known keys, go from one PostgreSQL database into a table of 6 M rows with a primary key in
another. The limit: binary COPY into a temporary table, then one INSERT … ON CONFLICT DO UPDATE, in one transaction.
headgate: the same with nine rules, keys checked, inserts and updates counted, a run record. Both leave the same rows.
"""

from __future__ import annotations

import statistics
import sys
from functools import partial

import psutil
import psycopg

from benchmarks import lineitem
from benchmarks.measure import (
    Cost,
    MeasurementError,
    arguments,
    fresh,
    headgate,
    interleaved,
    report,
    run,
    summarise,
    tell,
)
from benchmarks.postgres_to_postgres import counting, empty_target, execute, seed, server, url

GOAL, MEMORY_MB = 1.15, 500
KEYS = ("l_orderkey", "l_linenumber")
PLAIN = [name for name in lineitem.COLUMNS if name not in KEYS]


def prepare(host: str, rows: int) -> None:
    """``before``: the table as it stands; ``source``: a tenth as many changes, every second one of a known key."""
    execute(url(host, "postgres"), "CREATE DATABASE before TEMPLATE source")
    execute(url(host, "before"), f"ALTER TABLE lineitem ADD PRIMARY KEY ({', '.join(KEYS)})", "VACUUM ANALYZE lineitem")
    known = f"SELECT * FROM lineitem WHERE hashint8(l_orderkey * 10 + l_linenumber) % 20 = 0 LIMIT {rows // 20}"
    others = ", ".join(PLAIN)
    execute(
        url(host, "source"),
        f"CREATE TABLE known AS {known}",
        "CREATE TABLE changes AS SELECT * FROM known",
        "UPDATE changes SET l_quantity = 51 - l_quantity, l_comment = 'changed'",
        f"INSERT INTO changes ({', '.join(KEYS)}, {others})"
        f" SELECT l_orderkey + 100000000, l_linenumber, {others} FROM known",
        "VACUUM ANALYZE changes",
        "CHECKPOINT",
    )


def by_hand(source: str, target: str) -> None:
    updates = ", ".join(f"{name} = excluded.{name}" for name in PLAIN)
    with psycopg.connect(source) as left, psycopg.connect(target) as right:
        right.execute("CREATE TEMP TABLE staged (LIKE lineitem) ON COMMIT DROP")
        out, into = "COPY changes TO STDOUT (FORMAT binary)", "COPY staged FROM STDIN (FORMAT binary)"
        with left.cursor().copy(out) as reading, right.cursor().copy(into) as writing:
            for data in reading:
                writing.write(data)
        right.execute(
            f"INSERT INTO lineitem SELECT * FROM staged ON CONFLICT ({', '.join(KEYS)}) DO UPDATE SET {updates}"
        )
        right.commit()


def limit(host: str, first: psutil.Process, seconds: list[float]) -> Cost:
    empty_target(host, "before")
    with counting(first, seconds):
        return run([sys.executable, "-m", "benchmarks.upsert", "--by-hand", url(host, "source"), url(host, "target")])


def measured(host: str, first: psutil.Process, seconds: list[float], rows: int) -> Cost:
    """One run of headgate, its counts verified."""
    empty_target(host, "before")
    root = fresh("upsert")
    (root / "headgate.yml").write_text(
        "version: 1\nproject: bench\nconnections:\n"
        f'  source: {{type: postgres, url: "{url(host, "source")}"}}\n'
        f'  target: {{type: postgres, url: "{url(host, "target")}"}}\n'
        "pipelines:\n  load:\n    source: {connection: source, table: changes}\n"
        f"{lineitem.RULES}"
        f"    target: {{connection: target, table: lineitem, mode: upsert, keys: [{', '.join(KEYS)}]}}\n"
    )
    with counting(first, seconds):
        cost, receipt = headgate("run", "load", project=root)
    counted = (receipt["rows"]["inserted"], receipt["rows"]["updated"], len(receipt["checks"]))
    if not receipt["published"] or counted != (rows // 2, rows // 2, lineitem.RULES.count("- {")):
        raise MeasurementError(f"not what was to be done: {receipt}")
    return cost


def contents(host: str) -> str:
    with psycopg.connect(url(host, "target")) as session:
        found = session.execute("SELECT count(*), sum(hashtext(lineitem::text)) FROM lineitem").fetchone()
    return str(found)


def main() -> int:
    parser = arguments(__doc__ or "")
    parser.add_argument("--scale", type=float, default=1.0, help="TPC-H scale factor (1: 6,001,215 rows)")
    parser.add_argument("--by-hand", nargs=2, metavar=("SOURCE", "TARGET"), help="only this, for measuring it")
    chosen = parser.parse_args()
    if chosen.by_hand:
        by_hand(*chosen.by_hand)
        return 0
    with server() as (host, first):
        tell("seeding the databases")
        seed(host, lineitem.csv_file(chosen.scale))
        prepare(host, int(6_000_000 * chosen.scale))
        with psycopg.connect(url(host, "source")) as session:
            (changes,) = session.execute("SELECT count(*) FROM changes").fetchone() or (0,)
        seconds: dict[str, list[float]] = {"by hand": [], "headgate": []}
        made: set[str] = set()
        sides = {
            "by hand": partial(limit, host, first, seconds["by hand"]),
            "headgate": partial(measured, host, first, seconds["headgate"], changes),
        }

        def verified(name: str) -> Cost:
            cost = sides[name]()
            made.add(contents(host))
            return cost

        costs = interleaved(chosen.times, {name: partial(verified, name) for name in sides})
    if len(made) != 1:
        raise MeasurementError(f"the tables differ: {made}")
    base = statistics.median(cost.wall for cost in costs["by hand"])
    rows = []
    for name, own in costs.items():
        ratio = statistics.median(cost.wall for cost in own) / base
        peak = max(cost.peak_mb for cost in own)
        goal = {"goal": f"≤ {GOAL} ×, < {MEMORY_MB} MB", "met": ratio <= GOAL and peak < MEMORY_MB}
        note = f"(server {statistics.median(seconds[name]):.1f} CPU s)"
        rows.append(summarise(name, own, ratio=ratio, note=note, **(goal if name == "headgate" else {})))
    return report(f"upsert of {changes:,} rows into a table of ten times as many", rows, chosen.output)


if __name__ == "__main__":
    sys.exit(main())
