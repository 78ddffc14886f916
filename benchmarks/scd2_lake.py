"""The history of :mod:`benchmarks.scd2` in the lake, against one statement of DuckDB over Parquet.

600,000 changes, half of them of known keys, from a Parquet file into a history of 6,000,000 customers. The limit:
DuckDB reads history and changes, and writes the history that follows into a new file: no transaction, no other version,
no checks. headgate: the table in the lake, with late, unchanged and repeated keys looked for, and a run record.
Both must leave the same rows.
"""

from __future__ import annotations

import shutil
import statistics
import sys
from functools import partial
from pathlib import Path

import duckdb

from benchmarks.measure import (
    CACHE,
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
from benchmarks.scd2 import GOAL, MEMORY_MB, ROWS, TRACKED

COLUMNS = ("id", *TRACKED, "changed_on")
HISTORY = (*COLUMNS, "valid_from", "valid_to", "is_current", "version")
FOLDER = CACHE / "scd2_lake"


def seed(rows: int) -> None:
    """The customers as they were, and the changes, as Parquet; then the lake's table, made by a first run."""
    fresh("scd2_lake")
    value = "'name ' || i AS name, {city} AS city, 'segment ' || i % 5 AS segment"
    value += ", CAST((i % 100000) / 100 AS DECIMAL(12, 2)) AS balance"
    was, now = "'city ' || i % 1000", "'moved ' || i % 7"
    with duckdb.connect() as session:
        session.execute(
            f"COPY (SELECT i AS id, {value.format(city=was)},"
            f" DATE '2024-01-01' AS changed_on FROM range(1, {rows + 1}) AS t(i)) TO '{FOLDER}/first.parquet'"
        )
        made = (
            f"SELECT CASE WHEN n % 2 = 0 THEN n * 19 % {rows} + 1 ELSE {rows} + n END AS i"
            f" FROM range(1, {rows // 10 + 1}) AS t(n)"
        )
        session.execute(
            f"COPY (SELECT i AS id, {value.format(city=now)},"
            f" DATE '2024-06-01' AS changed_on FROM ({made})) TO '{FOLDER}/changes.parquet'"
        )
        session.execute(
            f"COPY (SELECT *, changed_on AS valid_from, DATE '9999-12-31' AS valid_to, TRUE AS is_current,"
            f" CAST(1 AS BIGINT) AS version FROM '{FOLDER}/first.parquet')"
            f" TO '{FOLDER}/before.parquet' (COMPRESSION zstd)"
        )
    target = (
        f"target: {{table: customers, mode: scd2, keys: [id], effective: changed_on, track: [{', '.join(TRACKED)}]}}"
    )
    pipelines = "".join(
        f"  {name}:\n    source: {{connection: here, path: {name}.parquet}}\n    {target}\n"
        for name in ("first", "changes")
    )
    (FOLDER / "headgate.yml").write_text(
        "version: 1\nproject: bench\nconnections:\n  here: {type: local, path: .}\nlake: {path: lake}\n"
        f"pipelines:\n{pipelines}"
    )
    headgate("run", "first", project=FOLDER)
    shutil.copytree(FOLDER / "lake", FOLDER / "kept")


def by_hand() -> None:
    """The next state of the history in a file of its own."""
    different = f"({', '.join(f't.{c}' for c in TRACKED)}) IS DISTINCT FROM ({', '.join(f's.{c}' for c in TRACKED)})"
    shown = ", ".join(COLUMNS)
    with duckdb.connect(config={"memory_limit": "900MB", "preserve_insertion_order": "false"}) as session:
        session.execute(f"SET temp_directory = '{FOLDER}/spill'")
        session.execute(f"CREATE VIEW history AS FROM '{FOLDER}/before.parquet'")
        session.execute(
            f"CREATE TEMP TABLE made AS SELECT s.*, COALESCE(t.version, 0) + 1 AS version"
            f" FROM '{FOLDER}/changes.parquet' AS s LEFT JOIN history AS t ON t.id = s.id AND t.is_current"
            f" WHERE t.id IS NULL OR {different}"
        )
        ends = "h.is_current AND m.id IS NOT NULL"
        session.execute(
            f"COPY (SELECT {', '.join(f'h.{c}' for c in COLUMNS)}, h.valid_from,"
            f" CASE WHEN {ends} THEN m.changed_on ELSE h.valid_to END AS valid_to, NOT ({ends}) AND h.is_current"
            f" AS is_current, h.version FROM history AS h LEFT JOIN made AS m ON m.id = h.id"
            f" UNION ALL SELECT {shown}, changed_on, DATE '9999-12-31', TRUE, version FROM made)"
            f" TO '{FOLDER}/after.parquet' (COMPRESSION zstd)"
        )


def limit() -> Cost:
    (FOLDER / "after.parquet").unlink(missing_ok=True)
    return run([sys.executable, "-m", "benchmarks.scd2_lake", "--by-hand"])


def headgate_run() -> Cost:
    shutil.rmtree(FOLDER / "lake")
    shutil.copytree(FOLDER / "kept", FOLDER / "lake")
    cost, receipt = headgate("run", "changes", project=FOLDER)
    if not receipt["published"]:
        raise MeasurementError("the run was not published")
    return cost


def contents(name: str) -> tuple[int, str]:
    """Rows, and a sum over all of them whatever their order."""
    table = f"'{FOLDER}/after.parquet'" if name == "by hand" else "customers"
    columns = ", ".join(f"CAST({column} AS VARCHAR)" for column in HISTORY)
    query = f"SELECT COUNT(*), CAST(SUM(HASH({columns})) AS VARCHAR) FROM {table}"
    if name == "by hand":
        with duckdb.connect() as session:
            found = session.execute(query).fetchone()
        assert found is not None
        return int(found[0]), str(found[1])
    _, document = headgate("query", query, project=FOLDER)
    rows, total = document["rows"][0]
    return int(rows), str(total)


def main() -> int:
    parser = arguments(__doc__ or "")
    parser.add_argument("--scale", type=float, default=1.0, help="1: 6,000,000 customers")
    parser.add_argument("--by-hand", action="store_true", help="only this, for measuring it")
    chosen = parser.parse_args()
    if chosen.by_hand:
        by_hand()
        return 0
    tell("making the customers")
    seed(int(ROWS * chosen.scale))
    made: dict[str, set[tuple[int, str]]] = {"by hand": set(), "headgate": set()}

    def measured(name: str) -> Cost:
        cost = limit() if name == "by hand" else headgate_run()
        made[name].add(contents(name))
        return cost

    costs = interleaved(chosen.times, {name: partial(measured, name) for name in made})
    if len(set().union(*made.values())) != 1:
        raise MeasurementError(f"the two histories differ: {made}")
    base = statistics.median(cost.wall for cost in costs["by hand"])
    rows: list[Summary] = []
    for name, found in costs.items():
        ratio = statistics.median(cost.wall for cost in found) / base
        peak = max(cost.peak_mb for cost in found)
        more = {"goal": f"<= {GOAL} x, < {MEMORY_MB} MB", "met": ratio <= GOAL and peak < MEMORY_MB}
        rows.append(summarise(name, found, ratio=ratio, **(more if name == "headgate" else {})))
    kept = sum(path.stat().st_size for path in Path(FOLDER / "kept").rglob("*.parquet")) // 10**6
    return report(f"changes into a history in the lake ({kept} MB of Parquet)", rows, chosen.output)


if __name__ == "__main__":
    sys.exit(main())
