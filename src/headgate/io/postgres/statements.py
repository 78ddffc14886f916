"""A psycopg connection as the ledger's statements want it: ``?`` marks parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from headgate.core.errors import Code
from headgate.io.postgres.errors import explained

if TYPE_CHECKING:
    import psycopg

_TOKEN = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[?%]")


@lru_cache(maxsize=256)
def translate(statement: str) -> str:
    """``?`` outside of quotes becomes ``%s``; a per cent sign anywhere is doubled."""

    def replace(found: re.Match[str]) -> str:
        part = found[0]
        return "%s" if part == "?" else part.replace("%", "%%")

    return _TOKEN.sub(replace, statement)


class Statements:
    """Runs statements on one connection and tells their errors as ours.

    Args:
        connection: whose transaction, if it has one, the statements join.
        operation: what is being done, for errors.
        object: on what, for errors.
        code: for errors that have no code of their own.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        operation: str = "ledger",
        object: str = "",  # noqa: A002 - as errors call it
        code: Code = Code.STORAGE_FAILED,
    ) -> None:
        self.connection = connection
        self._where = (operation, object, code)

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a statement."""
        with explained(*self._where), self.connection.cursor() as cursor:
            self._run(cursor, statement, parameters)
            return cursor.fetchall()

    def unordered(self) -> str:
        """The database's encoding, if its bytes are in another order than the code points of texts; else empty."""
        found = self.connection.info.parameter_status("server_encoding") or ""
        return "" if found in ("UTF8", "LATIN1", "SQL_ASCII") else found

    def value(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """The one value of a statement's one row; None if there is no row."""
        rows = self.query(statement, parameters)
        return rows[0][0] if rows else None

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement; the number of rows it changed."""
        with explained(*self._where), self.connection.cursor() as cursor:
            self._run(cursor, statement, parameters)
            return cursor.rowcount

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Statements that are one: its own BEGIN and COMMIT can fail, too."""
        with explained(*self._where), self.connection.transaction():
            yield

    def _run(self, cursor: psycopg.Cursor[Any], statement: str, parameters: Sequence[Any]) -> None:
        if parameters:
            cursor.execute(translate(statement), tuple(parameters))
        else:
            cursor.execute(statement)  # without parameters nothing in it is special
