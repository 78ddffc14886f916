"""Where a source was read up to, if what is asked for now is what was read then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headgate.core.contracts import Source
from headgate.core.errors import RESET, Code, FatalError
from headgate.core.ledger import Watermark
from headgate.core.models import ReadOptions


def position(source: Source, read: ReadOptions, marks: Mapping[str, Watermark]) -> Mapping[str, Any] | None:
    """The position to go on from; None at first, and after a reset.

    Raises FatalError STATE_INVALID where other rows were chosen then.
    """
    name, fingerprint = source.identity(read)
    mark = marks.get(name)
    if mark is None or mark.forgotten:
        return None
    if mark.filter not in {fingerprint, source.identity(_strict(read))[1]} and read.mode != "full":
        raise FatalError(
            Code.STATE_INVALID,
            "the source's column, filter or query changed since the stored watermark",
            operation="probe",
            object=name,
            hint=f"{RESET}, then the next run reads everything",
        )
    return mark.position


def forgotten(source: Source, read: ReadOptions, marks: Mapping[str, Watermark]) -> Mapping[str, Any] | None:
    """The position up to which changes were followed before it was reset; None if none was."""
    mark = marks.get(source.identity(read)[0])
    return mark.position if mark is not None and mark.forgotten and read.mode == "cdc" else None


def _strict(read: ReadOptions) -> ReadOptions:
    """The same read where NULL in the cursor fails. What was published so met no NULL, so that ``nulls`` may become
    anything: the rows that come with it are new."""
    if read.incremental is None:
        return read
    return read.model_copy(update={"incremental": read.incremental.model_copy(update={"nulls": "fail"})})
