"""Patterns are recommended by the rules that are stated, with reasons; what is not said is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from headgate.core.errors import FatalError
from headgate.queries.recommend import RULES, WITH_HEADGATE, PipelineRequirements, recommend, requirements

EXAMPLE = {
    "data_volume_gb_per_day": 50,
    "latency_requirement": "batch",
    "source_count": 5,
    "transformation_complexity": "moderate",
    "target_system_compute_power": "moderate",
}


def pattern(**changes: Any) -> str:
    return recommend(PipelineRequirements.model_validate({**EXAMPLE, **changes})).pattern


def test_the_example_is_batch_etl() -> None:
    assert pattern() == "batch ETL"


@pytest.mark.parametrize("volume", [0, 1, 100, 101, 10_000])
@pytest.mark.parametrize("power", ["limited", "moderate", "powerful"])
def test_real_time_is_stream_processing_whatever_the_volume(volume: int, power: str) -> None:
    found = pattern(latency_requirement="real-time", data_volume_gb_per_day=volume, target_system_compute_power=power)
    assert found == "stream processing"
    assert "Kafka + Flink/Spark Streaming" in dict(RULES)[found]


@pytest.mark.parametrize(("volume", "expected"), [(100, "batch ETL"), (101, "ELT"), (100.01, "ELT")])
def test_above_a_hundred_gigabytes_a_powerful_target_does_the_work(volume: float, expected: str) -> None:
    assert pattern(data_volume_gb_per_day=volume, target_system_compute_power="powerful") == expected


def test_complex_work_for_a_limited_target_is_done_before() -> None:
    assert pattern(transformation_complexity="complex", target_system_compute_power="limited") == "ETL"


def test_near_real_time_and_hybrid_have_rules_of_their_own() -> None:
    assert pattern(latency_requirement="near-real-time") == "micro-batch"
    assert pattern(data_volume_gb_per_day=101) == "hybrid"


@pytest.mark.parametrize(
    "change",
    [
        {"latency_requirement": "soon"},
        {"data_volume_gb_per_day": -1},
        {"data_volume_gb_per_day": "nan"},
        {"source_count": 0},
        {"transformation_complexity": "hard"},
        {"target_system_compute_power": "huge"},
        {"unknown": 1},
    ],
)
def test_bad_values_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PipelineRequirements.model_validate({**EXAMPLE, **change})


@given(
    st.builds(
        PipelineRequirements,
        data_volume_gb_per_day=st.floats(0, 1e6),
        latency_requirement=st.sampled_from(["real-time", "near-real-time", "batch"]),
        source_count=st.integers(1, 100),
        transformation_complexity=st.sampled_from(["simple", "moderate", "complex"]),
        target_system_compute_power=st.sampled_from(["limited", "moderate", "powerful"]),
        raw_data_wanted=st.booleans(),
    )
)
def test_no_answer_is_silent(wanted: PipelineRequirements) -> None:
    found = recommend(wanted)
    assert found.rule == dict(RULES)[found.pattern]
    assert found.with_headgate == WITH_HEADGATE[found.pattern]
    assert len(found.reasons) == 6
    assert all(reason.requirement and reason.speaks_for and reason.why for reason in found.reasons)


SAID = {"volume": 200.0, "latency": "batch", "sources": 2, "complexity": "simple", "power": None}


@pytest.mark.parametrize("target", ["snowflake", "bigquery", "redshift", "Snowflake"])
def test_the_kind_of_target_says_its_power(target: str) -> None:
    assert requirements(**SAID, target=target).target_system_compute_power == "powerful"  # type: ignore[arg-type]


def test_what_somebody_says_of_the_power_counts_more() -> None:
    given = requirements(**{**SAID, "power": "limited"}, target="snowflake")  # type: ignore[arg-type]
    assert given.target_system_compute_power == "limited"


def test_everything_that_is_not_said_is_named_at_once() -> None:
    with pytest.raises(FatalError, match="not said: --volume, --power") as caught:
        requirements(**{**SAID, "volume": None})  # type: ignore[arg-type]
    assert "name of a pipeline" in caught.value.hint


def test_the_power_of_an_unknown_target_is_not_guessed() -> None:
    with pytest.raises(FatalError, match="the power of mainframe is not known"):
        requirements(**SAID, target="mainframe")  # type: ignore[arg-type]
