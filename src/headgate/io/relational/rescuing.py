"""Rows that a constraint rejects go to the dead letters, one by one, under savepoints of the publishing transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from headgate.core.contracts import Load
from headgate.io.merging import LETTER
from headgate.io.relational.staging import Place, Session, Spelling, StagedTable
from headgate.sql.literals import quote_name, quote_text

TRIAL = "headgate_trial_letters"
"""Where a trial puts them: a table of the session."""


@runtime_checkable
class Savepoints(Protocol):
    """A session that can take one statement back."""

    def attempt(self, statement: str) -> int | str:
        """Run a statement under a savepoint: how many rows it changed, or why a constraint rejected them."""


class RescuingSession:
    """A session that knows where the dead letters of one load go."""

    def __init__(self, backend: Spelling[Any], session: Session, staged: StagedTable) -> None:
        assert isinstance(session, Savepoints), "a plan asks for what the store's module says it can"
        self._backend, self._session, self._staged = backend, session, staged
        self.attempt = session.attempt

    def execute(self, statement: str) -> int:
        return self._session.execute(statement)

    def value(self, statement: str) -> Any:
        return self._session.value(statement)

    def payload(self, columns: Sequence[str]) -> str:
        return f"JSON_OBJECT({', '.join(f'{quote_text(name)}, {self._cell(name)}' for name in columns)})"

    def _cell(self, name: str) -> str:
        import pyarrow.types as kinds

        text, kind = f"s.{quote_name(name)}", self._staged.load.schema.field(name).type
        return f"hex({text})" if kinds.is_binary(kind) or kinds.is_large_binary(kind) else text

    def letters(self, table: str, columns: Sequence[str]) -> str:  # noqa: ARG002 - made before the transaction
        if self._staged.stand_in is None:
            return self._backend.quoted(self._session.need(table, "publish"))
        listed = _columns(self._backend, self._session)
        self._session.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS {quote_name(TRIAL)} ({listed})")
        return quote_name(TRIAL)


def make_letters(backend: Spelling[Any], session: Session, load: Load) -> None:
    """The table of dead letters, where making one would end the transaction that needs it."""
    if load.rescue is None or session.find(load.rescue.table) is not None:
        return
    place: Place = backend.new_place(session, load.rescue.table)
    session.execute(f"CREATE TABLE {backend.quoted(place)} ({_columns(backend, session)})")


def _columns(backend: Spelling[Any], session: Session) -> str:
    import pyarrow as pa

    return ", ".join(f"{name} {backend.declare(session, pa.field(name, pa.string()), 0)}" for name in LETTER)
