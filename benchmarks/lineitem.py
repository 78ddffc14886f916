"""TPC-H lineitem and what the benchmarks do with it: one filter, three computed columns, ten rules."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.measure import ROOT, run, tell

COLUMNS = {
    "l_orderkey": "BIGINT",
    "l_partkey": "BIGINT",
    "l_suppkey": "BIGINT",
    "l_linenumber": "INTEGER",
    "l_quantity": "DECIMAL(15,2)",
    "l_extendedprice": "DECIMAL(15,2)",
    "l_discount": "DECIMAL(15,2)",
    "l_tax": "DECIMAL(15,2)",
    "l_returnflag": "VARCHAR",
    "l_linestatus": "VARCHAR",
    "l_shipdate": "DATE",
    "l_commitdate": "DATE",
    "l_receiptdate": "DATE",
    "l_shipinstruct": "VARCHAR",
    "l_shipmode": "VARCHAR",
    "l_comment": "VARCHAR",
}
FILTER = "l_shipdate <= DATE '1998-09-02'"
COMPUTED = {
    "disc_price": "CAST(l_extendedprice * (1 - l_discount) AS DECIMAL(18,4))",
    "charge": "CAST(l_extendedprice * (1 - l_discount) * (1 + l_tax) AS DECIMAL(18,6))",
    "ship_days": "l_receiptdate - l_shipdate",
}
CHECKS = (
    "l_orderkey IS NOT NULL AND l_linenumber IS NOT NULL",
    "l_partkey IS NOT NULL AND l_suppkey IS NOT NULL",
    "l_quantity BETWEEN 1 AND 50",
    "l_discount BETWEEN 0 AND 0.10",
    "l_tax BETWEEN 0 AND 0.08",
    "l_returnflag IN ('A', 'N', 'R')",
    "l_linestatus IN ('F', 'O')",
    "l_shipmode IN ('AIR', 'FOB', 'MAIL', 'RAIL', 'REG AIR', 'SHIP', 'TRUCK')",
    "l_receiptdate > l_shipdate",
    "disc_price > 0 AND charge >= disc_price",
)
"""The ten rules as SQL, for the limit."""

RULES = """\
    quality_rules:
      - {type: not_null, columns: [l_orderkey, l_linenumber]}
      - {type: not_null, columns: [l_partkey, l_suppkey]}
      - {type: range, column: l_quantity, min: 1, max: 50}
      - {type: range, column: l_discount, min: 0, max: 0.10}
      - {type: range, column: l_tax, min: 0, max: 0.08}
      - {type: accepted_values, column: l_returnflag, values: [A, N, R]}
      - {type: accepted_values, column: l_linestatus, values: [F, O]}
      - {type: accepted_values, column: l_shipmode, values: [AIR, FOB, MAIL, RAIL, REG AIR, SHIP, TRUCK]}
      - {type: expression, condition: "l_receiptdate > l_shipdate"}
"""
"""Nine of the ten rules, those on columns that are read, as the part of a pipeline."""

STEPS = f"""\
    transformations:
      - {{type: filter, condition: "{FILTER}"}}
      - type: calculate
        columns:
          disc_price: "{COMPUTED["disc_price"]}"
          charge: "{COMPUTED["charge"]}"
          ship_days: "{COMPUTED["ship_days"]}"
{RULES}      - {{type: expression, condition: "disc_price > 0 AND charge >= disc_price"}}
"""
"""The filter, the columns and the ten rules as the part of a pipeline."""

MORE_CHECKS = (
    "l_extendedprice > 0",
    "l_orderkey >= 1",
    "l_partkey BETWEEN 1 AND 200000000",
    "l_suppkey BETWEEN 1 AND 10000000",
    "l_linenumber BETWEEN 1 AND 7",
    "l_shipdate BETWEEN DATE '1992-01-01' AND DATE '1998-12-31'",
    "l_commitdate BETWEEN DATE '1992-01-01' AND DATE '1998-12-31'",
    "l_shipinstruct IN ('COLLECT COD', 'DELIVER IN PERSON', 'NONE', 'TAKE BACK RETURN')",
    "length(l_comment) <= 44",
    "ship_days BETWEEN 1 AND 30",
)
"""Ten more, for the twenty rules that servers are measured with."""

MORE_RULES = """\
      - {type: range, column: l_extendedprice, min: 0.01}
      - {type: range, column: l_orderkey, min: 1}
      - {type: range, column: l_partkey, min: 1, max: 200000000}
      - {type: range, column: l_suppkey, min: 1, max: 10000000}
      - {type: range, column: l_linenumber, min: 1, max: 7}
      - {type: range, column: l_shipdate, min: 1992-01-01, max: 1998-12-31}
      - {type: range, column: l_commitdate, min: 1992-01-01, max: 1998-12-31}
      - type: accepted_values
        column: l_shipinstruct
        values: [COLLECT COD, DELIVER IN PERSON, NONE, TAKE BACK RETURN]
      - {type: expression, condition: "length(l_comment) <= 44"}
      - {type: range, column: ship_days, min: 1, max: 30}
"""
"""The same as the part of a pipeline, after :data:`STEPS`."""


def csv_file(scale: float = 1) -> Path:
    """The CSV file at a scale factor (1: 6,001,215 rows, 766 MB), made once."""
    folder = ROOT / ".cache" / "tpch" / f"sf{scale:g}"
    path = folder / "lineitem.csv"
    if not path.exists():
        tell(f"making {path.relative_to(ROOT)}")
        generator = str(Path(sys.executable).with_name("tpchgen-cli"))
        partial = folder / "partial"
        run([generator, "csv", "-s", f"{scale:g}", "--tables=lineitem", f"--output-dir={partial}"])
        (partial / "lineitem.csv").replace(path)
        partial.rmdir()
    return path
