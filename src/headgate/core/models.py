"""The base of every model of the configuration: frozen, and no unknown keys."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from math import inf
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZES = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4, "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3}


class Model(BaseModel):
    """Frozen, without unknown keys; ``model_dump(mode="json")`` gives plain JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True)


def duration(value: Any) -> Any:
    """``90s``, ``5m``, ``2h``, ``7d``, ``500ms`` as a timedelta; plain numbers are seconds."""
    if isinstance(value, bool):
        raise ValueError("true and false are no durations; write 90s, 5m, 2h or 7d")
    if isinstance(value, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*", value)
        if not found:
            raise ValueError(f'"{value}" is not a duration; write 90s, 5m, 2h or 7d')
        return _seconds(value, float(found[1]) * _UNITS[found[2]])
    if isinstance(value, int | float):
        return _seconds(value, value)
    return value


def _seconds(value: Any, seconds: float) -> timedelta:
    try:
        return timedelta(seconds=seconds)
    except OverflowError:  # pydantic takes a ValueError only, and would not name the key
        raise ValueError(f'"{value}" is too long; a duration has 999999999 days at the most') from None


def size(value: Any) -> Any:
    """``64MB``, ``1GiB`` as a number of bytes; plain numbers are bytes."""
    if isinstance(value, bool):
        raise ValueError("true and false are no sizes; write 64MB or 1GiB")
    if isinstance(value, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?B)\s*", value.upper())
        if not found:
            raise ValueError(f'"{value}" is not a size; write 64MB or 1GiB')
        number = float(found[1]) * _SIZES[found[2]]
        if number == inf:
            raise ValueError(f'"{value}" is too large')
        return int(number)
    return value


Duration = Annotated[timedelta, BeforeValidator(duration)]
Size = Annotated[int, BeforeValidator(size)]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Name = Annotated[str, Field(pattern=r"\S")]
"""A name of which there is something to see."""
Names = Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(min_length=1)]
"""One name or a list of names."""


class StepOptions(Model):
    """What every transformation step may say."""

    type: str
    name: Name | None = Field(default=None, description="A name that rules, targets and later steps may refer to.")


class Severity:
    ERROR: Literal["error"] = "error"
    WARNING: Literal["warning"] = "warning"
    INFO: Literal["info"] = "info"


OnFail = Literal["fail", "quarantine", "warn", "record"]
Gate = Literal["extract", "transform", "load"]


@dataclass(frozen=True)
class Tolerance:
    """How many rows may break a rule before it counts as broken: a number of rows, or a share of those judged."""

    rows: int | None = None
    percent: Decimal | None = None

    def allows(self, failed: int, judged: int) -> bool:
        """Whether ``failed`` of ``judged`` rows are few enough."""
        if self.rows is not None:
            return failed <= self.rows
        return self.percent is not None and failed * 100 <= self.percent * judged

    def __str__(self) -> str:
        return (
            f"{self.rows} row{'' if self.rows == 1 else 's'}"
            if self.percent is None
            else f"{self.percent.normalize():f} %"
        )


def tolerance(value: Any) -> Any:
    """``10`` as rows, ``0.5%`` as a share."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", str(value)) if isinstance(value, int | str) else None
    if isinstance(value, bool) or found is None or (not found[2] and "." in found[1]):
        raise ValueError(f"{value!r} is no number of rows and no share; write 10 or 0.5%")
    if not found[2]:
        return Tolerance(rows=int(found[1]))
    if Decimal(found[1]) > 100:
        raise ValueError(f"{value} is more than all rows")
    return Tolerance(percent=Decimal(found[1]))


class RuleOptions(Model):
    """What every quality rule may say."""

    type: str
    name: Name | None = Field(default=None, description="How receipts and the quarantine call the rule.")
    severity: Literal["error", "warning", "info"] = Field(
        default="error", description="How much it matters; it gives the default of on_fail."
    )
    on_fail: OnFail | None = Field(
        default=None, description="Default by severity: error fails, warning warns, info records."
    )
    stage: Gate = Field(
        default="transform",
        description="The gate that it stands at: extract (rows as they were read), transform (rows of a step, before "
        "they are loaded) or load (the target's table as it will be).",
    )
    step: str | None = Field(default=None, description="The named step whose rows are checked; default the last one.")
    max_failed: int | str | None = Field(
        default=None, description="So many rows (10) or such a share (0.5%) may break the rule before it is broken."
    )
    enabled: bool = Field(default=True, description="Whether it is checked; if not, receipts show it as skipped.")
    description: str | None = Field(default=None, description="Why the rule is there.")

    @field_validator("max_failed")
    @classmethod
    def _is_tolerance(cls, value: int | str | None) -> int | str | None:
        if value is not None:
            tolerance(value)
        return value

    @model_validator(mode="after")
    def _one_gate(self) -> RuleOptions:
        if self.stage == "extract" and self.step is not None:
            raise ValueError("stage: extract is before every step; drop step, or stage")
        if self.stage == "load" and self.on_fail == "quarantine":
            raise ValueError(
                "rows of a table as it will be cannot be held back; use stage: transform, or on_fail: fail"
            )
        return self

    def refuse_max_failed(self, instead: str) -> None:
        """Rows that may break a rule say nothing where it gives one answer about all of them: it could never fail."""
        if self.max_failed is not None:
            raise ValueError(f"max_failed counts rows that break a rule, and this one holds or does not; {instead}")

    @property
    def tolerance(self) -> Tolerance:
        """How many rows may break the rule."""
        allowed: Tolerance = Tolerance(rows=0) if self.max_failed is None else tolerance(self.max_failed)
        return allowed

    @property
    def may_hold_back(self) -> bool:
        """Whether the rule takes ``on_fail: quarantine``: its own validation says so."""
        asked = {**self.model_dump(by_alias=True, exclude_unset=True), "on_fail": "quarantine"}
        try:
            type(self).model_validate(asked)
        except ValidationError:
            return False
        return True

    @property
    def action(self) -> OnFail:
        """What happens when the rule does not hold."""
        if self.on_fail is not None:
            return self.on_fail
        match self.severity:
            case "error":
                return "fail"
            case "warning":
                return "warn"
            case _:
                return "record"


class ConnectionOptions(Model):
    """What every connection may say; each kind adds its own."""

    type: str
    read_only: bool = Field(default=False, description="Refuse this connection as a target.")


class Incremental(Model):
    """How an incremental source finds what is new."""

    column: str = Field(description="The cursor: it grows with every change of a row.")
    key: Names | None = Field(default=None, description="What identifies a row; needed for an exact overlap.")
    start: Any = Field(default=None, description="Where the first run starts; default: everything.")
    lag: Duration = Field(
        default=timedelta(0), description="How far to look back for late rows; those seen are dropped."
    )
    nulls: Literal["fail", "include", "ignore"] = Field(default="fail", description="What to do with a NULL cursor.")


MOST = 2**63 - 1
"""The largest number of rows that databases can be asked for."""
_CLOSED = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/|[()';\"`]|/\*", re.DOTALL
)


def check_condition(text: str) -> None:
    """Raise ValueError for what would not stay one condition among others: it closes what it did not open, or ends."""
    depth = 0
    for found in _CLOSED.finditer(text.strip().rstrip(";")):
        mark = found[0]
        depth += {"(": 1, ")": -1}.get(mark, 0)
        if depth < 0:
            raise ValueError("the condition closes a parenthesis that it did not open")
        if mark in ("'", '"', "`", "/*"):
            raise ValueError(f"the condition opens {mark} and does not close it")
        if mark == ";":
            raise ValueError("the condition is one expression, and ; ends a statement")
    if depth:
        raise ValueError("the condition opens a parenthesis that it does not close")


class ReadOptions(Model):
    """What every source may say; each kind adds its own."""

    connection: str | None = Field(default=None, description="Where it is read from; default: the lake.")
    name: Name | None = Field(default=None, description="A name for steps that refer to this source.")
    table: str | None = Field(default=None, description="The table to read, with its schema where there are some.")
    query: str | None = Field(default=None, description="Instead of a table: one SELECT in the source's SQL.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Values that the query names, always bound.")
    columns: tuple[str, ...] | None = Field(default=None, description="The columns to read; default all.")
    mode: Literal["full", "incremental", "delta", "snapshot", "cdc"] = Field(
        default="full", description="Everything at each run, or what is new; a kind refuses the modes that it lacks."
    )
    incremental: Incremental | None = Field(default=None, description="For mode incremental: how to tell what is new.")
    where: str | None = Field(default=None, description="A condition that the source applies, in its own SQL.")
    key: Names | None = Field(
        default=None, description="For mode delta: what identifies a row; default the table's primary key."
    )
    max_records: int | None = Field(
        default=None, ge=1, le=MOST, description="Publish at most so many rows; the rest next time."
    )
    batch_size: int | None = Field(default=None, ge=1, le=1_000_000, description="Rows a batch; default the project's.")
    groups: Literal["complete"] | None = Field(
        default=None, description="You assert that a batch holds whole groups, so that an aggregate may follow."
    )
    recompute: Literal["affected"] | None = Field(
        default=None, description="For mode incremental: all rows of the groups that new rows belong to are read again."
    )

    @field_validator("where")
    @classmethod
    def _is_one_condition(cls, value: str | None) -> str | None:
        if value is not None:
            check_condition(value)
        return value

    @field_validator("columns")
    @classmethod
    def _are_different(cls, value: Any) -> Any:
        """``value``: names, or a mapping where a kind of source declares types."""
        names = list(value or ())
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f'the column "{twice}" is read twice')
        return value

    @model_validator(mode="after")
    def _parameters_are_named(self) -> Self:
        text = f"{self.query or ''}\n{self.where or ''}"
        for name in self.parameters:
            if not re.search(rf"[:@$]{re.escape(name)}\b", text):
                raise ValueError(f"neither query nor where names the parameter :{name}")
        return self


class HistoryColumns(Model):
    """How mode scd2 calls the columns that it keeps of each version."""

    valid_from: str = Field(default="valid_from", min_length=1, description="Since when the version holds.")
    valid_to: str = Field(default="valid_to", min_length=1, description="Until when, exclusive; 9999-12-31 if open.")
    is_current: str = Field(default="is_current", min_length=1, description="Whether it is the key's last version.")
    version: str = Field(default="version", min_length=1, description="Counted from 1 for each key.")


class Parts(Model):
    """A table in parts, made on demand."""

    column: str = Field(min_length=1, description="The column that says which part a row belongs to.")
    by: Literal["value", "day", "month", "year"] = Field(
        default="value", description="A part for each value, or for each day, month or year of a date or time."
    )


class WriteOptions(Model):
    """What every target may say; each kind adds its own."""

    connection: str | None = Field(default=None, description="Default: the lake.")
    table: str = Field(description="The table to write, with its schema where there are some.")
    from_: str | None = Field(default=None, alias="from", description="The named step to write; default the last one.")
    mode: Literal["append", "overwrite", "upsert", "merge", "snapshot", "scd2"] = Field(
        default="append",
        description="append adds rows; overwrite replaces; upsert updates by keys and inserts the rest; merge also "
        "deletes, and leaves equal rows alone; snapshot keeps each run's rows under its date; scd2 keeps a history.",
    )
    keys: Names | None = Field(default=None, description="For upsert, merge, scd2: the columns that identify a row.")
    scope: Literal["table", "partition", "interval"] = Field(
        default="table",
        description="What overwrite replaces: everything, the partitions that the rows have, or the run's interval.",
    )
    partition_by: Names | None = Field(default=None, description="For scope partition: rows that are equal in these.")
    interval_column: str | None = Field(
        default=None, description="For scope interval: the date or time that lies in --date or --start/--end."
    )
    snapshot_column: str = Field(default="snapshot_date", description="For snapshot: the column of the run's date.")
    delete_when: str | None = Field(
        default=None, description="For merge and scd2: a condition; rows for which it is true delete their key."
    )
    delete_missing: bool = Field(
        default=False, description="For merge and scd2: keys that a full read no longer has are deleted."
    )
    track: Names | None = Field(
        default=None, description="For scd2: the columns whose change makes a version; default all but the keys."
    )
    effective: str | None = Field(
        default=None, description="For scd2: the column that says since when a row holds; default the run's time."
    )
    history: HistoryColumns = Field(default_factory=HistoryColumns, description="For scd2: the columns of versions.")
    partitioning: Parts | None = Field(
        default=None,
        description="Partition tables such as sales_2024_01 in PostgreSQL, folders such as sold_on_month=2024-01 in a "
        "folder, made when the first row for them comes.",
    )
    dead_letter: str | None = Field(
        default=None,
        min_length=1,
        description="For append: the table for rows that a constraint of the target rejects, as JSON with the reason.",
    )
    create: bool = Field(default=True, description="Create the table if it is absent.")
    evolve: Literal["evolve", "freeze", "quarantine"] = Field(
        default="evolve",
        description="Add new columns; or refuse them; or hold back rows that have values in them, and load the others.",
    )
    allow_empty: bool = Field(default=False, description="Let a full replacement by nothing pass.")
