"""What a read of a database asks for: whether it makes sense there, and by what it is known from run to run."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from headgate.core.contracts import ReadContext
from headgate.core.errors import Code, FatalError
from headgate.core.models import ReadOptions
from headgate.io.comparing import COMPARED


def check(product: str, read: ReadOptions, *more: str) -> None:
    """Refuse a read that names nothing, or has a mode that these sources lack; modes that compare rows read in full.

    Args:
        product: such as ``SQLite``.
        read: what is asked of the database.
        more: modes beside full and incremental.

    Raises:
        FatalError: CONFIG_INVALID or UNSUPPORTED.
    """
    if (read.table is None) == (read.query is None):
        raise FatalError(
            Code.CONFIG_INVALID,
            f"a source of {product} has a table or a query",
            operation="source",
            hint="write table: NAME, or query: SELECT …",
        )
    modes = ("full", "incremental", *more)
    if read.mode not in modes:
        *known, last = *modes, *COMPARED
        raise FatalError(
            Code.UNSUPPORTED,
            f"sources of {product} do not have mode: {read.mode}",
            operation="source",
            object=read.table or "query",
            hint=f"use mode: {', '.join(known)} or {last}",
        )
    if read.mode == "incremental" and read.incremental is None:
        raise FatalError(
            Code.CONFIG_INVALID,
            "mode: incremental needs to know the column",
            operation="source",
            object=read.table or "query",
            hint="add incremental: {column: updated_at, key: id}",
        )


def identity(read: ReadOptions) -> tuple[str, str]:
    """The table's name (or the query's hash), and a fingerprint of what chooses its rows."""
    options = read.incremental
    chosen = {
        "where": read.where,
        "query": read.query,
        "parameters": read.parameters,
        "column": options.column if options else None,
        "key": options.key if options else None,
        "nulls": options.nulls if options else None,
    }
    if read.mode in COMPARED:
        chosen |= {"mode": read.mode, "row": read.key}
    return read.table or f"query {digest(read.query)}", digest(chosen)


def interval(context: ReadContext) -> dict[str, Any] | None:
    """The interval that a run is for, as what a window is known by."""
    return {"interval": [context.interval.start, context.interval.end]} if context.interval else None


def digest(value: Any) -> str:
    """16 digits that are the same for equal JSON values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]
