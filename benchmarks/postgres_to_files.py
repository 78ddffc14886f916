"""How close is a published load from PostgreSQL into a Parquet folder, or the lake, to the fastest bare copy?

The limit is the fastest of ADBC, connectorx and Polars, each of which streams (or, Polars, collects) the table into one
zstd Parquet file as its users would write it: nothing checked, nothing synced, no ledger. They differ in what arrives:
ADBC writes NUMERIC as text, connectorx and Polars as doubles; headgate writes decimals, exactly.
"""

from __future__ import annotations

import os
import socket
import statistics
import sys
from functools import partial
from pathlib import Path

import duckdb

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
from benchmarks.postgres_to_postgres import execute, seed, server, url

GOAL, MEMORY_MB = 1.2, 500
TARGETS = {"headgate: → folder": "connection: out, table: lineitem", "headgate: → lake": "table: lineitem"}
ADBC = """
    import sys
    import adbc_driver_postgresql.dbapi as adbc
    import pyarrow.parquet as pq
    with adbc.connect(sys.argv[1]) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM lineitem")
        reader = cursor.fetch_record_batch()
        with pq.ParquetWriter(sys.argv[2], reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)
"""
CONNECTORX = """
    import sys
    import connectorx
    import pyarrow.parquet as pq
    reader = connectorx.read_sql(sys.argv[1], "SELECT * FROM lineitem", return_type="arrow_stream", batch_size=100_000)
    with pq.ParquetWriter(sys.argv[2], reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)
"""
POLARS = """
    import sys
    import polars
    polars.read_database_uri("SELECT * FROM lineitem", sys.argv[1]).write_parquet(sys.argv[2], compression="zstd")
"""
PEERS = {"ADBC": ADBC, "connectorx": CONNECTORX, "Polars": POLARS}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def peer(address: str, name: str, rows: int) -> Cost:
    file = fresh("postgres_to_files") / "lineitem.parquet"
    cost = run([*peers.script("polars", PEERS[name]), address, str(file)])
    with duckdb.connect() as engine:
        found = engine.execute(f"SELECT count(*) FROM '{file}'").fetchone()
    if found != (rows,):
        raise MeasurementError(f"{name} wrote {found}, not {rows} rows")
    return cost


def measured(address: str, target: str, expected: str) -> Cost:
    """One run of headgate, verified: the sum of a column's decimals, and all keys."""
    root = fresh("postgres_to_files")
    (root / "headgate.yml").write_text(
        "version: 1\nproject: bench\nconnections:\n"
        f'  source: {{type: postgres, url: "{address}"}}\n  out: {{type: local, path: out}}\n'
        "pipelines:\n  load:\n    source: {connection: source, table: lineitem}\n"
        f"    target: {{{target}, mode: overwrite}}\n"
    )
    cost, receipt = headgate("run", "load", project=root)
    if not receipt["published"]:
        raise MeasurementError(f"not published: {receipt}")
    files = root / ("out" if "out" in target else ".headgate/lake") / "**" / "*.parquet"
    if (found := contents(f"read_parquet('{files}', union_by_name = true)")) != expected:
        raise MeasurementError(f"published {found}, expected {expected}")
    return cost


def contents(relation: str) -> str:
    """Rows, and a sum over each column's values that hangs on no order."""
    columns = ", ".join(f"sum(hash({name}))" for name in lineitem.COLUMNS)
    with duckdb.connect() as engine:
        return str(engine.execute(f"SELECT count(*), {columns} FROM {relation}").fetchone())


def main() -> int:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1, help="TPC-H scale factor (1: 6,001,215 rows)")
    options = parser.parse_args()
    csv: Path = lineitem.csv_file(options.scale)
    kinds = ", ".join(f"'{name}': '{kind}'" for name, kind in lineitem.COLUMNS.items())
    port = free_port()
    os.environ["PGPORT"] = str(port)  # a socket is named after the port
    with server(port=port) as (host, _):
        tell("seeding the source database")
        seed(host, csv)
        execute(url(host, "source"), "CHECKPOINT")
        expected = contents(f"read_csv('{csv}', columns = {{{kinds}}})")
        rows = int(expected.strip("()").split(",")[0])
        address = f"postgresql://postgres@127.0.0.1:{port}/source"  # connectorx takes no socket
        sides = {name: partial(peer, address, name, rows) for name in PEERS}
        sides |= {
            name: partial(measured, address, target, expected)
            for name, target in TARGETS.items()
            if options.only in name
        }
        costs = interleaved(options.times, sides)
    base = min(statistics.median(cost.wall for cost in costs[name]) for name in PEERS)
    found: list[Summary] = []
    for name, own in costs.items():
        ratio = statistics.median(cost.wall for cost in own) / base
        peak = max(cost.peak_mb for cost in own)
        goal = {"goal": f"≤ {GOAL} × the fastest, < {MEMORY_MB} MB", "met": ratio <= GOAL and peak < MEMORY_MB}
        found.append(summarise(name, own, ratio=ratio, **(goal if name in TARGETS else {})))
    return report(f"PostgreSQL → Parquet, {rows:,} rows", found, options.output)


if __name__ == "__main__":
    sys.exit(main())
