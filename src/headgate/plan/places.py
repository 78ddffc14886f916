"""Errors of a plan point to the line of the YAML that they are about."""

from __future__ import annotations

from collections.abc import Sequence

from headgate.config.models import Pipeline
from headgate.core.errors import Code, FatalError, HeadgateError, Problem

_THINGS = (Code.NOT_FOUND, Code.SOURCE_NOT_FOUND, Code.TABLE_NOT_FOUND)
"""Errors about a thing that is not there keep it as their object: another pipeline may make it."""


def located(error: HeadgateError, pipeline: Pipeline, path: Sequence[str | int]) -> HeadgateError:
    """The error with file, line and path; the innermost place wins."""
    if error.problems or not isinstance(error, FatalError):
        return error
    file, line = pipeline.where(path)
    dotted = ".".join(str(part) for part in ("pipelines", pipeline.name, *path))
    problem = Problem(error.message, file, line, dotted, error.hint)
    return FatalError(
        error.code,
        error.message,
        operation=error.operation,
        object=f"{file}:{line}" if line and error.code not in _THINGS else error.object,
        hint=error.hint,
        problems=[problem],
    )
