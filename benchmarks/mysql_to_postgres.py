"""How close is a published load from MySQL into PostgreSQL to connectorx with binary COPY?

The limit reads with connectorx, exactly (decimals as text, made decimals again), and copies what pgpq encodes into an
empty table in one transaction: nothing checked, no ledger. headgate: append into an empty table. Both servers are on
this machine, a MariaDB and a PostgreSQL.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from tests.mariadb import MariaServer, running_mariadb

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
from benchmarks.postgres_to_postgres import empty_target, execute, server, url

GOAL = 1.3
MEMORY_MB = 500
DECIMALS = [name for name, kind in lineitem.COLUMNS.items() if kind.startswith("DECIMAL")]


def seed(maria: MariaServer, csv: Path) -> str:
    """The source database with lineitem in it; its URL."""
    address = maria.create_database("source")
    columns = ", ".join(
        f"{name} {'VARCHAR(50)' if kind == 'VARCHAR' else kind} NOT NULL" for name, kind in lineitem.COLUMNS.items()
    )
    with maria.connect("source", local_infile=True) as session, session.cursor() as cursor:
        cursor.execute(f"CREATE TABLE lineitem ({columns})")
        cursor.execute(
            f"LOAD DATA LOCAL INFILE '{csv}' INTO TABLE lineitem FIELDS TERMINATED BY ','"
            " OPTIONALLY ENCLOSED BY '\"' IGNORE 1 LINES"
        )
        cursor.execute("ANALYZE TABLE lineitem")
    return address


def by_hand(source: str, target: str) -> None:
    """connectorx, pgpq, COPY."""
    import connectorx
    import pgpq
    import pyarrow as pa

    chosen = ", ".join(f"CAST({name} AS CHAR) AS {name}" if name in DECIMALS else name for name in lineitem.COLUMNS)
    reader = connectorx.read_sql(
        source, f"SELECT {chosen} FROM lineitem", return_type="arrow_stream", batch_size=50_000
    )
    fields = [pa.field(f.name, pa.decimal128(15, 2) if f.name in DECIMALS else f.type) for f in reader.schema]
    schema = pa.schema(fields)
    encoder = pgpq.ArrowToPostgresBinaryEncoder(schema)

    def encoded() -> Iterator[bytes]:
        yield encoder.write_header()
        for batch in reader:
            arrays: list[Any] = [array.cast(field.type) for array, field in zip(batch.columns, schema, strict=True)]
            yield encoder.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
        yield encoder.finish()

    with psycopg.connect(target) as session, session.cursor() as cursor:
        with cursor.copy("COPY lineitem FROM STDIN (FORMAT binary)") as copy:
            for data in encoded():
                copy.write(data)
        session.commit()


def limit(host: str, source: str) -> Cost:
    empty_target(host)
    columns = ", ".join(f"{name} {kind}" for name, kind in lineitem.COLUMNS.items())
    execute(url(host, "target"), f"CREATE TABLE lineitem ({columns})")
    return run([sys.executable, "-m", "benchmarks.mysql_to_postgres", "--by-hand", source, url(host, "target")])


def contents(host: str) -> tuple[int, int]:
    """Row count and a hash of all columns that hangs on no order."""
    row = ", ".join(f"trim_scale({n})::text" if n in DECIMALS else f"{n}::text" for n in lineitem.COLUMNS)
    query = f"SELECT count(*), sum(hashtextextended(concat_ws('|', {row}), 0)) FROM lineitem"
    with psycopg.connect(url(host, "target")) as connection:
        found = connection.execute(query).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


def measured(host: str, source: str, expected: tuple[int, int]) -> Cost:
    """One run of headgate, verified."""
    empty_target(host)
    root = fresh("mysql_to_postgres")
    (root / "headgate.yml").write_text(
        "version: 1\nproject: bench\nconnections:\n"
        f'  source: {{type: mysql, url: "{source}"}}\n  target: {{type: postgres, url: "{url(host, "target")}"}}\n'
        "pipelines:\n  load:\n    source: {connection: source, table: lineitem}\n"
        "    target: {connection: target, table: lineitem, mode: append}\n"
    )
    cost, receipt = headgate("run", "load", project=root)
    if receipt["status"] != "success" or contents(host) != expected:
        raise MeasurementError(f"not what the source holds: {receipt}")
    return cost


def main() -> int:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1, help="TPC-H scale factor (1: 6,001,215 rows)")
    options = parser.parse_args()
    csv = lineitem.csv_file(options.scale)
    with server() as (host, _), running_mariadb() as maria:
        tell("seeding the source database")
        execute(url(host, "postgres"), "CREATE DATABASE target")
        source = seed(maria, csv)
        arrow = f"mysql://root@localhost/source?socket={maria.socket}"
        limit(host, arrow)
        expected = contents(host)
        sides = {"limit": partial(limit, host, arrow), "headgate": partial(measured, host, source, expected)}
        costs = interleaved(options.times, sides)
    limits = summarise("limit: connectorx | COPY binary", costs["limit"], ratio=1.0)
    ours = summarise("headgate: every value checked, one commit", costs["headgate"])
    ratio = ours.wall / limits.wall
    met = ratio <= GOAL and ours.peak_mb <= MEMORY_MB
    ours = replace(ours, ratio=ratio, goal=f"<= {GOAL}, <= {MEMORY_MB} MB", met=met)
    return report(f"MySQL → PostgreSQL, {expected[0]:,} rows", [limits, ours], options.output)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--by-hand"]:
        by_hand(*sys.argv[2:4])
    else:
        sys.exit(main())
