"""Marks on users' own functions. The functions stay what they are: plain callables, easy to test."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeAlias, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

Watermark: TypeAlias = int | Decimal | str | date | datetime | None
"""What a source's ``since`` parameter gets: the highest cursor value that a published run has read, None at first."""


def transform(function: Function) -> Function:
    """Mark a function as a step: ``{type: python, function: "module:name"}``.

    It gets the rows as its first parameter is annotated (a pyarrow, Polars or pandas table; pyarrow by default) and
    returns rows as any of the three. It must work on a table without rows, unless the step declares ``columns:``.
    """
    return _marked(function, "transform")


def source(function: Function) -> Function:
    """Mark a function as a source: ``source: {type: python, function: "module:name"}``.

    It yields dicts, lists of dicts, or Arrow batches. With a parameter ``since`` it gets a :data:`Watermark`.
    """
    return _marked(function, "source")


def _marked(function: Function, kind: str) -> Function:
    function.__headgate__ = kind  # type: ignore[attr-defined]
    return function
