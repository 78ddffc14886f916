"""``unique`` with ``scope: table``: the table as it will be after the run, in real stores."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.often import whole_runs
from tests.plan.projects import SmallProject
from tests.tables import COLUMNS, ROWS, Row, arrow, keys

from headgate.core.results import Result
from headgate.core.runs import Receipt

STORES: dict[str, dict[str, Any]] = {
    "sqlite": {"connection": "goal", "table": "out"},
    "duckdb": {"connection": "duck", "table": "out"},
    "folder": {"connection": "inbox", "table": "out"},
    "lake": {"connection": None, "table": "out"},
}
NUMBER = list(COLUMNS).index("i")
MOST = st.one_of(st.integers(0, 5), st.sampled_from(["0%", "40%", "66.7%", "100%"]))
Tables = tuple[list[Row], list[Row]]


@st.composite
def deliveries(draw: st.DrawFn) -> Tables:
    """What is there, and what comes: both often the same values."""
    known = draw(st.lists(ROWS, min_size=1, max_size=3))
    values = [st.sampled_from([*{row[place] for row in known}, None]) for place in range(len(COLUMNS))]
    rows = st.lists(st.tuples(*values), max_size=5)
    return draw(rows), draw(rows)


def numbered(rows: list[Row]) -> list[Row]:
    return [(number, *row[1:]) for number, row in enumerate(rows)]


def without_nan(rows: list[Row]) -> list[Row]:
    return [tuple(None if isinstance(value, float) and math.isnan(value) else value for value in row) for row in rows]


def deliver(project: SmallProject, rows: list[Row], target: dict[str, Any], **options: Any) -> Result[Receipt]:
    (project.root / "inbox").mkdir(exist_ok=True)
    pq.write_table(arrow(rows), project.root / "inbox" / "rows.parquet")
    source = {"connection": "inbox", "path": "rows.parquet"}
    return project.define(source=source, target=target, **options).attempt()


@whole_runs
@for_all(
    deliveries(), st.lists(st.sampled_from([*COLUMNS]), min_size=1, max_size=3, unique=True),
    st.sampled_from([*STORES]), st.sampled_from(["append", "upsert", "overwrite"]),
    st.fixed_dictionaries(
        {"severity": st.sampled_from(["error", "warning"])}, optional={"max_failed": MOST}
    ),
)  # fmt: skip
def test_keys_occur_once_in_the_table_as_it_will_be(
    tmp_path_factory: pytest.TempPathFactory,
    tables: Tables,
    names: list[str],
    store: str,
    mode: str,
    said: dict[str, Any],
) -> None:
    """Equal as in every table: NaN is NaN, -0 is 0, NULL is not compared, and texts are spelled alike."""
    before, after = tables
    if store == "sqlite":
        before, after = without_nan(before), without_nan(after)
    if mode == "upsert":
        before, after = numbered(before), numbered(after)
    target = {**STORES[store], "mode": mode}
    if mode == "upsert":
        target["keys"] = ["i"]
    if mode == "overwrite":
        target["allow_empty"] = True
    rule = {"type": "unique", "columns": names, "scope": "table", **said}
    kept = {"append": before, "upsert": before[len(after) :], "overwrite": []}[mode]
    found = keys([*kept, *after], names)
    times = Counter(found)
    repeated = sum(None not in one and times[one] > 1 for one in found)
    most = said.get("max_failed", 0)
    most = most if isinstance(most, int) else Fraction(most.rstrip("%")) * len(found) / 100
    broken = repeated > most
    with tempfile.TemporaryDirectory(dir=tmp_path_factory.getbasetemp()) as root:
        project = SmallProject(Path(root), connections={"duck": {"type": "duckdb", "path": "goal.duckdb"}})
        deliver(project, before, target).unwrap()
        result = deliver(project, after, target, rules=[rule])
    assert result.is_failure == (broken and said["severity"] == "error"), result.error
    assert result.value is not None
    (check,) = result.value.checks
    assert (check.passed, check.failed_rows, check.judged) == (not broken, repeated, len(found))
    if found:
        assert result.value.quality is not None
        assert result.value.quality["consistency_score"] == pytest.approx(1 - repeated / len(found), abs=1e-6)
        assert result.value.quality["duplicate_percentage"] == pytest.approx(100 * repeated / len(found), abs=1e-6)
    assert result.value.published != result.is_failure
