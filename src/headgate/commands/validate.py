"""``ValidateData``: rules over a table or file, without loading it anywhere."""

from __future__ import annotations

from typing import Any

from headgate.commands.models import ValidateData
from headgate.commands.run import attempt
from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.core.results import Result
from headgate.core.runs import Receipt
from headgate.execute.context import RunRequest
from headgate.execute.workspace import Workspace

_CODES = {
    Code.SOURCE_NOT_FOUND: Code.INPUT_LOAD_FAILED,
    Code.TABLE_NOT_FOUND: Code.INPUT_LOAD_FAILED,
    Code.CONNECTION_FAILED: Code.INPUT_LOAD_FAILED,
    Code.AUTHENTICATION_FAILED: Code.INPUT_LOAD_FAILED,
    Code.EXTRACTION_FAILED: Code.INPUT_LOAD_FAILED,
    Code.QUALITY_CHECK_FAILED: Code.QUALITY_VALIDATION_FAILED,
    Code.SCHEMA_MISMATCH: Code.SCHEMA_VALIDATION_FAILED,
}
_HINTS = {
    Code.ERROR_RATE_EXCEEDED: "look at the rows with headgate quarantine show, or raise max_error_percentage",
}


def definition(command: ValidateData, source: dict[str, Any]) -> dict[str, Any]:
    """The pipeline that the command stands for; its target is never written."""
    read = {**source, **({"connection": command.connection} if command.connection else {})}
    handling: dict[str, Any] = {"on_row_error": "quarantine", "validation": command.mode}
    if command.max_error_percentage is not None:
        handling["max_error_percentage"] = command.max_error_percentage
    return {
        "source": {**read, "batch_size": command.chunk_size},
        "quality_rules": [{"type": rule} if isinstance(rule, str) else dict(rule) for rule in command.rules],
        "target": {"table": "validated", "mode": "append"},
        "error_handling": handling,
    }


def run_validate(command: ValidateData, workspace: Workspace, name: str) -> Result[Any]:
    """Check, and load nothing; the value is the receipt, failures have the command's own codes."""
    for index, rule in enumerate(command.rules):
        if isinstance(rule, dict) and (rule.get("stage") == "load" or rule.get("scope") == "table"):
            return Result.fail(
                FatalError(
                    Code.UNSUPPORTED,
                    f"rule {index} is about a table after a load, and nothing is loaded",
                    operation="validate",
                    object=command.dataset,
                    hint="drop stage and scope from the rule",
                )
            )
    try:
        result = attempt(workspace, name, RunRequest(only_check=True))
    except HeadgateError as error:
        result = Result.fail(error)
    failure = result.failure
    if failure is None or failure.code not in {*_CODES, *_HINTS}:
        return result
    told = FatalError(
        _CODES.get(failure.code, failure.code),
        failure.message,
        operation="validate",
        object=command.dataset,
        hint=_HINTS.get(failure.code, failure.hint),
        problems=failure.problems,
    )
    receipt = result.value
    if isinstance(receipt, Receipt):
        receipt = receipt.with_(error=told.as_dict())
    return Result.fail(told, receipt)
