"""The commands. Each is frozen, validated when it is made, and handled in one place."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from headgate.core.models import MOST, Model, check_condition
from headgate.io import formats


class Command(Model):
    """Something that is to be done."""


def _position(value: Any) -> Any:
    """A position in a source as watermarks keep it: a number or text, dates and times as ISO 8601."""
    match value:
        case date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case None | int() | float() | str():
            return value
        case _:
            raise ValueError("a position is a number, a text, a date or a time")


Position = Annotated[Any, AfterValidator(_position)]


class RunPipeline(Command):
    """Run a pipeline once."""

    pipeline: str = Field(min_length=1)
    date: str | None = None
    start: str | None = None
    end: str | None = None
    full_refresh: bool = False
    limit: int | None = Field(default=None, ge=1, le=MOST)
    publish: bool = True
    branch: str | None = None
    force: bool = False
    variables: dict[str, str] = Field(default_factory=dict)


class PublishRun(Command):
    """Publish a run that was staged with ``--no-publish``."""

    run_id: str = Field(min_length=1)


class DiscardRun(Command):
    """Forget what a staged run holds."""

    run_id: str = Field(min_length=1)


class SetWatermark(Command):
    """Set a pipeline's watermark by hand."""

    pipeline: str = Field(min_length=1)
    value: Position
    source: str | None = None


class ResetWatermark(Command):
    """Forget a pipeline's watermark: the next run reads everything."""

    pipeline: str = Field(min_length=1)
    source: str | None = None


class ReplayQuarantine(Command):
    """Send rows that were held back through the rest of the plan again."""

    entry_id: str = Field(min_length=1)


class MendQuarantine(Command):
    """Change rows that were held back by SQL, and send them through the rest of the plan again, in one commit.

    Either ``values``, an expression a column, or ``sql``, one SELECT over ``input``.
    """

    entry_id: str = Field(min_length=1)
    values: dict[str, str] = Field(default_factory=dict)
    sql: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _one_way(self) -> MendQuarantine:
        if bool(self.values) == bool(self.sql):
            raise ValueError("say how: values (an expression a column), or sql")
        return self


class ExpireQuarantine(Command):
    """Mark rows that were held back longer ago than ``older_than`` as not wanted."""

    older_than: timedelta = Field(ge=timedelta(0))
    pipelines: tuple[str, ...] = ()


class DiscardQuarantine(Command):
    """Mark rows that were held back as not wanted."""

    entry_id: str = Field(min_length=1)


class InitProject(Command):
    """Make a small project that runs as it is."""

    folder: str = Field(min_length=1)


class CreatePipeline(Command):
    """Add a pipeline record to the project."""

    name: str = Field(min_length=1)
    definition: dict[str, Any]
    replace: bool = False


class UpdatePipeline(Command):
    """Change values of a pipeline record: dotted keys such as ``source.mode``; None removes a key."""

    name: str = Field(min_length=1)
    updates: dict[str, Any] = Field(min_length=1)


class DeletePipeline(Command):
    """Remove a pipeline record from the project."""

    name: str = Field(min_length=1)


def moment_of(value: date | datetime) -> datetime:
    """A day as its first moment, a moment with a zone in UTC; without zone."""
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - as the source's own
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value


class ExtractData(Command):
    """Copy a source's table into the lake, or into files of a folder, as a one-stage plan.

    The lake keeps Parquet in its own compression. With ``output_connection``, a connection of type local, the rows
    become files of ``output_format``, ``batch_size`` rows each, called
    ``{source_name}/{table_name}/…/batch_00001.parquet`` in a folder of the run. ``compression`` is snappy for Parquet
    and none for the others if nothing is said; None is none.

    Without ``target_table`` the lake's table is called as that of the source; where a pipeline of the project publishes
    a table of this name, ``{source_name}_{table_name}``.

    ``start_date`` is inclusive and ``end_date`` exclusive; both are about
    ``last_updated_column``, or about ``created_at`` where that is None. ``watermark_value`` wins over the stored one.
    """

    source_name: str = Field(min_length=1)
    table_name: str = Field(min_length=1)
    extract_mode: Literal["full", "incremental", "delta", "snapshot"] = "incremental"
    target_table: str | None = None
    last_updated_column: str | None = "updated_at"
    key_columns: tuple[str, ...] = ()
    watermark_value: Position = None
    start_date: datetime | date | None = None
    end_date: datetime | date | None = None
    where_clause: str | None = None
    partition_column: str | None = None
    partition_values: tuple[Any, ...] = ()
    batch_size: int = Field(default=10_000, ge=1, le=100_000)
    max_records: int | None = Field(default=None, ge=1, le=MOST)
    validate_schema: bool = True
    quality_rules: tuple[dict[str, Any], ...] = ()
    output_connection: str | None = Field(default=None, min_length=1)
    output_format: Literal["parquet", "json", "csv", "avro"] = "parquet"
    compression: str | None = "snappy"

    @property
    def codec(self) -> str:
        """The compression of files, by the name that the format knows."""
        if "compression" in self.model_fields_set:
            return self.compression or "none"
        return "snappy" if self.output_format == "parquet" else "none"

    @model_validator(mode="after")
    def _files(self) -> ExtractData:
        if self.output_connection is None:
            if self.output_format != "parquet" or "compression" in self.model_fields_set:
                raise ValueError(
                    "the lake keeps Parquet in its own compression; for other files say output_connection: a connection"
                    " of type local"
                )
        elif self.codec not in (known := formats.named(self.output_format).CODECS):
            raise ValueError(f"{self.output_format} files have no compression {self.codec}; one of: {', '.join(known)}")
        return self

    @model_validator(mode="after")
    def _complete(self) -> ExtractData:
        if self.extract_mode == "incremental" and not self.last_updated_column:
            raise ValueError("last_updated_column required for incremental extracts")
        start, end = self.start_date, self.end_date
        if start is not None and end is not None and moment_of(start) >= moment_of(end):
            raise ValueError("start_date must be strictly before end_date")
        if self.watermark_value is not None and self.extract_mode != "incremental":
            raise ValueError("watermark_value is where an incremental extract begins; other modes have none")
        if self.where_clause is not None:
            check_condition(self.where_clause)
        if (self.partition_column is None) != (not self.partition_values):
            raise ValueError("partition_column and partition_values belong together: give both or neither")
        return self


class ValidateData(Command):
    """Check rules over a table of the lake, a file, or a table of ``connection``; nothing is loaded.

    A rule is a mapping as in ``quality_rules``, or the name of a kind that needs no options. ``mode: warn`` lets every
    rule only warn. Rows that a rule quarantines, and some of those that fail, are kept as evidence.
    """

    dataset: str = Field(min_length=1)
    rules: tuple[dict[str, Any] | str, ...] = Field(min_length=1, max_length=1_000)
    connection: str | None = None
    mode: Literal["enforce", "warn"] = "enforce"
    max_error_percentage: float | None = Field(default=None, ge=0, le=100)
    chunk_size: int = Field(default=100_000, ge=1, le=1_000_000)


class LoadData(Command):
    """Load a file or a table of the lake into a target, as a one-stage plan.

    ``expected_record_count`` counts the rows that are loaded, after deduplication. ``pre_load_rules`` are rules of the
    rows, ``post_load_rules`` (unique) of the table as it will be; both are checked before the commit, and a broken one
    leaves the target as it was.
    """

    source_data: str = Field(min_length=1)
    target_connection: str = Field(min_length=1)
    target_table: str = Field(min_length=1)
    load_mode: Literal["append", "overwrite", "replace", "upsert", "merge"] = "append"
    merge_keys: tuple[str, ...] = ()
    batch_size: int = Field(default=5_000, ge=1, le=1_000_000)
    parallel_loads: bool = False
    max_parallel_workers: int = Field(default=2, ge=1, le=16)
    create_table_if_not_exists: bool = True
    truncate_before_load: bool = False
    deduplicate_data: bool = False
    deduplication_keys: tuple[str, ...] = ()
    deduplication_order: str | None = None
    deduplication_keep: Literal["first", "last"] = "last"
    expected_record_count: int | None = Field(default=None, ge=0)
    pre_load_rules: tuple[dict[str, Any], ...] = ()
    post_load_rules: tuple[dict[str, Any], ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> LoadData:
        if self.load_mode in ("upsert", "merge") and not self.merge_keys:
            raise ValueError(f"merge_keys required for {self.load_mode}")
        if self.deduplicate_data and not self.deduplication_keys:
            raise ValueError("deduplication_keys required when deduplicate_data is on")
        if self.deduplicate_data and not self.deduplication_order:
            raise ValueError("deduplication_order required: the column that says which of equal rows is the last")
        if self.deduplication_keys and not self.deduplicate_data:
            raise ValueError("deduplication_keys do nothing unless deduplicate_data is on")
        if any("type" not in rule for rule in self.pre_load_rules):
            raise ValueError("pre_load_rules say their type, such as {type: not_null, columns: [id]}")
        if any(rule.get("type") != "unique" for rule in self.post_load_rules):
            raise ValueError("post_load_rules are unique rules: the others are about rows, so pre_load_rules")
        return self


class TransformData(Command):
    """Run steps over a table of the lake or a file into a table of the lake, as a one-stage plan.

    ``error_handling``: a row that cannot be transformed fails the command, is skipped (held in the quarantine and
    counted), or is logged (it stays, with NULL for what could not be computed, and the receipt says how many).
    """

    input_source: str = Field(min_length=1)
    output_destination: str = Field(min_length=1)
    transformation_rules: tuple[dict[str, Any], ...]
    chunk_size: int = Field(default=10_000, ge=1, le=1_000_000)
    error_handling: Literal["fail", "skip", "log"] = "fail"
    max_error_percentage: float = Field(default=5.0, ge=0, le=100)
    expected_output_schema: dict[str, str] = Field(default_factory=dict)
    validate_output: bool = True
    data_quality_rules: tuple[dict[str, Any] | str, ...] = ()

    @model_validator(mode="after")
    def _has_rules(self) -> TransformData:
        if not self.transformation_rules:
            raise ValueError("At least one transformation rule is required")
        for index, rule in enumerate(self.transformation_rules):
            if "rule_type" in rule and not rule.get("source_columns"):
                raise ValueError(f"source_columns required for rule {index}")
        return self


class AnswerChecklist(Command):
    """Answer an item of the checklist, in the project's ``requirements.yml``; an empty answer takes it back."""

    key: str = Field(min_length=1)
    answer: str = Field(max_length=2000)
