"""Parameters of queries that have no value."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from headgate.core.errors import Code, HeadgateError
from headgate.core.models import ReadOptions


@contextmanager
def parameters_told(read: ReadOptions) -> Iterator[None]:
    """What a database calls a syntax error may be a parameter without a value: the hint says so."""
    try:
        yield
    except HeadgateError as error:
        from headgate.sql.templates import unbound

        missing = unbound(f"{read.query or ''}\n{read.where or ''}", read.parameters)
        if missing and error.code is Code.EXTRACTION_FAILED:
            error.hint = f"parameters has no value for {', '.join(f':{name}' for name in missing)}"
        raise
