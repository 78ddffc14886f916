"""How fast does a table of PostgreSQL become Parquet, or a table of the lake, against the usual readers?

6,001,215 rows of lineitem. ADBC and connectorx stream into DuckDB's Parquet writer, Polars reads with connectorx and
writes; numerics arrive exactly from ADBC (as text, cast again), as doubles where a reader has no other way. They check
nothing and keep no record. headgate publishes into a Parquet folder and into the lake. Each side's rows are counted,
and headgate's hashed.
"""

from __future__ import annotations

import statistics
import sys
from functools import partial
from pathlib import Path
from urllib.parse import quote

import psutil

from benchmarks import lineitem, peers
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
from benchmarks.postgres_to_postgres import counting, seed, server, url

GOAL, MEMORY_MB = 1.2, 500
_TEXT = ", ".join(
    f"{name}::text AS {name}" if kind.startswith("DECIMAL") else name for name, kind in lineitem.COLUMNS.items()
)
_CAST = ", ".join(
    f"CAST({name} AS {kind}) AS {name}" if kind.startswith("DECIMAL") else name
    for name, kind in lineitem.COLUMNS.items()
)
_COPY = f"COPY (SELECT {_CAST} FROM rows) TO '{{out}}' (FORMAT parquet, COMPRESSION zstd)"
ADBC = f"""
import sys, duckdb, adbc_driver_postgresql.dbapi as adbc
with adbc.connect(sys.argv[1]) as session, session.cursor() as cursor, duckdb.connect() as connection:
    cursor.adbc_statement.set_options(**{{"adbc.postgresql.batch_size_hint_bytes": "1048576"}})
    cursor.execute("SELECT {_TEXT} FROM lineitem")
    rows = cursor.fetch_record_batch()
    connection.execute("SET preserve_insertion_order = false")
    connection.execute(f"{_COPY.format(out="{sys.argv[2]}")}")
"""
CONNECTORX = f"""
import sys, duckdb, connectorx as cx
rows = cx.read_sql(sys.argv[1], "SELECT {_TEXT} FROM lineitem", return_type="arrow_stream", batch_size=65536)
with duckdb.connect() as connection:
    connection.execute("SET preserve_insertion_order = false")
    connection.execute(f"{_COPY.format(out="{sys.argv[2]}")}")
"""
POLARS = """
import sys, polars as pl
rows = pl.read_database_uri("SELECT * FROM lineitem", sys.argv[1], engine="connectorx")
rows.write_parquet(sys.argv[2], compression="zstd")
"""


def other(address: str, first: psutil.Process, seconds: list[float], command: list[str], expected: int) -> Cost:
    """One of the readers, its rows counted."""
    import duckdb

    out = fresh("postgres_to_files") / "lineitem.parquet"
    with counting(first, seconds):
        cost = run([*command, address, str(out)])
    found = duckdb.execute("SELECT count(*) FROM read_parquet(?)", [str(out)]).fetchall()[0][0]
    if found != expected:
        raise MeasurementError(f"{found} rows were written, not {expected}")
    return cost


def contents(files: list[str]) -> tuple[int, int]:
    """Row count and an order-independent hash of all columns."""
    import duckdb

    columns = ", ".join(f"CAST({name} AS {kind})" for name, kind in lineitem.COLUMNS.items())
    query = f"SELECT count(*), sum(hash({columns})) FROM read_parquet(?)"
    count, total = duckdb.execute(query, [files]).fetchall()[0]
    return int(count), int(total)


def ours(address: str, first: psutil.Process, seconds: list[float], kind: str, expected: tuple[int, int]) -> Cost:
    """headgate, verified."""
    root = fresh("postgres_to_files")
    target = "{connection: out, table: lineitem}" if kind == "folder" else "{table: lineitem}"
    (root / "headgate.yml").write_text(
        f'version: 1\nproject: bench\nconnections:\n  source: {{type: postgres, url: "{address}"}}\n'
        "  out: {type: local, path: out}\nlake: {type: iceberg, path: lake}\n"
        f"pipelines:\n  load:\n    source: {{connection: source, table: lineitem}}\n    target: {target}\n"
    )
    with counting(first, seconds):
        cost, receipt = headgate("run", "load", project=root)
    files = [str(path) for path in (root / ("out" if kind == "folder" else "lake")).rglob("*.parquet")]
    if not receipt["published"] or contents(files) != expected:
        raise MeasurementError(f"not published as it is: {receipt}")
    return cost


def expected_rows(csv: Path) -> tuple[int, int]:
    import duckdb

    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in lineitem.COLUMNS.items())
    made = fresh("postgres_to_files_expected") / "lineitem.parquet"
    duckdb.execute(
        f"COPY (SELECT * FROM read_csv(?, header = true, columns = {{{columns}}})) TO '{made}' (FORMAT parquet)",
        [str(csv)],
    )
    return contents([str(made)])


def main() -> int:
    parser = arguments((__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", type=float, default=1, help="TPC-H scale factor (1: 6,001,215 rows)")
    options = parser.parse_args()
    csv = lineitem.csv_file(options.scale)
    expected = expected_rows(csv)
    python, polars = sys.executable, str(peers.environment("polars") / "python")
    commands = {"ADBC": [python, "-c", ADBC], "connectorx": [python, "-c", CONNECTORX]}
    commands["Polars with connectorx"] = [polars, "-c", POLARS]
    with server() as (host, first):
        tell("seeding the source database")
        seed(host, csv)
        address = url(host, "source")
        other_address = f"postgresql://postgres@{quote(host, safe='')}/source"  # as connectorx understands it
        seconds: dict[str, list[float]] = {name: [] for name in (*commands, "folder", "lake")}
        sides = {
            name: partial(other, other_address, first, seconds[name], command, expected[0])
            for name, command in commands.items()
            if options.only in name
        }
        sides |= {kind: partial(ours, address, first, seconds[kind], kind, expected) for kind in ("folder", "lake")}
        costs = interleaved(options.times, sides)
    wall = {name: statistics.median(cost.wall for cost in found) for name, found in costs.items()}
    fastest = min(wall[name] for name in commands if name in wall)
    rows: list[Summary] = []
    for name, found in costs.items():
        ratio, peak = wall[name] / fastest, max(cost.peak_mb for cost in found)
        note = f"(server {statistics.median(seconds[name]):.1f} CPU s)"
        goal = {"goal": f"≤ {GOAL} ×, < {MEMORY_MB} MB", "met": ratio <= GOAL and peak < MEMORY_MB}
        shown, more = (name, {}) if name in commands else (f"headgate: {name}", goal)
        rows.append(summarise(shown, found, ratio=ratio, note=note, **more))
    return report(f"PostgreSQL → Parquet, {expected[0]:,} rows", rows, options.output)


if __name__ == "__main__":
    sys.exit(main())
