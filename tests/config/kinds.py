"""A registry of small kinds, so that these tests say what configuration does whatever connectors there are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Literal

from pydantic import Field, model_validator

from headgate.core.errors import Code, FatalError, nearest
from headgate.core.models import ConnectionOptions, Names, ReadOptions, RuleOptions, StepOptions, WriteOptions
from headgate.core.registry import WORDS
from headgate.core.secrets import Secret


class Local(ConnectionOptions):
    type: Literal["local"] = "local"
    path: str = Field(default=".", description="Folder.")


class FileRead(ReadOptions):
    path: str = Field(description="File, folder or glob.")
    format: Literal["csv", "json", "parquet"] | None = Field(default=None, description="Default by the extension.")


class Postgres(ConnectionOptions):
    type: Literal["postgres"] = "postgres"
    url: Secret | None = Field(default=None, description="URL.")
    host: str | None = Field(default=None, description="Host.")
    port: int | None = Field(default=None, description="Port.")
    database: str | None = Field(default=None, description="Database.")
    username: str | None = Field(default=None, description="Role.")
    password: Secret | None = Field(default=None, description="Password.")

    @model_validator(mode="after")
    def _somewhere(self) -> Postgres:
        if self.url is None and self.database is None:
            raise ValueError("say where the database is")
        return self


class Sqlite(ConnectionOptions):
    type: Literal["sqlite"] = "sqlite"
    path: str = Field(description="File.")


class TableRead(ReadOptions):
    fetch: int | None = Field(default=None, ge=1, description="Rows a fetch.")


class Python(ConnectionOptions):
    type: Literal["python"] = "python"


class PythonRead(ReadOptions):
    type: Literal["python"] = "python"
    function: str = Field(description="module:name.")


class Iceberg(ConnectionOptions):
    type: Literal["iceberg"] = "iceberg"
    path: str = Field(default=".headgate/lake", description="Folder.")


class Write(WriteOptions):
    compression: Literal["zstd", "none"] = Field(default="zstd", description="Codec.")


class Calculate(StepOptions):
    type: Literal["calculate"]
    columns: dict[str, str] = Field(min_length=1, description="Name: expression.")
    condition: str | None = Field(default=None, description="Where.")


class Rename(StepOptions):
    type: Literal["rename"]
    columns: dict[str, str] = Field(min_length=1, description="Old: new.")


class Cast(StepOptions):
    type: Literal["cast"]
    columns: dict[str, str] = Field(min_length=1, description="Name: type.")


class Filter(StepOptions):
    type: Literal["filter"]
    condition: str = Field(description="What must be true.")


class Clean(StepOptions):
    type: Literal["clean"]
    trim: bool | Names = Field(default=False, description="Columns.")
    case: dict[str, Literal["lower", "upper", "title"]] = Field(default_factory=dict, description="Column: case.")
    null_values: tuple[str, ...] = Field(default=(), description="Texts.")
    convert: dict[str, Any] = Field(default_factory=dict, description="Column: type.")
    remove_special: Names | None = Field(default=None, description="Columns.")
    fill: dict[str, Any] = Field(default_factory=dict, description="Column: value.")
    remove_nulls: Names | None = Field(default=None, description="Columns.")
    deduplicate: Names | None = Field(default=None, description="Keys.")


class Deduplicate(StepOptions):
    type: Literal["deduplicate"]
    keys: Names = Field(description="Columns.")
    order_by: str | None = Field(default=None, description="Order.")
    keep: Literal["first", "last"] = Field(default="last", description="Which.")


class Aggregate(StepOptions):
    type: Literal["aggregate"]
    group_by: tuple[str, ...] = Field(default=(), description="Columns.")
    metrics: dict[str, str] = Field(default_factory=dict, description="Name: aggregate.")
    aggregations: dict[str, Names] = Field(default_factory=dict, description="Column: functions.")


class Categorize(StepOptions):
    type: Literal["categorize"]
    column: str = Field(description="Column.")
    categories: tuple[dict[str, Any], ...] = Field(description="Categories.")


class Join(StepOptions):
    type: Literal["join"]
    table: str | None = Field(default=None, description="Table.")
    connection: str | None = Field(default=None, description="Where.")
    path: str | None = Field(default=None, description="File.")
    on: tuple[str, ...] | dict[str, str] = Field(description="Keys.")
    how: Literal["left", "inner"] = Field(default="left", description="Kind.")
    columns: tuple[str, ...] | None = Field(default=None, description="Added columns.")


class NotNull(RuleOptions):
    type: Literal["not_null"]
    columns: Names = Field(description="Columns.")


class Unique(RuleOptions):
    type: Literal["unique"]
    columns: Names = Field(description="Columns.")
    scope: Literal["run", "table"] = Field(default="run", description="Of what.")


class Range(RuleOptions):
    type: Literal["range"]
    column: str = Field(description="Column.")
    min: Any = Field(default=None, description="Least.")
    max: Any = Field(default=None, description="Greatest.")


class AcceptedValues(RuleOptions):
    type: Literal["accepted_values"]
    column: str = Field(description="Column.")
    values: tuple[Any, ...] = Field(min_length=1, description="Values.")


class RowCount(RuleOptions):
    type: Literal["row_count"]
    min: int | None = Field(default=None, ge=0, description="Least.")
    max: int | None = Field(default=None, ge=0, description="Greatest.")


class Expression(RuleOptions):
    type: Literal["expression"]
    condition: str = Field(description="What must be true.")


def _connector(connection: type[ConnectionOptions], **models: Any) -> SimpleNamespace:
    return SimpleNamespace(Connection=connection, **models)


def _options(*models: Any) -> dict[str, SimpleNamespace]:
    return {model.model_fields["type"].annotation.__args__[0]: SimpleNamespace(Options=model) for model in models}


MODULES: dict[str, dict[str, SimpleNamespace]] = {
    "sources": {
        "local": _connector(Local, Read=FileRead),
        "postgres": _connector(Postgres, Read=TableRead),
        "sqlite": _connector(Sqlite, Read=TableRead),
        "python": _connector(Python, Read=PythonRead),
    },
    "targets": {
        "local": _connector(Local, Write=Write),
        "postgres": _connector(Postgres, Write=Write),
        "sqlite": _connector(Sqlite, Write=Write),
    },
    "lake": {"iceberg": _connector(Iceberg, Read=TableRead, Write=Write)},
    "transforms": _options(Calculate, Rename, Cast, Filter, Clean, Deduplicate, Aggregate, Join),
    "quality": _options(NotNull, Unique, Range, AcceptedValues, RowCount, Expression),
}


class Kinds:
    """The registry; ``asked`` tells which modules were looked up."""

    def __init__(self) -> None:
        self.asked: set[tuple[str, str]] = set()

    def kinds(self, group: str) -> list[str]:
        return sorted(MODULES[group])

    def module(self, group: str, kind: str) -> Any:
        self.asked.add((group, kind))
        if kind not in MODULES[group]:
            hint = nearest(kind, MODULES[group])
            raise FatalError(Code.CONFIG_INVALID, f'unknown {WORDS[group]} "{kind}"', object=kind, hint=hint)
        return MODULES[group][kind]

    def connection(self, kind: str) -> type[ConnectionOptions]:
        for group in ("sources", "targets"):
            if kind in MODULES[group]:
                options: type[ConnectionOptions] = MODULES[group][kind].Connection
                return options
        raise FatalError(Code.CONFIG_INVALID, f'unknown kind of connection "{kind}"', object=kind)
