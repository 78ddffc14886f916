"""``ExtractData``: a source's table into the lake or files of a folder, with its own limits and codes of failure."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

from headgate.commands.models import ExtractData, moment_of
from headgate.commands.run import attempt
from headgate.core.contracts import ReadContext
from headgate.core.errors import Code, FatalError, HeadgateError, nearest
from headgate.core.results import Result
from headgate.execute.context import RunRequest
from headgate.execute.workspace import Workspace
from headgate.io.comparing import CHANGE, SNAPSHOT
from headgate.sql.literals import quote_name

CREATED = "created_at"
"""What a window of dates is about where no change column is named."""
_CODES = {
    Code.LOAD_EXECUTION_FAILED: Code.STORAGE_FAILED,
    Code.TABLE_CREATION_FAILED: Code.STORAGE_FAILED,
    Code.DISK_FULL: Code.STORAGE_FAILED,
}


def definition(command: ExtractData, workspace: Workspace, target: str) -> dict[str, Any]:
    """The pipeline that the command stands for. Raises FatalError SOURCE_NOT_FOUND."""
    connections = workspace.project.connections
    if command.source_name not in connections:
        raise FatalError(
            Code.SOURCE_NOT_FOUND,
            f'there is no connection "{command.source_name}"',
            operation="extract",
            object=command.source_name,
            hint=nearest(command.source_name, connections),
        )
    files = connections.kinds[command.source_name] == "local"
    source: dict[str, Any] = {
        "connection": command.source_name,
        "path" if files else "table": command.table_name,
        "mode": command.extract_mode,
        "batch_size": command.batch_size,
    }
    if command.max_records is not None:
        source["max_records"] = command.max_records
    if not files:
        source |= _of_database(command)
    made: dict[str, Any] = {
        "source": source,
        "target": {
            "table": target,
            "mode": "overwrite" if command.extract_mode == "full" else "append",
            "allow_empty": True,
            **_as_files(command, workspace),
        },
    }
    if command.quality_rules:
        made["quality_rules"] = [dict(rule) for rule in command.quality_rules]
    return made


def _as_files(command: ExtractData, workspace: Workspace) -> dict[str, Any]:
    """How files of a folder look. Raises TARGET_CONNECTION_NOT_FOUND."""
    name = command.output_connection
    if name is None:
        return {}
    connections = workspace.project.connections
    folders = [known for known in connections if connections.kinds[known] == "local"]
    if name not in folders:
        why = "is no folder" if name in connections else "does not exist"
        raise FatalError(
            Code.TARGET_CONNECTION_NOT_FOUND,
            f'the connection "{name}" {why}, and files need one of type local',
            operation="extract",
            object=name,
            hint=nearest(name, folders),
        )
    return {
        "connection": name,
        "format": command.output_format,
        "compression": command.codec,
        "file_rows": command.batch_size,
    }


def _of_database(command: ExtractData) -> dict[str, Any]:
    """Cursor and conditions; every value is a parameter."""
    found: dict[str, Any] = {}
    if command.extract_mode == "incremental":
        found["incremental"] = {"column": command.last_updated_column}
        if command.key_columns:
            found["incremental"]["key"] = list(command.key_columns)
    elif command.extract_mode == "delta" and command.key_columns:
        found["key"] = list(command.key_columns)
    conditions = [f"({command.where_clause}\n)"] if command.where_clause else []
    parameters: dict[str, Any] = {}
    window = quote_name(command.last_updated_column or CREATED)
    for name, sign, value in (("start_date", ">=", command.start_date), ("end_date", "<", command.end_date)):
        if value is not None:
            parameters[f"headgate_{name}"] = _text(value)
            conditions.append(f"{window} {sign} :headgate_{name}")
    if command.partition_column is not None:
        conditions.append(_of_partitions(command, parameters))
    if conditions:
        found |= {"where": " AND ".join(conditions), "parameters": parameters}
    return found


def _of_partitions(command: ExtractData, parameters: dict[str, Any]) -> str:
    """One of the values; None is the rows that have none."""
    column = quote_name(str(command.partition_column))
    values = [value for value in command.partition_values if value is not None]
    parts = [f"{column} IS NULL"] if len(values) < len(command.partition_values) else []
    if values:
        names = [f"headgate_partition_{number}" for number in range(len(values))]
        parameters |= dict(zip(names, values, strict=True))
        parts.append(f"{column} IN ({', '.join(f':{name}' for name in names)})")
    return f"({' OR '.join(parts)})"


def _text(value: date | datetime) -> str:
    """A bound as databases compare it: in UTC, and midnight as the day, which also comes before the day's own text."""
    moment = moment_of(value)
    return moment.date().isoformat() if moment.time() == time() else moment.isoformat(sep=" ")


def run_extract(command: ExtractData, workspace: Workspace, name: str) -> Result[Any]:
    """Run it in a project that has the pipeline; the value is the receipt, failures have the command's own codes."""
    receipt: Any = None
    try:
        _check_columns(command, workspace, name)
        result = attempt(workspace, name, RunRequest(since=command.watermark_value))
        if result.failure is None:
            return result
        error, receipt = result.failure, result.value
    except HeadgateError as failure:
        error = failure
    return Result.fail(_renamed(error), receipt)


def _renamed(error: HeadgateError) -> HeadgateError:
    """With the command's own codes, and hints that a command can follow: no file has its pipeline."""
    code, hint = _CODES.get(error.code, error.code), error.hint
    if "nulls:" in hint:
        hint = "mend the rows, leave them out (where_clause: … IS NOT NULL), or say extract_mode: full"
    if error.code is Code.ROW_ERROR:
        hint = "mend the rows, or leave them out: of a table with where_clause"
    if error.code is Code.STATE_INVALID:
        hint = "extract into another target_table, or say with watermark_value where to begin"
    if (code, hint) == (error.code, error.hint):
        return error
    return FatalError(code, error.message, operation="extract", object=error.object, hint=hint)


def _check_columns(command: ExtractData, workspace: Workspace, name: str) -> None:
    """Before anything is read: the columns that are named are there, and so are those that were there before.

    Raises:
        FatalError: TABLE_NOT_FOUND, SCHEMA_MISMATCH.
    """
    pipeline = workspace.project.pipeline(name)
    read, source = pipeline.sources[0], workspace.source(pipeline.source_endpoint(0))
    unfiltered = read.model_copy(update={"where": None, "parameters": {}})  # a database would tell it in its own words
    schema = source.schema(unfiltered, ReadContext(workspace.project.root), None)
    live = set(schema.raw.names)
    wanted = [command.partition_column] if command.partition_column is not None else []
    if command.start_date is not None or command.end_date is not None:
        wanted.append(command.last_updated_column or CREATED)
    for column in wanted:
        if column not in live:
            raise FatalError(
                Code.SCHEMA_MISMATCH,
                f'the filter is about the column "{column}", which {command.table_name} does not have',
                operation="extract",
                object=command.table_name,
                hint=nearest(column, live),
            )
    if not command.validate_schema:
        return
    stored = workspace.stores_of(pipeline)[0].describe(pipeline.targets[0].table)
    gone = [column for column in stored.schema.names if column not in live | {CHANGE, SNAPSHOT}] if stored else []
    if gone:
        raise FatalError(
            Code.SCHEMA_MISMATCH,
            f"{command.table_name} has lost the column{'' if len(gone) == 1 else 's'} {', '.join(gone)} since it was"
            " extracted before",
            operation="extract",
            object=command.table_name,
            hint="bring them back, extract into another target_table, or say validate_schema: false",
        )
