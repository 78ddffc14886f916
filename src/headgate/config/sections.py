"""The sections of a project and of a pipeline that no connector, step or rule brings along."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from headgate.config.schedules import check_schedule, check_timezone
from headgate.core.models import Duration, Model, Names, Size
from headgate.core.secrets import Secret

Schedule = Annotated[str, AfterValidator(check_schedule)]
Timezone = Annotated[str, AfterValidator(check_timezone)]
PipelineType = Literal["batch", "stream", "hybrid", "elt"]
Purpose = Literal["warehouse", "reporting", "migration", "consolidation", "master_data"]
AlertEvent = Literal["failed", "refused", "degraded", "sla", "success"]


class Retry(Model):
    """How often a run is tried again after a passing fault, and how long it waits before."""

    max_attempts: int = Field(default=1, ge=1, le=100, description="Runs in all, the first included.")
    base: Duration = Field(default=timedelta(seconds=1), ge=timedelta(0), description="The first wait.")
    factor: float = Field(default=2.0, ge=1, le=100, description="Each wait is so many times the one before.")
    cap: Duration = Field(default=timedelta(seconds=60), ge=timedelta(0), description="The longest wait.")
    jitter: float = Field(default=0.1, ge=0, le=1, description="Added at random, as a share of the wait.")


class ErrorHandling(Model):
    """What becomes of rows and runs that fail."""

    max_error_percentage: float | None = Field(
        default=None, ge=0, le=100, description="Fail when more of the rows than this are bad."
    )
    on_row_error: Annotated[
        Literal["fail", "quarantine", "null", "log"], BeforeValidator(lambda value: "null" if value is None else value)
    ] = Field(
        default="fail",
        description="A row with a value that does not fit fails the run, is held back, goes on with NULL for the "
        "value (null), or does that and is kept beside as it was (log).",
    )
    validation: Literal["enforce", "warn", "off"] = Field(
        default="enforce",
        description="What rules that fail do: enforce refuses the run, warn only tells, off checks none of them.",
    )
    retry: Retry = Field(default_factory=Retry, description="When and how often to try again.")


class Sla(Model):
    """What a pipeline promises."""

    duration: Duration | None = Field(default=None, gt=timedelta(0), description="The longest a run may take.")
    success_rate: float | None = Field(default=None, ge=0, le=1, description="The share of runs that must succeed.")


class EmailAlert(Model):
    """A mail to some recipients."""

    type: Literal["email"]
    recipients: Names = Field(description="Addresses.")
    on: tuple[AlertEvent, ...] = Field(default=("failed",), description="What is told.")


class SlackAlert(Model):
    """A message in Slack."""

    type: Literal["slack"]
    webhook: Secret | None = Field(default=None, description="The webhook's URL, as a reference.")
    channel: str | None = Field(default=None, description="The channel; default the webhook's own.")
    on: tuple[AlertEvent, ...] = Field(default=("failed",), description="What is told.")

    @model_validator(mode="after")
    def _somewhere(self) -> SlackAlert:
        if self.webhook is None and self.channel is None:
            raise ValueError("say where to: webhook, or channel")
        return self


class PagerdutyAlert(Model):
    """An incident in PagerDuty."""

    type: Literal["pagerduty"]
    service_key: Secret = Field(description="The integration key, as a reference.")
    on: tuple[AlertEvent, ...] = Field(default=("failed",), description="What is told.")


class WebhookAlert(Model):
    """A POST with the receipt."""

    type: Literal["webhook"]
    url: Secret = Field(description="Where to.")
    on: tuple[AlertEvent, ...] = Field(default=("failed",), description="What is told.")


Alert = Annotated[EmailAlert | SlackAlert | PagerdutyAlert | WebhookAlert, Field(discriminator="type")]


class Alerts(Model):
    """The project's alerts."""

    alerts: tuple[Alert, ...] = Field(default=(), description="Who is told of every pipeline.")


class Contacts(Model):
    """Whom to ask and to wake, besides the owner."""

    on_call: str | None = Field(default=None, description="Who is called when a run fails.")
    escalation: str | None = Field(default=None, description="Who is called when nobody answers.")


class Monitoring(Model):
    """What is watched and who is told."""

    sla: Sla | None = Field(default=None, description="What is promised.")
    alerts: tuple[Alert, ...] = Field(default=(), description="Who is told, besides the project's alerts.")
    dashboard: str | None = Field(default=None, description="Where its figures are watched, for the documentation.")


class State(Model):
    """Where the history of runs is kept."""

    url: Secret = Field(
        default=Secret("sqlite:///.headgate/state.db"),
        description="A URL that begins with sqlite:/// or postgresql://.",
    )

    @field_validator("url")
    @classmethod
    def _kept_somewhere(cls, url: Secret) -> Secret:
        if not url.reveal().startswith(("sqlite:///", "postgresql://", "postgres://")):
            raise ValueError("the history is kept in SQLite or PostgreSQL")
        return url


class Defaults(Model):
    """What pipelines take where they say nothing."""

    batch_size: int = Field(default=100_000, ge=1, le=1_000_000, description="Rows a batch.")
    timezone: Timezone = Field(
        default="UTC",
        description="IANA name: the zone of schedules. Days and times of runs (--date, --start) are UTC all the same.",
    )
    memory: Size | None = Field(
        default=None,
        ge=64_000_000,
        description="What the engine may take; default 512MB, of changes (mode: cdc) 128MB.",
    )
    threads: int | None = Field(default=None, ge=1, le=1024, description="Default: one a processor.")


class Header(Model):
    """A pipeline without what it reads, does, checks and writes."""

    type: PipelineType = Field(default="batch", description="How it runs.")
    description: str | None = Field(default=None, description="What it is for.")
    purpose: Purpose | None = Field(default=None, description="What kind of work it does, for the documentation.")
    owner: str | None = Field(default=None, description="Who answers for it.")
    contacts: Contacts = Field(default_factory=Contacts, description="Whom to ask and to wake, besides the owner.")
    schedule: Schedule | None = Field(default=None, description="Five cron fields, such as 0 2 * * *.")
    timezone: Timezone | None = Field(default=None, description="The schedule's zone; default that of the project.")
    tags: tuple[str, ...] = Field(default=(), description="For --select tag:x.")
    depends_on: tuple[str, ...] = Field(default=(), description="Pipelines that run before it.")
    delivery: Literal["exactly_once", "at_least_once"] = Field(
        default="exactly_once", description="at_least_once accepts targets that cannot promise more."
    )
    engine: Literal["auto", "duckdb", "source", "relay", "server"] = Field(
        default="auto",
        description="Where rows are worked on: by headgate (duckdb), in the source's SQL (source), nowhere, their bytes"
        " pass (relay), or within the one database that is source and target (server). auto: the fastest that gives"
        " the same rows; plan says which and why.",
    )
    variables: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="Values of {{ var.NAME }} unless the command line gives them."
    )
    sensitive: tuple[str, ...] = Field(
        default=(),
        description="Columns with personal data, at any step: receipts and messages do not tell their values, nor those"
        " of columns made of them. Columns of a mask step are such without being named.",
    )
    error_handling: ErrorHandling = Field(default_factory=ErrorHandling, description="Bad rows and failed runs.")
    monitoring: Monitoring = Field(default_factory=Monitoring, description="Promises and alerts.")
