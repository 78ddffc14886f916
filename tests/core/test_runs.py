"""Runs as data: identities, row accounting, receipts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.core.errors import Code, FatalError
from headgate.core.runs import (
    CheckResult,
    PipelineKey,
    Receipt,
    Rows,
    Status,
    StepCount,
    TableCommit,
    WatermarkChange,
    execution_id,
)

PLAIN = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
INTERVALS = st.dictionaries(st.text(max_size=5), PLAIN, max_size=4)
COUNTS = st.integers(0, 1000)
TEXTS = st.text(max_size=8)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda t: t.replace(tzinfo=UTC))  # noqa: DTZ001
RECEIPTS = st.builds(
    Receipt,
    run_id=TEXTS,
    execution_id=TEXTS,
    pipeline=TEXTS,
    status=st.sampled_from(Status),
    started_at=TIMES,
    ended_at=st.none() | TIMES,
    rows=st.builds(Rows, *[COUNTS] * 12),
    steps=st.lists(
        st.builds(StepCount, TEXTS, COUNTS, COUNTS, st.dictionaries(TEXTS, COUNTS, max_size=2), COUNTS), max_size=3
    ).map(tuple),
    watermark=st.none() | st.builds(WatermarkChange, st.none() | TEXTS, TEXTS, COUNTS),
    checks=st.lists(
        st.builds(CheckResult, TEXTS, TEXTS, st.booleans(), COUNTS, TEXTS, st.sampled_from(["fail", "warn"])),
        max_size=3,
    ).map(tuple),
    targets=st.lists(st.builds(TableCommit, TEXTS, TEXTS, TEXTS, COUNTS, COUNTS, COUNTS), max_size=2).map(tuple),
    published=st.booleans(),
    error=st.none() | st.dictionaries(TEXTS, TEXTS, min_size=1, max_size=2),
    message=TEXTS,
    quarantine=st.lists(TEXTS, max_size=2).map(tuple),
    plan_hash=TEXTS,
    warnings=st.lists(TEXTS, max_size=2).map(tuple),
)


@given(RECEIPTS)
def test_a_receipt_survives_its_json(receipt: Receipt) -> None:
    assert Receipt.from_dict(json.loads(json.dumps(receipt.as_dict()))) == receipt


def test_a_receipt_shows_utc_times_and_its_duration() -> None:
    start = datetime(2024, 2, 1, tzinfo=UTC)
    receipt = Receipt("r", "e", "p", Status.SUCCESS, start, start + timedelta(seconds=1.5))
    document = receipt.as_dict()
    assert (document["started_at"], document["duration_seconds"], document["status"]) == (
        "2024-02-01T00:00:00Z",
        1.5,
        "success",
    )
    assert receipt.with_(ended_at=None).as_dict()["duration_seconds"] == 0


@given(TEXTS, TEXTS, INTERVALS)
def test_equal_work_has_one_identity(project: str, pipeline: str, interval: dict[str, Any]) -> None:
    identity = execution_id(PipelineKey(project, pipeline), interval)
    turned = dict(reversed(list(interval.items())))
    assert identity == execution_id(PipelineKey(project, pipeline), turned)
    assert len(identity) == 32
    assert set(identity) <= set("0123456789abcdef")


@given(st.lists(st.tuples(TEXTS, TEXTS, INTERVALS), min_size=2, max_size=6))
def test_project_pipeline_and_interval_each_tell_work_apart(found: list[tuple[str, str, dict[str, Any]]]) -> None:
    identities = {execution_id(PipelineKey(project, pipeline), interval) for project, pipeline, interval in found}
    assert len(identities) == len({json.dumps(item, sort_keys=True) for item in found})


@given(st.builds(Rows, *[COUNTS] * 12))
def test_a_row_too_many_or_too_few_is_an_imbalance(rows: Rows) -> None:
    gone = rows.loaded + rows.filtered + rows.unmatched + rows.quarantined + rows.deduplicated + rows.aggregated
    assert rows.imbalance == rows.extracted + rows.expanded - gone - rows.rejected


@given(COUNTS, COUNTS, st.dictionaries(TEXTS, COUNTS, max_size=3), st.integers(-2, 2))
def test_a_step_that_loses_or_doubles_rows_is_refused(
    rows_in: int, expanded: int, dropped: dict[str, int], wrong: int
) -> None:
    step = StepCount("s", rows_in, rows_in + expanded - sum(dropped.values()) + wrong, dropped, expanded)
    if not wrong:
        step.check()
        return
    with pytest.raises(FatalError) as caught:
        step.check()
    assert caught.value.code is Code.ACCOUNTING_FAILED
