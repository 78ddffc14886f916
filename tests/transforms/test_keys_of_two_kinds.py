"""Keys that a double does not hold are not compared with doubles: 2 ** 53 + 1 would be 2 ** 53 there."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.plan.projects import FILES, SmallProject

from headgate.core.errors import Code, FatalError

LARGE = 2**53
PARQUET: dict[str, Any] = {**FILES, "path": "rows.parquet"}
STEP: dict[str, Any] = {"type": "join", "path": "inbox/other.parquet", "on": ["k"]}
RULE: dict[str, Any] = {"type": "referential", "columns": ["k"], "path": "inbox/other.parquet"}


def keys(project: SmallProject, mine: pa.Array[Any], theirs: pa.Array[Any]) -> SmallProject:
    (project.root / "inbox").mkdir(exist_ok=True)
    pq.write_table(pa.table({"k": mine}), project.root / "inbox" / "rows.parquet")
    pq.write_table(pa.table({"k": theirs, "n": range(len(theirs))}), project.root / "inbox" / "other.parquet")
    return project


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (pa.array([LARGE + 1]), pa.array([float(LARGE)])),
        (pa.array([float(LARGE)]), pa.array([LARGE + 1])),
        (pa.array([Decimal(LARGE + 1)], pa.decimal128(20, 0)), pa.array([float(LARGE)])),
        (pa.array([2**24 + 1], pa.int32()), pa.array([2.0**24], pa.float32())),
    ],
    ids=["whole numbers", "there", "decimals", "floats"],
)
@pytest.mark.parametrize("asked", ["join", "referential"])
def test_keys_that_would_meet_by_rounding_are_refused(
    project: SmallProject, asked: str, mine: pa.Array[Any], theirs: pa.Array[Any]
) -> None:
    steps, rules = ([STEP], []) if asked == "join" else ([], [RULE])
    keys(project, mine, theirs).define(source=PARQUET, steps=steps, rules=rules)
    with pytest.raises(FatalError, match=r"k is .*, but k .*is ") as refused:
        project.plan()
    assert refused.value.code is Code.PLAN_INVALID
    assert "in a step before" in refused.value.hint


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (pa.array([1, 2], pa.int32()), pa.array([1.0, 2.5])),
        (pa.array([1.0, 2.5]), pa.array([1, 2], pa.int32())),
        (pa.array([Decimal("1.00"), Decimal("2.50")]), pa.array([1.0, 2.25])),
        (pa.array([1.0, 2.5], pa.float32()), pa.array([1.0, 2.25])),
    ],
    ids=["whole numbers", "there", "decimals", "floats"],
)
def test_keys_that_doubles_hold_are_compared(project: SmallProject, mine: pa.Array[Any], theirs: pa.Array[Any]) -> None:
    keys(project, mine, theirs).define(source=PARQUET, steps=[STEP]).run()
    assert project.out("SELECT n FROM out") == [(0,), (None,)]
