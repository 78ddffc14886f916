"""What a column is converted to, as steps are told."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from headgate.core.models import Model
from headgate.sql.shapes import OnError


class Conversion(Model):
    """What one column becomes."""

    type: str = Field(description="SQL type, such as DATE.")
    on_error: OnError | None = Field(
        default=None,
        description="For values that do not convert: fail, quarantine (the row), or null (counted). "
        "Default that of the step, or error_handling.on_row_error.",
    )


def as_conversion(value: Any) -> Any:
    """A type alone is a conversion that says no more."""
    return {"type": value} if isinstance(value, str) else value
