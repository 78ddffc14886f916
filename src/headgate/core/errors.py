"""Errors say how to recover: the class states the recovery, the fields state what happened."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Code(StrEnum):
    """What went wrong, as scripts test for it. The exit status of the command line follows from it."""

    CONFIG_INVALID = "CONFIG_INVALID"
    USAGE = "USAGE"
    NOT_FOUND = "NOT_FOUND"
    SOURCE_NOT_FOUND = "SOURCE_NOT_FOUND"
    TABLE_NOT_FOUND = "TABLE_NOT_FOUND"
    TARGET_CONNECTION_NOT_FOUND = "TARGET_CONNECTION_NOT_FOUND"
    DRIVER_MISSING = "DRIVER_MISSING"
    UNSUPPORTED = "UNSUPPORTED"
    PLAN_INVALID = "PLAN_INVALID"
    SCHEMA_MISMATCH = "SCHEMA_MISMATCH"
    CONNECTION_FAILED = "CONNECTION_FAILED"
    AUTHENTICATION_FAILED = "AUTHENTICATION_FAILED"
    EXTRACTION_FAILED = "EXTRACTION_FAILED"
    TRANSFORMATION_FAILED = "TRANSFORMATION_FAILED"
    INPUT_LOAD_FAILED = "INPUT_LOAD_FAILED"
    NO_DATA_TRANSFORMED = "NO_DATA_TRANSFORMED"
    SCHEMA_VALIDATION_FAILED = "SCHEMA_VALIDATION_FAILED"
    QUALITY_VALIDATION_FAILED = "QUALITY_VALIDATION_FAILED"
    OUTPUT_SAVE_FAILED = "OUTPUT_SAVE_FAILED"
    SOURCE_LOAD_FAILED = "SOURCE_LOAD_FAILED"
    RECORD_COUNT_MISMATCH = "RECORD_COUNT_MISMATCH"
    PRE_LOAD_VALIDATION_FAILED = "PRE_LOAD_VALIDATION_FAILED"
    POST_LOAD_VALIDATION_FAILED = "POST_LOAD_VALIDATION_FAILED"
    ROW_ERROR = "ROW_ERROR"
    ERROR_RATE_EXCEEDED = "ERROR_RATE_EXCEEDED"
    QUALITY_CHECK_FAILED = "QUALITY_CHECK_FAILED"
    DUPLICATE_KEYS = "DUPLICATE_KEYS"
    ACCOUNTING_FAILED = "ACCOUNTING_FAILED"
    TABLE_CREATION_FAILED = "TABLE_CREATION_FAILED"
    LOAD_EXECUTION_FAILED = "LOAD_EXECUTION_FAILED"
    STORAGE_FAILED = "STORAGE_FAILED"
    DISK_FULL = "DISK_FULL"
    LOCKED = "LOCKED"
    FENCED = "FENCED"
    CONFLICT = "CONFLICT"
    PLAN_CHANGED = "PLAN_CHANGED"
    STATE_INVALID = "STATE_INVALID"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    INTERRUPTED = "INTERRUPTED"
    UPSTREAM_FAILED = "UPSTREAM_FAILED"
    INTERNAL = "INTERNAL"


MOST_NAMED = 50
"""Names that a hint lists."""
RESET = "headgate state reset PIPELINE"
"""In hints of those who do not know whose run it is; the run fills in its pipeline: ``HeadgateError.of_pipeline``."""

_USAGE = {
    Code.CONFIG_INVALID,
    Code.USAGE,
    Code.NOT_FOUND,
    Code.SOURCE_NOT_FOUND,
    Code.TABLE_NOT_FOUND,
    Code.TARGET_CONNECTION_NOT_FOUND,
    Code.DRIVER_MISSING,
    Code.UNSUPPORTED,
    Code.PLAN_INVALID,
    Code.PLAN_CHANGED,
}


_REFUSED = {
    Code.QUALITY_CHECK_FAILED,
    Code.QUALITY_VALIDATION_FAILED,
    Code.RECORD_COUNT_MISMATCH,
    Code.PRE_LOAD_VALIDATION_FAILED,
    Code.POST_LOAD_VALIDATION_FAILED,
}


def exit_status(code: Code) -> int:
    """Exit status of the command line: 1 failed, 2 usage or configuration, 3 refused, 4 locked, 5 unknown."""
    if code in _USAGE:
        return 2
    match code:
        case code if code in _REFUSED:
            return 3
        case Code.LOCKED:
            return 4
        case Code.OUTCOME_UNKNOWN:
            return 5
        case _:
            return 1


@dataclass(frozen=True)
class Problem:
    """One thing to mend in a configuration: where it stands, what is wrong, what to do."""

    message: str
    file: str = ""
    line: int = 0
    path: str = ""
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        path = f"{self.path}: " if self.path else ""
        return f"{where}{path}{self.message}" + (f" ({self.hint})" if self.hint else "")


class HeadgateError(Exception):
    """Root of all errors of headgate.

    Args:
        code: what went wrong.
        message: the cause, in words a user understands; never holds a secret.
        operation: what was being done (``scan``, ``publish``, …).
        object: on what (a table, file, connection, step).
        hint: what to do about it.
        problems: for configurations, every problem found, each with file and line.
        values: parts of the message that are values of rows, for those who must not tell them.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        operation: str = "",
        object: str = "",  # noqa: A002 - the field's name in the receipt
        hint: str = "",
        problems: Iterable[Problem] = (),
        values: Iterable[str] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.operation = operation
        self.object = object
        self.hint = hint
        self.problems = tuple(problems)
        self.values = tuple(values)

    def hide(self, sign: str) -> None:
        """Put a sign in the place of all values of rows."""
        for value in sorted(self.values, key=len, reverse=True):
            self.message = self.message.replace(value, sign)
        self.args, self.values = (self.message,), ()

    def __str__(self) -> str:
        where = " ".join(part for part in (self.operation, self.object) if part)
        text = f"{where}: {self.message}" if where else self.message
        return f"{text}\n  hint: {self.hint}" if self.hint else text

    def of_pipeline(self, name: str) -> None:
        """Fill the pipeline's name into the commands of the hint."""
        self.hint = self.hint.replace(RESET, RESET.replace("PIPELINE", name))

    def as_dict(self) -> dict[str, Any]:
        """The ``error`` object of receipts and of ``-o json``, without the secrets that are known."""
        from headgate.core.secrets import mask  # needs pydantic, which the help text can do without

        document: dict[str, Any] = {
            "code": self.code.value,
            "operation": self.operation,
            "object": mask(self.object),
            "message": mask(self.message),
            "hint": mask(self.hint),
        }
        if self.problems:
            document["problems"] = [asdict(problem) for problem in self.problems]
        return document


class FatalError(HeadgateError):
    """Trying again changes nothing: somebody must mend something first."""


class RetriableError(HeadgateError):
    """A passing fault (network, deadlock, restart): the whole run may be tried again."""


class RowError(HeadgateError):
    """One row is at fault; the policy for row errors decides what becomes of it."""


def fault(error: BaseException, operation: str, object: str = "", at: str = "") -> FatalError:  # noqa: A002 - as errors call it
    """An exception that nobody foresaw, as an error that people can report; it keeps the exception as its cause."""
    found = FatalError(
        Code.INTERNAL,
        f"{type(error).__name__}: {error}{at}",
        operation=operation,
        object=object,
        hint="this is a fault of headgate; run with --debug for the details to report",
    )
    found.__cause__ = error
    return found


def swallowed_interrupt(error: BaseException) -> bool:
    """Whether this is all that is left of a Ctrl-C: DuckDB, when it hears one in mid-statement, raises this instead."""
    return type(error) is RuntimeError and str(error) == "Query interrupted"


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like ``name``; None where none is near."""
    close = difflib.get_close_matches(name, sorted(set(known)), n=1)
    return close[0] if close else None


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known name, or all of them when none is near; of very many, the first."""
    choices = sorted(set(known))
    if (close := closest(name, choices)) is not None:
        return f'did you mean "{close}"?'
    more = f", … ({len(choices)} in all)" if len(choices) > MOST_NAMED else ""
    return "known: " + ", ".join(choices[:MOST_NAMED]) + more if choices else ""


def from_dict(document: Mapping[str, Any]) -> HeadgateError:
    """The error that a receipt's ``error`` object describes."""
    return FatalError(
        Code(document["code"]),
        document["message"],
        operation=document.get("operation", ""),
        object=document.get("object", ""),
        hint=document.get("hint", ""),
    )
