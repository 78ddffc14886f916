"""How close is a checked, published load of a CSV file to hand-written DuckDB SQL?

The limit: one COPY with the same filter and three computed columns to Parquet (zstd), then one scan of the ten checks.
headgate: the same to a Parquet folder and to the lake, with the engine's own conversion of cells as by hand
(``exact: false``), and exactly, as is the default: there a value that its type would round is a row error. That has a
limit of its own, the SQL that reads cells as text and takes none that its cast would change; the ratio to the first
limit is told beside it.
Published rows and the watermark in the target's ledger are
verified after every run, so that nothing is measured with its checks off.
"""

from __future__ import annotations

import statistics
import sys
from functools import partial
from pathlib import Path

import duckdb

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
)

GOAL = 1.3
MEMORY_MB = 1000
NAMES = {"folder": "folder", "lake": "lake", "exact": "lake, exactly"}


def exactly(name: str, kind: str) -> str:
    """The cheapest expression known to us that casts a cell, and ends the statement where the cast would change it."""
    if kind.startswith("DECIMAL"):
        same = f"regexp_full_match({name}, '-?[0-9]+([.][0-9]{{1,2}})?')"
    else:
        same = f"CAST(TRY_CAST({name} AS {kind}) AS VARCHAR) = {name}"
    return f"CASE WHEN {same} THEN CAST({name} AS {kind}) ELSE error('no {kind}: ' || {name}) END AS {name}"


def by_hand(csv: str, out: str, exact: str = "") -> None:
    """The limit, as somebody who knows DuckDB would write it."""
    held = {name: "VARCHAR" if exact else kind for name, kind in lineitem.COLUMNS.items()}
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in held.items())
    typed = [exactly(*item) if exact and item[1] != "VARCHAR" else item[0] for item in lineitem.COLUMNS.items()]
    computed = ", ".join(f"{expression} AS {name}" for name, expression in lineitem.COMPUTED.items())
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT *, {computed} FROM (SELECT {', '.join(typed)} FROM read_csv(?, header = true, "
            f"auto_detect = false, delim = ',', quote = '\"', columns = {{{columns}}})) WHERE {lineitem.FILTER}) "
            f"TO '{out}' (FORMAT parquet, COMPRESSION zstd)",
            [csv],
        )
        checks = ", ".join(f"count(*) FILTER (NOT ({check}))" for check in lineitem.CHECKS)
        failed = connection.execute(f"SELECT {checks} FROM read_parquet(?)", [out]).fetchall()[0]
    if any(failed):
        raise MeasurementError(f"checks failed: {failed}")


def contents(files: list[str]) -> tuple[int, int]:
    """Row count and an order-independent hash of all columns, cast to the declared types."""
    types = {**lineitem.COLUMNS, "disc_price": "DECIMAL(18,4)", "charge": "DECIMAL(18,6)", "ship_days": "BIGINT"}
    columns = ", ".join(f"CAST({name} AS {kind})" for name, kind in types.items())
    with duckdb.connect() as connection:
        query = f"SELECT count(*), sum(hash({columns})) FROM read_parquet(?, union_by_name = true)"
        count, total = connection.execute(query, [files]).fetchall()[0]
    return int(count), int(total)


def project(kind: str, csv: Path) -> Path:
    """A project that loads the file into a ``folder`` or the ``lake``; ``exact`` is the lake, cells cast exactly."""
    root = fresh(f"csv_to_{kind}")
    types = ", ".join(f'{name}: "{sql}"' for name, sql in lineitem.COLUMNS.items())
    target = "{connection: out, table: lineitem}" if kind == "folder" else "{table: lineitem}"
    exact = str(kind == "exact").lower()
    (root / "pipelines").mkdir()
    (root / "headgate.yml").write_text(
        f"version: 1\nproject: bench\nconnections:\n  files: {{type: local, path: {csv.parent}}}\n"
        "  out: {type: local, path: out}\nlake: {type: iceberg, path: lake}\n"
    )
    (root / "pipelines" / "load.yml").write_text(
        "pipelines:\n  load:\n"
        f"    source: {{connection: files, path: {csv.name}, exact: {exact}, mode: incremental, types: {{{types}}}}}\n"
        f"{lineitem.STEPS}    target: {target}\n"
    )
    return root


def measured(kind: str, csv: Path, expected: tuple[int, int]) -> Cost:
    """One first run of headgate, verified."""
    root = project(kind, csv)
    cost, receipt = headgate("run", "load", project=root)
    if receipt["status"] != "success" or not receipt["published"] or len(receipt["checks"]) != len(lineitem.CHECKS):
        raise MeasurementError(f"not published with ten checks: {receipt}")
    files = [str(path) for path in (root / ("out" if kind == "folder" else "lake")).rglob("*.parquet")]
    found = contents(files)
    if found != expected:
        raise MeasurementError(f"published {found}, expected {expected}")
    _, state = headgate("state", "show", "load", project=root)
    if [mark["run_id"] for mark in state] != [receipt["run_id"]]:
        raise MeasurementError(f"the target's ledger does not have run {receipt['run_id']}: {state}")
    return cost


def main() -> int:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1, help="TPC-H scale factor (1: 6,001,215 rows)")
    parser.add_argument("--limit-only", action="store_true", help="measure the limit alone")
    options = parser.parse_args()
    csv = lineitem.csv_file(options.scale)
    out = str(fresh("csv_by_hand") / "lineitem.parquet")
    hand = [sys.executable, "-m", "benchmarks.csv_to_parquet", "--by-hand", str(csv), out]
    run(hand)  # the file is in the page cache from here on
    expected = contents([out])
    limits = {"limit": hand}
    if options.only in "exact":
        limits["limit, exactly"] = [*hand, "exact"]
    sides = {name: partial(run, command) for name, command in limits.items()}
    if not options.limit_only:
        kinds = [kind for kind in NAMES if options.only in kind]
        sides |= {kind: partial(measured, kind, csv, expected) for kind in kinds}
    costs = interleaved(options.times, sides)
    limit = statistics.median(cost.wall for cost in costs["limit"])
    rows: list[Summary] = [summarise("limit: DuckDB by hand, one scan of checks", costs["limit"], ratio=1.0)]
    if "limit, exactly" in costs:
        rows.append(summarise("limit: the same, cells cast exactly", costs["limit, exactly"], ratio=1.0))
    for kind in NAMES:
        if kind in costs:
            mine = statistics.median(cost.wall for cost in costs[kind])
            own = statistics.median(cost.wall for cost in costs["limit, exactly" if kind == "exact" else "limit"])
            peak = max(cost.peak_mb for cost in costs[kind])
            rows.append(
                summarise(
                    f"headgate: CSV → {NAMES[kind]}",
                    costs[kind],
                    ratio=mine / own,
                    goal=f"≤ {GOAL} ×, < {MEMORY_MB} MB",
                    met=mine / own <= GOAL and peak < MEMORY_MB,
                    note=f"({mine / limit:.2f} × the first limit)" if kind == "exact" else "",
                )
            )
    return report(f"CSV → filter, 3 columns, 10 rules → Parquet, {expected[0]:,} rows published", rows, options.output)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--by-hand"]:
        by_hand(*sys.argv[2:])
    else:
        sys.exit(main())
