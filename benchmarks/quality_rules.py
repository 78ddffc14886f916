"""How fast are twenty rules with quarantine, against SQL by hand and against the peers?

The limit is the better of two ways that somebody who knows DuckDB would write: one scan for all rules with uniqueness
beside it, and one query a rule. Both only count. headgate judges the same rules with ``ValidateData``, and keeps the
bad rows with their reasons. Peers run in environments of their own, where they install; they only count too.
All sides are measured twice: as a program of its own, where each has to start first (headgate with its planner and its
ledger), and within a process that did the same once before, as a scheduler's worker or a notebook does.
The second question is the split: good rows and bad ones with reasons in their own files, against a plain rewrite.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb

from benchmarks import lineitem
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

GOAL, SPLIT_GOAL, MEMORY_MB = 1.0, 1.6, 600
RUNNING = ", running"
ROWS = (
    "l_orderkey IS NOT NULL", "l_partkey IS NOT NULL", "l_suppkey IS NOT NULL", "l_linenumber IS NOT NULL",
    "l_quantity BETWEEN 1 AND 50", "l_extendedprice > 0", "l_discount BETWEEN 0 AND 0.10", "l_tax BETWEEN 0 AND 0.08",
    "l_returnflag IN ('A', 'N', 'R')", "l_linestatus IN ('F', 'O')",
    "l_shipmode IN ('AIR', 'FOB', 'MAIL', 'RAIL', 'REG AIR', 'SHIP', 'TRUCK')",
    "l_shipinstruct IN ('COLLECT COD', 'DELIVER IN PERSON', 'NONE', 'TAKE BACK RETURN')",
    "l_shipdate BETWEEN DATE '1992-01-01' AND DATE '1998-12-31'", "l_receiptdate > l_shipdate",
    "l_receiptdate <= DATE '1998-12-25'", "regexp_full_match(l_shipmode, '[A-Z ]+')",
    "l_quantity * 10000 > l_linenumber",
)  # fmt: skip
"""Seventeen rules about rows; the one about the date of receipt is broken by some."""
RULES = """\
    quality_rules:
      - {type: not_null, columns: [l_orderkey]}
      - {type: not_null, columns: [l_partkey]}
      - {type: not_null, columns: [l_suppkey]}
      - {type: not_null, columns: [l_linenumber]}
      - {type: range, column: l_quantity, min: 1, max: 50}
      - {type: expression, condition: "l_extendedprice > 0"}
      - {type: range, column: l_discount, min: 0, max: 0.10}
      - {type: range, column: l_tax, min: 0, max: 0.08}
      - {type: accepted_values, column: l_returnflag, values: [A, N, R]}
      - {type: accepted_values, column: l_linestatus, values: [F, O]}
      - {type: accepted_values, column: l_shipmode, values: [AIR, FOB, MAIL, RAIL, REG AIR, SHIP, TRUCK]}
      - type: accepted_values
        column: l_shipinstruct
        values: [COLLECT COD, DELIVER IN PERSON, NONE, TAKE BACK RETURN]
      - {type: range, column: l_shipdate, min: 1992-01-01, max: 1998-12-31}
      - {type: expression, condition: "l_receiptdate > l_shipdate"}
      - {type: range, column: l_receiptdate, max: 1998-12-25, on_fail: quarantine, name: received}
      - {type: regex, column: l_shipmode, pattern: "[A-Z ]+"}
      - {type: expression, condition: "l_quantity * 10000 > l_linenumber"}
      - {type: unique, columns: [l_orderkey, l_linenumber]}
      - {type: aggregate, condition: "AVG(l_quantity) BETWEEN 20 AND 30"}
      - {type: row_count, min: 1}
"""
PANDERA = """
import sys, polars as pl, pandera.polars as pa
rows = pl.read_parquet(sys.argv[1])
C, K = pa.Column, pa.Check
modes = ["AIR", "FOB", "MAIL", "RAIL", "REG AIR", "SHIP", "TRUCK"]
how = ["COLLECT COD", "DELIVER IN PERSON", "NONE", "TAKE BACK RETURN"]
schema = pa.DataFrameSchema({
    "l_orderkey": C(nullable=False), "l_partkey": C(nullable=False), "l_suppkey": C(nullable=False),
    "l_linenumber": C(nullable=False), "l_quantity": C(checks=K.in_range(1, 50)), "l_extendedprice": C(checks=K.gt(0)),
    "l_discount": C(checks=K.in_range(0, 0.1)), "l_tax": C(checks=K.in_range(0, 0.08)),
    "l_returnflag": C(checks=K.isin(["A", "N", "R"])), "l_linestatus": C(checks=K.isin(["F", "O"])),
    "l_shipmode": C(checks=[K.isin(modes), K.str_matches("^[A-Z ]+$")]), "l_shipinstruct": C(checks=K.isin(how)),
}, checks=[K(lambda d: d.lazyframe.select(pl.col("l_receiptdate") > pl.col("l_shipdate"))),
           K(lambda d: d.lazyframe.select(pl.col("l_quantity") * 10000 > pl.col("l_linenumber")))],
    unique=["l_orderkey", "l_linenumber"])
try:
    schema.validate(rows, lazy=True)
except pa.errors.SchemaErrors as errors:
    sys.exit(f"broken: {str(errors)[:500]}")
assert len(rows) > 0 and 20 <= float(rows["l_quantity"].mean()) <= 30
"""
SODA = """
import sys, duckdb
from soda.scan import Scan
connection = duckdb.connect()
connection.execute(f"CREATE VIEW lineitem AS SELECT * FROM read_parquet('{sys.argv[1]}')")
def valid(name, more):
    return f"  - invalid_count({name}) = 0:\\n      {more}\\n"
def own(name, condition, count=0):
    return f"  - {name} = {count}:\\n      {name} expression: count(CASE WHEN NOT ({condition}) THEN 1 END)\\n"
checks = "checks for lineitem:\\n  - row_count > 0\\n  - avg(l_quantity) between 20 and 30\\n"
for name in ("l_orderkey", "l_partkey", "l_suppkey", "l_linenumber"):
    checks += f"  - missing_count({name}) = 0\\n"
checks += "  - duplicate_count(l_orderkey, l_linenumber) = 0\\n"
for name, low, high in (("l_quantity", 1, 50), ("l_discount", 0, 0.1), ("l_tax", 0, 0.08)):
    checks += valid(name, f"valid min: {low}\\n      valid max: {high}")
checks += valid("l_returnflag", "valid values: [A, N, R]") + valid("l_linestatus", "valid values: [F, O]")
checks += valid("l_shipmode", "valid values: [AIR, FOB, MAIL, RAIL, REG AIR, SHIP, TRUCK]")
checks += valid("l_shipmode", "valid regex: '^[A-Z ]+$'")
checks += valid("l_shipinstruct", "valid values: [COLLECT COD, DELIVER IN PERSON, NONE, TAKE BACK RETURN]")
checks += own("price", "l_extendedprice > 0") + own("later", "l_receiptdate > l_shipdate")
checks += own("shipped", "l_shipdate BETWEEN DATE '1992-01-01' AND DATE '1998-12-31'")
checks += own("received", "l_receiptdate <= DATE '1998-12-25'", sys.argv[2])
checks += own("quantity", "l_quantity * 10000 > l_linenumber")
scan = Scan()
scan.set_data_source_name("duckdb")
scan.add_duckdb_connection(connection)
scan.add_sodacl_yaml_str(checks)
status = scan.execute()
if status or len(scan._checks) != 20:
    sys.exit(scan.get_logs_text())
"""
EXPECTATIONS = """
import os, sys
os.environ["GX_ANALYTICS_ENABLED"] = "false"
import great_expectations as gx, pandas as pd
rows = pd.read_parquet(sys.argv[1])
E = gx.expectations
modes = ["AIR", "FOB", "MAIL", "RAIL", "REG AIR", "SHIP", "TRUCK"]
how = ["COLLECT COD", "DELIVER IN PERSON", "NONE", "TAKE BACK RETURN"]
day = pd.Timestamp
for name in ("l_shipdate", "l_receiptdate"):
    rows[name] = pd.to_datetime(rows[name])
for name in ("l_quantity", "l_extendedprice", "l_discount", "l_tax"):
    rows[name] = rows[name].astype("float64")
rows["tenthousandfold"] = rows["l_quantity"] * 10000
between, among = E.ExpectColumnValuesToBeBetween, E.ExpectColumnValuesToBeInSet
more = E.ExpectColumnPairValuesAToBeGreaterThanB
suite = gx.ExpectationSuite("rules", expectations=[
    *(E.ExpectColumnValuesToNotBeNull(column=c) for c in ("l_orderkey", "l_partkey", "l_suppkey", "l_linenumber")),
    between(column="l_quantity", min_value=1, max_value=50),
    between(column="l_extendedprice", min_value=0, strict_min=True),
    between(column="l_discount", min_value=0, max_value=0.1), between(column="l_tax", min_value=0, max_value=0.08),
    among(column="l_returnflag", value_set=["A", "N", "R"]), among(column="l_linestatus", value_set=["F", "O"]),
    among(column="l_shipmode", value_set=modes), among(column="l_shipinstruct", value_set=how),
    between(column="l_shipdate", min_value=day("1992-01-01"), max_value=day("1998-12-31")),
    more(column_A="l_receiptdate", column_B="l_shipdate"),
    between(column="l_receiptdate", max_value=day("1998-12-25")),
    E.ExpectColumnValuesToMatchRegex(column="l_shipmode", regex="^[A-Z ]+$"),
    more(column_A="tenthousandfold", column_B="l_linenumber"),
    E.ExpectCompoundColumnsToBeUnique(column_list=["l_orderkey", "l_linenumber"]),
    E.ExpectColumnMeanToBeBetween(column="l_quantity", min_value=20, max_value=30),
    E.ExpectTableRowCountToBeBetween(min_value=1),
])
context = gx.get_context(mode="ephemeral")
asset = context.data_sources.add_pandas("p").add_dataframe_asset("rows")
batch = asset.add_batch_definition_whole_dataframe("all").get_batch(batch_parameters={"dataframe": rows})
found = batch.validate(suite)
broken = [r.result["unexpected_count"] for r in found.results if not r.success]
if len(found.results) != 20 or broken != [int(sys.argv[2])]:
    sys.exit(f"expected one broken rule of 20: {found}")
"""
PEERS = {
    "pandera on Polars": (("pandera[polars]==0.26.1", "polars"), PANDERA),
    "Soda on DuckDB": (("soda-core-duckdb==3.5.6", "setuptools"), SODA),
    "Great Expectations on pandas": (("great_expectations==1.24.1", "pyarrow"), EXPECTATIONS),
}


def one_scan(path: str) -> None:
    """All rules about rows, the mean and the count in one aggregate, and uniqueness beside it."""
    with duckdb.connect() as connection:
        counts = ", ".join(f"count(*) FILTER (NOT ({check}))" for check in ROWS)
        connection.execute(f"SELECT count(*), avg(l_quantity), {counts} FROM read_parquet(?)", [path]).fetchall()
        connection.execute(_REPEATED, [path]).fetchall()


def a_query_each(path: str) -> None:
    """One query a rule: each reads only its own columns."""
    with duckdb.connect() as connection:
        for check in ROWS:
            connection.execute(f"SELECT count(*) FROM read_parquet(?) WHERE NOT ({check})", [path]).fetchall()
        connection.execute("SELECT avg(l_quantity) FROM read_parquet(?)", [path]).fetchall()
        connection.execute("SELECT count(*) FROM read_parquet(?)", [path]).fetchall()
        connection.execute(_REPEATED, [path]).fetchall()


_REPEATED = (
    "SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM read_parquet(?)"
    " GROUP BY l_orderkey, l_linenumber HAVING count(*) > 1)"
)


def rewrite(path: str, out: str) -> None:
    """The limit of the split: the file written once more."""
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT * FROM read_parquet(?)) TO '{out}' (FORMAT parquet, COMPRESSION zstd)", [path]
        )


def validate(root: str, path: str) -> None:
    """headgate: the same rules, the bad rows kept with their reasons."""
    import yaml

    import headgate as hg

    rules = yaml.safe_load(RULES)["quality_rules"]
    result = hg.Project.load(root).execute(hg.ValidateData(dataset=path, connection="files", rules=tuple(rules)))
    receipt = result.unwrap()
    print(json.dumps({"checks": len(receipt.checks), "quarantined": receipt.rows.quarantined}))


def once_more(work: Callable[[], None]) -> None:
    """Do it, do it again, and print what the second time took: wall and CPU seconds of this process."""
    work()
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    print(json.dumps({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}))


def running(side: Callable[[], Cost]) -> Cost:
    """What the second time took, in the memory of both."""
    cost = side()
    second = json.loads(cost.stdout.splitlines()[-1])
    return Cost(second["wall"], second["cpu"], cost.peak_mb, cost.stdout)


def parquet_file(scale: float) -> Path:
    """Lineitem as Parquet, made once from the CSV file."""
    csv = lineitem.csv_file(scale)
    path = csv.with_suffix(".parquet")
    if not path.exists():
        columns = ", ".join(f"'{name}': '{kind}'" for name, kind in lineitem.COLUMNS.items())
        with duckdb.connect() as connection:
            connection.execute(
                f"COPY (SELECT * FROM read_csv(?, header = true, columns = {{{columns}}}))"
                f" TO '{path}' (FORMAT parquet, COMPRESSION zstd)",
                [str(csv)],
            )
    return path


def project(path: Path) -> Path:
    root = fresh("quality_rules")
    (root / "pipelines").mkdir()
    (root / "headgate.yml").write_text(
        f"version: 1\nproject: bench\nconnections:\n  files: {{type: local, path: {path.parent}}}\n"
        "  out: {type: local, path: out}\nlake: {type: iceberg, path: lake}\n"
    )
    (root / "pipelines" / "split.yml").write_text(
        f"pipelines:\n  split:\n    source: {{connection: files, path: {path.name}}}\n{RULES}"
        "    target: {connection: out, table: lineitem}\n"
    )
    return root


def checked(path: Path, expected: int, *more: str) -> Cost:
    root = project(path)
    cost = run([sys.executable, "-m", "benchmarks.quality_rules", *more, "--validate", str(root), path.name])
    found = json.loads(cost.stdout.splitlines()[0])
    if found != {"checks": 20, "quarantined": expected}:
        raise MeasurementError(f"expected 20 checks and {expected} rows held back: {found}")
    return cost


def split(path: Path, expected: int) -> Cost:
    cost, receipt = headgate("run", "split", project=project(path))
    if not receipt["published"] or receipt["rows"]["quarantined"] != expected:
        raise MeasurementError(f"not split: {receipt}")
    return cost


def peer(name: str) -> Path | None:
    """The Python of an environment with the peer; None where it does not install."""
    packages, _ = PEERS[name]
    folder = CACHE / "peers" / name.replace(" ", "_")
    python = folder / "bin" / "python"
    if not python.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)  # noqa: S603
            subprocess.run([str(python), "-m", "pip", "install", "-q", *packages], check=True, capture_output=True)  # noqa: S603
        except subprocess.CalledProcessError as error:
            tell(f"{name} does not install: {error.stderr.decode()[-300:]}")
            return None
    return python


def main() -> int:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1, help="TPC-H scale factor (1: 6,001,215 rows)")
    options = parser.parse_args()
    path = parquet_file(options.scale)
    own = [sys.executable, "-m", "benchmarks.quality_rules"]
    with duckdb.connect() as connection:
        query = f"SELECT count(*) FROM read_parquet(?) WHERE NOT ({ROWS[14]})"
        expected = connection.execute(query, [str(path)]).fetchall()[0][0]
    out = str(fresh("quality_rewrite") / "lineitem.parquet")
    sides = {
        "one scan": partial(run, [*own, "--one-scan", str(path)]),
        "a query each": partial(run, [*own, "--a-query-each", str(path)]),
        "headgate": partial(checked, path, expected),
        f"one scan{RUNNING}": partial(running, partial(run, [*own, "--again", "--one-scan", str(path)])),
        f"a query each{RUNNING}": partial(running, partial(run, [*own, "--again", "--a-query-each", str(path)])),
        f"headgate{RUNNING}": partial(running, partial(checked, path, expected, "--again")),
        "rewrite": partial(run, [*own, "--rewrite", str(path), out]),
        "split": partial(split, path, expected),
    }
    for name in PEERS:
        python = peer(name) if options.only in name else None
        if python is not None:
            sides[name] = partial(run, [str(python), "-c", PEERS[name][1], str(path), str(expected)])
    costs = interleaved(options.times, sides)
    wall = {name: statistics.median(cost.wall for cost in found) for name, found in costs.items()}
    limits = {more: min(wall[f"one scan{more}"], wall[f"a query each{more}"]) for more in ("", RUNNING)}
    rows: list[Summary] = []
    for name, found in costs.items():
        limit = limits[RUNNING if name.endswith(RUNNING) else ""]
        base, goal = (wall["rewrite"], SPLIT_GOAL) if name in ("rewrite", "split") else (limit, GOAL)
        ours = name == "split" or name.startswith("headgate")
        peak = max(cost.peak_mb for cost in found)
        ratio = wall[name] / base
        met = ratio <= goal and peak < MEMORY_MB if ours else None
        rows.append(summarise(name, found, ratio=ratio, goal=f"≤ {goal} ×, < {MEMORY_MB} MB" if ours else "", met=met))
    return report(f"20 rules with quarantine over Parquet, {expected} rows held back", rows, options.output)


def main_of_a_side(arguments: list[str]) -> int:
    again = arguments[0] == "--again"
    match arguments[again:]:
        case ["--one-scan", path]:
            work = partial(one_scan, path)
        case ["--a-query-each", path]:
            work = partial(a_query_each, path)
        case ["--rewrite", path, out]:
            work = partial(rewrite, path, out)
        case ["--validate", root, path]:
            work = partial(validate, root, path)
        case _:
            return main()
    once_more(work) if again else work()
    return 0


if __name__ == "__main__":
    sys.exit(main_of_a_side(sys.argv[1:] or [""]))
