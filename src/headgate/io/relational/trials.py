"""What a publication would do, found by doing it in a transaction that is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from headgate.core.contracts import Load
from headgate.core.ledger import Claim
from headgate.core.runs import TableCommit
from headgate.io import parked
from headgate.io.merging import handles
from headgate.io.relational import merging
from headgate.io.relational.staging import Backend, Place, Session, StagedTable, check, create, shape


def needed(load: Load) -> bool:
    """Whether counting needs the merge itself."""
    return handles(load) and load.between is None


@contextmanager
def trial(
    backend: Backend[Any], session: Session, staged: StagedTable, claim: Claim, store: str
) -> Iterator[tuple[Place, TableCommit]]:
    """The table as it would be, and what would be counted; nothing of it stays."""
    if backend.transactional_ddl:
        with _taken_back(backend, session, staged, store) as found:
            yield found
        return
    with (
        _stand_in(backend, session, staged, claim) as place,
        _taken_back(backend, session, replace(staged, stand_in=place), store) as found,
    ):
        yield found


@contextmanager
def _taken_back(
    backend: Backend[Any], session: Session, staged: StagedTable, store: str
) -> Iterator[tuple[Place, TableCommit]]:
    session.begin()
    try:
        if staged.stand_in is None:
            shape(backend, session, staged.load)
        done = merging.merge(backend, session, staged, store, "")
        place = staged.stand_in or session.find(staged.load.table)
        assert place is not None, "it was made"
        yield place, done
    finally:
        session.rollback()


@contextmanager
def _stand_in(backend: Backend[Any], session: Session, staged: StagedTable, claim: Claim) -> Iterator[Place]:
    """Where making a table commits: the table itself, or a copy if it is not there yet or lacks columns."""
    additions, there = check(backend, session, staged.load), session.find(staged.load.table)
    if there is not None and not additions:
        yield there
        return
    place = backend.new_place(session, f"{staged.stage[1]}_trial")
    parked.note(session, claim, "table", place[1])
    try:
        if there is None:
            create(backend, session, staged.load, place, staging=False)
        else:
            session.execute(backend.dialect.like(backend.quoted(place), backend.quoted(there)))
            session.execute(f"INSERT INTO {backend.quoted(place)} SELECT * FROM {backend.quoted(there)}")
            for addition in additions:
                session.execute(f"ALTER TABLE {backend.quoted(place)} {addition}")
        yield place
    finally:
        parked.drop(session, claim.run_id, place[1], backend.quote)
