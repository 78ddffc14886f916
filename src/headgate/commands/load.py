"""``LoadData``: a file or a table of the lake into a target, with its own limits and codes of failure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from headgate.commands.models import LoadData
from headgate.commands.run import attempt
from headgate.config.models import Project
from headgate.core.errors import Code, FatalError, HeadgateError, nearest
from headgate.core.results import Result
from headgate.core.runs import Receipt
from headgate.execute.context import RunRequest
from headgate.execute.workspace import LAKE, Workspace

COUNT, BEFORE, AFTER = "expected_record_count", "before_load", "after_load"
"""What the rules of a load are called; the latter two with a number."""
_CODES = {
    Code.SOURCE_NOT_FOUND: Code.SOURCE_LOAD_FAILED,
    Code.EXTRACTION_FAILED: Code.SOURCE_LOAD_FAILED,
    Code.ROW_ERROR: Code.SOURCE_LOAD_FAILED,
    Code.DUPLICATE_KEYS: Code.LOAD_EXECUTION_FAILED,
    Code.SCHEMA_MISMATCH: Code.LOAD_EXECUTION_FAILED,
    Code.STORAGE_FAILED: Code.LOAD_EXECUTION_FAILED,
    Code.DISK_FULL: Code.LOAD_EXECUTION_FAILED,
}
_HINTS = {
    Code.ROW_ERROR: "mend the file, or make a table of it with TransformData (error_handling: skip holds such rows"
    " back) and load that",
}
_WRITING = ("stage", "merge", "publish", "load")


def definition(command: LoadData, workspace: Workspace, source: dict[str, Any]) -> dict[str, Any]:
    """The pipeline that the command stands for. Raises TARGET_CONNECTION_NOT_FOUND."""
    mode = "overwrite" if command.truncate_before_load else command.load_mode
    target: dict[str, Any] = {
        "table": command.target_table,
        "load_mode": mode,
        "create": command.create_table_if_not_exists,
    }
    if command.target_connection != LAKE:
        connections = workspace.project.connections
        if command.target_connection not in connections:
            raise FatalError(
                Code.TARGET_CONNECTION_NOT_FOUND,
                f'there is no connection "{command.target_connection}"',
                operation="load",
                object=command.target_connection,
                hint=nearest(command.target_connection, [*connections, LAKE]),
            )
        target["connection"] = command.target_connection
    if command.merge_keys:
        target["keys"] = list(command.merge_keys)
    made: dict[str, Any] = {"source": {**source, "batch_size": command.batch_size}, "target": target}
    if command.deduplicate_data:
        made["transformations"] = [
            {
                "type": "deduplicate",
                "keys": list(command.deduplication_keys),
                "order_by": command.deduplication_order,
                "keep": command.deduplication_keep,
            }
        ]
    if rules := _rules(command):
        made["quality_rules"] = rules
    return made


def _rules(command: LoadData) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = []
    count = command.expected_record_count
    if count is not None:
        rules.append({"type": "row_count", "name": COUNT, "min": count, "max": count})
    if command.truncate_before_load and command.load_mode in ("upsert", "merge"):  # which an overwrite does not ask for
        keys = list(command.merge_keys)
        rules.append({"type": "unique", "name": f"{BEFORE}_merge_keys", "columns": keys})
        rules.append({"type": "not_null", "name": f"{BEFORE}_merge_keys_filled", "columns": keys})
    for prefix, given in ((BEFORE, command.pre_load_rules), (AFTER, command.post_load_rules)):
        for number, rule in enumerate(given, start=1):
            scope = {"scope": "table"} if prefix == AFTER else {}
            rules.append({**rule, **scope, "name": f"{prefix}_{number}_{rule.get('name') or rule.get('type')}"})
    return rules


def with_workers(command: LoadData, project: Project) -> Project:
    """The project with as many threads as the command asks for; the table is the same with any number."""
    threads = command.max_parallel_workers if command.parallel_loads else 1
    return replace(project, defaults=project.defaults.model_copy(update={"threads": threads}))


def run_load(workspace: Workspace, name: str) -> Result[Any]:
    """Run it in a project that has the pipeline; the value is the receipt, failures have the command's own codes."""
    try:
        result = attempt(workspace, name, RunRequest())
    except HeadgateError as error:
        result = Result.fail(error)
    if result.failure is None:
        return result
    return Result.fail(_renamed(result.failure, result.value), result.value)


def _renamed(error: HeadgateError, receipt: Any) -> HeadgateError:
    """With the command's own codes, and hints that a command can follow: no file has its pipeline."""
    code = _CODES.get(error.code, error.code)
    if error.code is Code.TABLE_NOT_FOUND:
        code = Code.TABLE_CREATION_FAILED if error.operation in _WRITING else Code.SOURCE_LOAD_FAILED
    if error.code is Code.QUALITY_CHECK_FAILED and isinstance(receipt, Receipt):
        code = _of_rules(receipt)
    if code is error.code:
        return error
    hint = _HINTS.get(error.code, error.hint)
    return FatalError(code, error.message, operation="load", object=error.object, hint=hint, problems=error.problems)


def _of_rules(receipt: Receipt) -> Code:
    """Which of the checks broke: the count first, then what must hold of the rows, then of the table after it."""
    broken = [check.rule for check in receipt.checks if not check.passed and check.on_fail == "fail"]
    if COUNT in broken:
        return Code.RECORD_COUNT_MISMATCH
    before = any(rule.startswith(BEFORE) for rule in broken)
    return Code.PRE_LOAD_VALIDATION_FAILED if before else Code.POST_LOAD_VALIDATION_FAILED
