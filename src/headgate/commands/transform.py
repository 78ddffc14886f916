"""``TransformData``: steps over a table or file into a table, with its own limits and codes of failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headgate.commands.models import TransformData
from headgate.commands.run import attempt
from headgate.core.contracts import Window
from headgate.core.engines import Column
from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.core.results import Result
from headgate.core.runs import Receipt
from headgate.execute.context import RunRequest
from headgate.execute.intervals import read_context
from headgate.execute.workspace import Workspace

_ROW_ERRORS = {"fail": "fail", "skip": "quarantine", "log": "log"}
_CODES = {
    Code.SOURCE_NOT_FOUND: Code.INPUT_LOAD_FAILED,
    Code.TABLE_NOT_FOUND: Code.INPUT_LOAD_FAILED,
    Code.CONNECTION_FAILED: Code.INPUT_LOAD_FAILED,
    Code.AUTHENTICATION_FAILED: Code.INPUT_LOAD_FAILED,
    Code.EXTRACTION_FAILED: Code.INPUT_LOAD_FAILED,
    Code.ROW_ERROR: Code.TRANSFORMATION_FAILED,
    Code.PLAN_INVALID: Code.TRANSFORMATION_FAILED,
    Code.UNSUPPORTED: Code.TRANSFORMATION_FAILED,
    Code.QUALITY_CHECK_FAILED: Code.QUALITY_VALIDATION_FAILED,
    Code.TABLE_CREATION_FAILED: Code.OUTPUT_SAVE_FAILED,
    Code.LOAD_EXECUTION_FAILED: Code.OUTPUT_SAVE_FAILED,
    Code.STORAGE_FAILED: Code.OUTPUT_SAVE_FAILED,
    Code.SCHEMA_MISMATCH: Code.OUTPUT_SAVE_FAILED,
    Code.DISK_FULL: Code.OUTPUT_SAVE_FAILED,
}
_HINTS = {
    Code.ROW_ERROR: "mend the source, or say error_handling: skip to hold such rows back, log to go on with NULL",
    Code.ERROR_RATE_EXCEEDED: "look at the rows with headgate quarantine list, or raise max_error_percentage",
}
"""In the command's own options."""
_NOT_ALL = 99.999_999_999
"""Whatever the limit, some row must come through: all of them held back is NO_DATA_TRANSFORMED."""
_FAMILIES = {
    "string": "text", "str": "text", "text": "text", "varchar": "text", "int": "integer", "integer": "integer",
    "bigint": "integer", "float": "float", "double": "float", "decimal": "decimal", "numeric": "number",
    "number": "number", "bool": "boolean", "boolean": "boolean", "date": "date", "datetime": "timestamp",
    "timestamp": "timestamp", "time": "time",
}  # fmt: skip


def definition(command: TransformData, source: dict[str, Any]) -> dict[str, Any]:
    """The pipeline that the command stands for."""
    made: dict[str, Any] = {
        "source": {**source, "batch_size": command.chunk_size},
        "transformations": [dict(rule) for rule in command.transformation_rules],
        "target": {"table": command.output_destination, "mode": "overwrite", "allow_empty": True},
        "error_handling": {
            "on_row_error": _ROW_ERRORS[command.error_handling],
            "max_error_percentage": _limit(command),
        },
    }
    if command.validate_output and command.data_quality_rules:
        made["quality_rules"] = [
            {"type": rule} if isinstance(rule, str) else dict(rule) for rule in command.data_quality_rules
        ]
    return made


def _limit(command: TransformData) -> float:
    """Rows that are logged come through, whatever their number; of those that are skipped some must be left."""
    if command.error_handling == "log":
        return command.max_error_percentage
    return min(command.max_error_percentage, _NOT_ALL)


def run_transform(command: TransformData, workspace: Workspace, name: str) -> Result[Any]:
    """Run it in a project that has the pipeline; the value is the receipt, failures have the command's own codes."""
    try:
        if command.validate_output and command.expected_output_schema:
            _check_schema(command.expected_output_schema, _columns(workspace, name))
        result = attempt(workspace, name, RunRequest())
    except HeadgateError as error:
        result = Result.fail(error)
    receipt = result.value
    if result.failure is None:
        return result
    if result.error_code is Code.ERROR_RATE_EXCEEDED and isinstance(receipt, Receipt) and _all_held(receipt):
        nothing = FatalError(
            Code.NO_DATA_TRANSFORMED,
            f"all {receipt.rows.extracted} rows were held back",
            operation="transform",
            object=command.input_source,
            hint=_HINTS[Code.ERROR_RATE_EXCEEDED],
        )
        return Result.fail(nothing, receipt)
    return Result.fail(_renamed(result.failure, command), receipt)


def _all_held(receipt: Receipt) -> bool:
    return receipt.rows.quarantined == receipt.rows.extracted > 0


def _columns(workspace: Workspace, name: str) -> Sequence[Column]:
    """The columns that the steps give, found without reading a row."""
    from headgate.execute.gather import gather

    pipeline = workspace.project.pipeline(name)
    state = workspace.stores_of(pipeline)[0].state(workspace.key(name))
    context = read_context(workspace, "plan", None, dict(pipeline.variables))
    return gather(workspace, pipeline, context, state, window=Window(None)).plan.columns


def _check_schema(expected: Mapping[str, str], columns: Sequence[Column]) -> None:
    """Types are compared by family; SQL names with parameters, such as DECIMAL(10, 2), exactly."""
    known = {column.name.lower(): column.type for column in columns}
    unknown = [problem for name, type_ in expected.items() if (problem := _unknown(name, type_))]
    missing = [name for name in expected if name.lower() not in known]
    wrong = [
        f"{name} is {known[name.lower()]}, not {type_}"
        for name, type_ in expected.items()
        if name.lower() in known and not _unknown(name, type_) and not _is_of(known[name.lower()], type_)
    ]
    problems = unknown + ([f"missing: {', '.join(missing)}"] if missing else []) + wrong
    if problems:
        raise FatalError(
            Code.SCHEMA_VALIDATION_FAILED,
            "; ".join(problems),
            operation="transform",
            object="expected_output_schema",
            hint="the steps give " + ", ".join(f"{column.name} {column.type}" for column in columns),
        )


def _unknown(name: str, type_: str) -> str:
    """What is wrong with a type that is expected; empty if nothing is."""
    from headgate.sql.types import parse_type

    try:
        if type_.lower() not in _FAMILIES:
            parse_type(type_)
    except FatalError as error:
        return f"{name}: {error.message}"
    return ""


def _is_of(type_: str, expected: str) -> bool:
    from headgate.sql.types import parse_type

    family = _FAMILIES.get(expected.lower())
    found = parse_type(type_)
    if family == "number":
        return found.family in ("integer", "decimal", "float")
    if family == "timestamp":
        return found.family in ("timestamp", "timestamptz")
    return found.family == family if family else found == parse_type(expected)


def _renamed(error: HeadgateError, command: TransformData) -> HeadgateError:
    """The failure with the command's own code; one of a step names the rule."""
    code = _CODES.get(error.code, error.code)
    if code is Code.TRANSFORMATION_FAILED and error.object == command.output_destination:
        code = Code.OUTPUT_SAVE_FAILED
    hint = _HINTS.get(error.code, error.hint)
    if code is error.code and code is not Code.TRANSFORMATION_FAILED and hint == error.hint:
        return error
    rule = _rule_of(error, command) if code is Code.TRANSFORMATION_FAILED else ""
    message = f"Rule '{rule}' failed: {error.message}" if rule else error.message
    return FatalError(code, message, operation="transform", object=error.object, hint=hint, problems=error.problems)


def _rule_of(error: HeadgateError, command: TransformData) -> str:
    """The name of the rule that an error is about: by its place in the configuration, or by its step's name."""
    names = [
        str(rule.get("rule_name") or rule.get("name") or rule.get("rule_type") or rule.get("type"))
        for rule in command.transformation_rules
    ]
    for problem in error.problems:
        parts = problem.path.split(".")
        if "transformations" in parts and parts[-1] != "transformations":
            place = parts[parts.index("transformations") + 1]
            if place.isdigit() and int(place) < len(names):
                return names[int(place)]
    return error.object if error.object in names else ""
