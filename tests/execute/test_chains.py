"""Any chain of steps accounts for every row, whatever becomes of rows in error; what it publishes is what it counts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.often import EXAMPLES
from tests.plan.projects import SmallProject, with_orders

from headgate.core.errors import Code

TOWNS: dict[str, Any] = {"type": "join", "table": "towns", "connection": "shop", "on": "city", "suffix": "_t"}
STEPS: list[dict[str, Any]] = [
    {"type": "filter", "condition": "total > 0 OR total IS NULL"},
    {"type": "filter", "condition": "100 // (id - 3) > 0"},
    {"type": "cast", "columns": {"note": {"type": "INTEGER", "on_error": "null"}}},
    {"type": "cast", "columns": {"note": "INTEGER"}},
    {"type": "clean", "fill": {"total": {"strategy": "mean"}}},
    {"type": "clean", "fill": {"total": {"strategy": "mode", "by": "city"}}},
    {"type": "clean", "fill": {"note": {"strategy": "forward", "order_by": "id"}}},
    {"type": "clean", "remove_nulls": ["total"], "trim": True},
    {"type": "window", "order_by": "id", "columns": {"w": "SUM(total)"}},
    {"type": "categorize", "column": "total", "into": "band", "categories": [{"name": "top", "min_quantile": 0.5}]},
    {"type": "categorize", "into": "fits", "categories": [{"name": "c", "condition": "10 // total > 0"}]},
    *({**TOWNS, "how": how} for how in ("left", "inner", "outer", "right")),
    *({"type": "join", "table": "towns", "connection": "shop", "on": "city", "how": how} for how in ("anti", "semi")),
    {"type": "join", "table": "many", "connection": "shop", "on": "city", "many": True, "suffix": "_m"},
    {"type": "sample", "n": 4},
    {"type": "sample", "fraction": 0.7},
    {"type": "deduplicate", "keys": ["city"], "order_by": "id"},
    {"type": "map", "columns": {"id": "id", "city": "UPPER(city)", "total": "total", "note": "note"}},
    {"type": "mask", "columns": {"note": "redact"}},
    {"type": "sql", "query": "SELECT * FROM input WHERE id <> 2"},
    {"type": "normalize", "scale": {"total": "min_max"}},
    {"type": "python", "function": "mine:same"},
    {"type": "calculate", "columns": {"twice": "total * 2"}, "condition": "id > 2"},
]  # fmt: skip
LAST: list[list[dict[str, Any]]] = [
    [],
    [{"type": "aggregate", "group_by": "city", "aggregations": {"id": ["count", "max"]}, "having": "COUNT(*) > 1"}],
    [{"type": "pivot", "keys": ["city"], "column": "id", "values": [1, 2], "from": "id"}],
    [{"type": "unpivot", "columns": ["id"], "keep": ["city"]}],
]
CHAINS = st.tuples(
    st.lists(st.sampled_from(STEPS), min_size=1, max_size=5),
    st.sampled_from(LAST),
    st.sampled_from(["fail", "quarantine", "null", "log"]),
)
EXPECTED = (None, Code.ROW_ERROR, Code.PLAN_INVALID, Code.TRANSFORMATION_FAILED)


def run(chain: tuple[list[dict[str, Any]], list[dict[str, Any]], str]) -> None:
    steps, last, policy = chain
    with tempfile.TemporaryDirectory() as folder:
        project: SmallProject = with_orders(Path(folder))
        towns = [("Bonn", "NW"), ("Ulm", "BW"), ("Kiel", "SH"), (None, "x")]
        project.table("towns", {"city": "TEXT", "land": "TEXT"}, towns)
        project.table("many", {"city": "TEXT", "k": "TEXT"}, [("Bonn", "1"), ("Bonn", "2"), ("Ulm", "3")])
        (project.root / "mine.py").write_text("def same(rows):\n    return rows\n")
        result = project.define(steps=[*steps, *last], error_handling={"on_row_error": policy}).attempt()
        assert result.error_code in EXPECTED, result.error
        if result.failure is None:
            assert result.value is not None
            rows = result.value.rows
            assert rows.imbalance == 0
            assert rows.extracted == 5
            assert len(project.out()) == rows.loaded
            assert sum(entry["rows"] for entry in project.entries() if entry["status"] == "held") == rows.quarantined


@for_all(CHAINS)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_chain_accounts_for_every_row(chain: Any) -> None:
    run(chain)


@pytest.mark.long
@pytest.mark.timeout(3600)
@for_all(CHAINS)
@settings(max_examples=EXAMPLES // 10, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_thousand_chains_account_for_every_row(chain: Any) -> None:
    run(chain)
