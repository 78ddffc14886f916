"""Which pattern fits: stated rules over stated requirements, and the reasons for and against. Nothing is guessed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import Field

from headgate.core.errors import Code, FatalError
from headgate.core.models import Model
from headgate.diagrams.pipelines.chain import Chain

Latency = Literal["real-time", "near-real-time", "batch"]
Complexity = Literal["simple", "moderate", "complex"]
Power = Literal["limited", "moderate", "powerful"]
LARGE = 100.0
"""GB a day above which moving the work to the data pays."""
POWER: dict[str, Power] = {
    "snowflake": "powerful", "bigquery": "powerful", "redshift": "powerful", "databricks": "powerful",
    "postgres": "moderate", "mysql": "moderate", "mariadb": "moderate", "sqlserver": "moderate", "oracle": "moderate",
    "duckdb": "moderate", "iceberg": "moderate", "sqlite": "limited", "local": "limited",
}  # fmt: skip
"""What a kind of target can compute, unless somebody says otherwise."""


class PipelineRequirements(Model):
    """What is asked of a pipeline."""

    data_volume_gb_per_day: float = Field(ge=0, le=1e9, description="GB a day.")
    latency_requirement: Latency = Field(description="How old data may be.")
    source_count: int = Field(ge=1, le=100_000, description="Systems that it reads.")
    transformation_complexity: Complexity = Field(description="How much is done to the data.")
    target_system_compute_power: Power = Field(description="What the target can compute.")
    raw_data_wanted: bool = Field(default=False, description="Whether somebody wants the data as it came.")


@dataclass(frozen=True)
class Reason:
    """One line of the decision matrix: a requirement, and what it speaks for."""

    requirement: str
    speaks_for: str
    why: str


@dataclass(frozen=True)
class Recommendation:
    """``rule``: the first that applied, as it is stated; ``reasons``: all that was weighed."""

    pattern: str
    rule: str
    reasons: tuple[Reason, ...]
    with_headgate: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


RULES: tuple[tuple[str, str], ...] = (
    ("stream processing", "real-time, whatever the volume: stream processing (Kafka + Flink/Spark Streaming)"),
    ("ELT", "more than 100 GB a day and a powerful target: ELT"),
    ("ETL", "complex transformations and a target of limited power: ETL"),
    ("micro-batch", "near-real-time, and none of the above: micro-batches, a run every few minutes"),
    (
        "hybrid",
        "more than 100 GB a day and a target of moderate power: hybrid, reduce before the load, finish after it",
    ),
    ("batch ETL", "none of the above: batch ETL"),
)
"""Pattern and rule, in the order in which they are tried."""
WITH_HEADGATE = {
    "stream processing": "keep the stream in Kafka and Flink or Spark, and let headgate load what they write",
    "ELT": "source and target of one server, or push-down: the plan says where each pass runs",
    "ETL": "the embedded engine transforms, and only the result is loaded",
    "micro-batch": 'mode: incremental and schedule: "*/5 * * * *"',
    "hybrid": "filter and aggregate in the first pipeline, load, and let a second one go on from its table",
    "batch ETL": "a schedule once a day, mode: incremental where the source has a cursor",
}


def requirements(
    *,
    volume: float | None,
    latency: str | None,
    sources: int | None,
    complexity: str | None,
    power: str | None,
    target: str | None = None,
    raw: bool = False,
    chain: Chain | None = None,
) -> PipelineRequirements:
    """The requirements as they were said; a pipeline says its sources and the kind of its target.

    Raises:
        FatalError: USAGE that names everything that is still to be said.
        ValidationError: for a value that cannot be.
    """
    if chain is not None:
        sources = len(chain.sources) + len(chain.sides) if sources is None else sources
        target = chain.pipeline.target_addresses[0].kind if target is None else target
    if power is None and target is not None:
        power = POWER.get(target.lower())
    said = {
        "--volume": volume,
        "--latency": latency,
        "--sources": sources,
        "--complexity": complexity,
        "--power": power,
    }
    missing = [name for name, value in said.items() if value is None]
    if missing:
        unknown = f"the power of {target} is not known; " if target and power is None else ""
        raise FatalError(
            Code.USAGE,
            f"{unknown}not said: {', '.join(missing)}",
            operation="recommend",
            object=missing[0],
            hint="all five are needed; the name of a pipeline stands for --sources and --power only",
        )
    return PipelineRequirements.model_validate(
        {
            "data_volume_gb_per_day": volume,
            "latency_requirement": latency,
            "source_count": sources,
            "transformation_complexity": complexity,
            "target_system_compute_power": power,
            "raw_data_wanted": raw,
        }
    )


def recommend(wanted: PipelineRequirements) -> Recommendation:
    """The first rule that applies, with its reasons."""
    pattern = _pattern(wanted)
    return Recommendation(pattern, dict(RULES)[pattern], tuple(_reasons(wanted)), WITH_HEADGATE[pattern])


def _pattern(wanted: PipelineRequirements) -> str:
    large = wanted.data_volume_gb_per_day > LARGE
    power = wanted.target_system_compute_power
    if wanted.latency_requirement == "real-time":
        return "stream processing"
    if large and power == "powerful":
        return "ELT"
    if wanted.transformation_complexity == "complex" and power == "limited":
        return "ETL"
    if wanted.latency_requirement == "near-real-time":
        return "micro-batch"
    return "hybrid" if large and power == "moderate" else "batch ETL"


def _reasons(wanted: PipelineRequirements) -> Iterator[Reason]:
    """The decision matrix: what each requirement speaks for."""
    volume, power = wanted.data_volume_gb_per_day, wanted.target_system_compute_power
    large = volume > LARGE
    yield Reason(
        f"{volume:g} GB a day",
        "ELT" if large else "ETL",
        "so much is moved once and computed where it lies" if large else "one machine computes that in time",
    )
    yield Reason(
        f"target power: {power}",
        {"powerful": "ELT", "moderate": "either", "limited": "ETL"}[power],
        {
            "powerful": "the warehouse computes faster than what feeds it",
            "moderate": "it can finish what was reduced before",
            "limited": "its readers would wait for the work",
        }[power],
    )
    complexity = wanted.transformation_complexity
    yield Reason(
        f"transformations: {complexity}",
        {"simple": "ELT", "moderate": "either", "complex": "ETL"}[complexity],
        {
            "simple": "SQL in the target says it all",
            "moderate": "SQL says most of it",
            "complex": "code before the load is easier to test than SQL after it",
        }[complexity],
    )
    latency = wanted.latency_requirement
    yield Reason(
        f"latency: {latency}",
        {"real-time": "stream processing", "near-real-time": "micro-batch", "batch": "batch"}[latency],
        {
            "real-time": "no run that starts and ends is fast enough",
            "near-real-time": "a run every few minutes is fast enough",
            "batch": "a run a day is fast enough",
        }[latency],
    )
    yield Reason(
        f"{wanted.source_count} source{'s' if wanted.source_count != 1 else ''}",
        "ETL" if wanted.source_count > 1 else "either",
        "they are brought into one form before they meet"
        if wanted.source_count > 1
        else "nothing has to be brought together",
    )
    raw = wanted.raw_data_wanted
    yield Reason(
        "raw data wanted" if raw else "raw data not wanted",
        "ELT" if raw else "ETL",
        "the target keeps it as it came" if raw else "only what is used is loaded",
    )
