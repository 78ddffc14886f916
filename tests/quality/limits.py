"""Limits that leave something between them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError


def in_order(model: type[BaseModel], low: Any, high: Any, **rest: Any) -> tuple[Any, Any]:
    """The limits as the options take them: exchanged, where nothing would lie between."""
    return (low, high) if possible(model, min=low, max=high, **rest) else (high, low)


def possible(model: type[BaseModel], **options: Any) -> bool:
    """Whether the options are taken; the only reason for which they are not is that no value lies between limits."""
    try:
        model(**options)
    except ValidationError as refusal:
        if "no value lies between" not in str(refusal):
            raise
        return False
    return True
