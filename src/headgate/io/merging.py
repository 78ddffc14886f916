"""Staged rows into a table of a SQL database, in every mode but append, overwrite and upsert, with exact counts.

For databases that understand :mod:`headgate.sql.merges`; all statements run in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from headgate.core.contracts import Load, Rescue
from headgate.core.errors import Code, FatalError
from headgate.sql import histories, merges
from headgate.sql.dialects import STANDARD, Standard
from headgate.sql.literals import quote_name, quote_text
from headgate.sql.merges import Sides

if TYPE_CHECKING:
    import pyarrow as pa


KEYED = ("upsert", "merge", "scd2")
"""Modes that need keys; a table that they create has them as its primary key."""


@dataclass(frozen=True)
class Counts:
    """What a load did; ``unchanged`` rows were there already."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    rejected: int = 0


class Session(Protocol):
    """The connection whose transaction publishes."""

    def execute(self, statement: str) -> int:
        """Run a statement; how many rows it changed."""

    def value(self, statement: str) -> Any:
        """The one value that a query gives."""


@runtime_checkable
class Rescuing(Session, Protocol):
    """A connection of a database that has savepoints and constraints."""

    def attempt(self, statement: str) -> int | str:
        """Run a statement under a savepoint: how many rows it changed, or why a constraint rejected them."""

    def payload(self, columns: Sequence[str]) -> str:
        """SQL for the row ``s`` as JSON text."""

    def letters(self, table: str, columns: Sequence[str]) -> str:
        """A table of texts by its configured name, quoted; made where it is not there."""


LETTER = ("run_id", "rejected_at", "table_name", "reason", "payload")
"""The columns of dead letters."""

Literal = Callable[["pa.Scalar[Any]", str], str]
"""A value as a literal in the type and form of a column of the table."""


@dataclass(frozen=True)
class Target:
    """Where rows go.

    Args:
        table: quoted.
        staged: the staged rows, quoted, or a subquery in parentheses, in the table's types, marker included.
        literal: writes values.
        work: what names of work tables start with; unique in the session.
        analyze: collect statistics of a work table before it is joined.
        dialect: how the database says it.
    """

    table: str
    staged: str
    literal: Literal
    work: str
    analyze: bool = False
    dialect: Standard = STANDARD


def identity(load: Load) -> tuple[str, ...]:
    """What no two staged rows may share: the keys, for scd2 with the time since when the row holds."""
    return (*load.keys, load.history.valid_from) if load.history else load.keys


def handles(load: Load) -> bool:
    """Whether :func:`apply` is for this load."""
    return load.mode in ("merge", "scd2") or bool(load.partition or load.between or load.rescue)


def apply(load: Load, target: Target, session: Session) -> Counts:
    """Bring the staged rows into the table, which is there and has all their columns.

    Raises:
        FatalError: DUPLICATE_KEYS when keys are NULL or repeated.
    """
    columns, texts = tuple(load.columns.names), _texts(load.columns)
    sides = Sides(target.table, target.staged, columns, load.keys, load.marker, target.dialect, texts)
    match load.mode:
        case "merge":
            check_keys(load, target.staged, session)
            return _merge(load, sides, session)
        case "scd2":
            check_keys(load, target.staged, session)
            return _scd2(load, target, sides, session)
        case "append":
            assert isinstance(session, Rescuing), "a plan asks for what the store's module says it can"
            return _append(load, target, sides, session)
        case _:
            return _replace(load, target, sides, session)


def refuse_cascades(load: Load, changed: Sequence[str]) -> None:
    """Raise UNSUPPORTED where the rows that a load replaces, by deleting and inserting them, take others with them.

    Args:
        changed: tables whose foreign keys on the load's delete or change their rows when its rows are deleted.
    """
    if load.mode == "overwrite" and changed:
        raise FatalError(
            Code.UNSUPPORTED,
            f"to replace its rows would delete or change rows of {', '.join(changed)}, whose foreign keys say"
            " ON DELETE CASCADE or SET",
            operation="stage",
            object=load.table,
            hint="use mode: merge with keys, and delete_missing: true: rows that stay are not deleted",
        )


def _texts(schema: pa.Schema) -> frozenset[str]:
    import pyarrow.types as t

    return frozenset(field.name for field in schema if t.is_string(field.type) or t.is_large_string(field.type))


def check_keys(load: Load, staged: str, session: Session) -> None:
    """Raise DUPLICATE_KEYS for NULL or repeated keys."""
    columns = identity(load)
    nulls, repeated = (int(session.value(query)) for query in merges.odd_keys(staged, columns))
    found = [
        text
        for number, text in (
            (nulls, f"{nulls} row{'s have' if nulls != 1 else ' has'} a NULL in the merge key"),
            (repeated, f"{repeated} rows share their merge key with another"),
        )
        if number
    ]
    if found:
        raise FatalError(
            Code.DUPLICATE_KEYS,
            f"{' and '.join(found)} ({', '.join(columns)})",
            operation="publish",
            object=load.table,
            hint="add a deduplicate step with keys and order_by, or a not_null rule that quarantines",
        )


def _make(session: Session, statements: Sequence[str]) -> None:
    for statement in statements:
        session.execute(statement)


def _staged(sides: Sides, session: Session) -> int:
    return int(session.value(f"SELECT count(*) FROM {sides.source} AS s"))


def _replace(load: Load, target: Target, sides: Sides, session: Session) -> Counts:
    if load.between is not None:
        column, literal = load.between.column, target.literal
        start, end = literal(load.between.start, column), literal(load.between.end, column)
        deletes = [merges.delete_between(sides, column, start, end)]
    else:
        deletes = merges.delete_partitions(sides, load.partition)
    deleted = sum(session.execute(statement) for statement in deletes)
    return Counts(inserted=session.execute(merges.insert(sides)), deleted=deleted)


def _merge(load: Load, sides: Sides, session: Session) -> Counts:
    rows = _staged(sides, session)
    if sides.marker:
        rows -= int(
            session.value(f"SELECT count(*) FROM {sides.source} AS s WHERE {sides.dialect.holds(sides.marked)}")
        )
    deleted = sum(session.execute(s) for s in merges.merge_deletes(sides, missing=load.delete_missing))
    update = merges.merge_update(sides)
    updated = session.execute(update) if update else 0
    inserted = session.execute(merges.merge_insert(sides))
    return Counts(inserted, updated, deleted, rows - inserted - updated)


def _scd2(load: Load, target: Target, sides: Sides, session: Session) -> Counts:
    assert load.history is not None
    matched, changed = (quote_name(f"{target.work}_{name}") for name in ("matched", "changed"))
    versions = histories.Versions(sides, load.history, matched, changed)
    _make(session, sides.dialect.work(matched, histories.matches(versions)))
    if target.analyze:
        session.execute(f"ANALYZE {matched}")
    counts = Counts(unchanged=int(session.value(f"SELECT count(*) FROM {matched} WHERE hg_kind = 'none'")))
    if session.value(f"SELECT count(*) FROM {matched} WHERE hg_kind = 'hard'"):
        counts = _worked_out(versions, counts, session)
    missing = 0
    if load.delete_missing:
        assert load.moment is not None
        moment = target.literal(load.moment, load.history.valid_from)
        missing = session.execute(histories.close_missing(versions, moment))
    closed = session.execute(histories.close(versions, "close")) if sides.marker else 0
    updated = session.execute(histories.close(versions, "change"))
    inserted = session.execute(histories.insert_fresh(versions))
    session.execute(sides.dialect.drop(matched))
    return Counts(
        counts.inserted + inserted, counts.updated + updated, counts.deleted + closed + missing, counts.unchanged
    )


def _worked_out(versions: histories.Versions, counts: Counts, session: Session) -> Counts:
    """Keys whose history is to be worked out as a whole."""
    dialect = versions.sides.dialect
    _make(session, dialect.work(versions.changed, histories.timeline(versions)))
    unchanged = int(session.value(histories.unchanged_hard(versions)))
    deleted = session.execute(histories.delete_absorbed(versions))
    updated = session.execute(histories.update_changed(versions))
    inserted = session.execute(histories.insert_changed(versions))
    session.execute(dialect.drop(versions.changed))
    return replace(counts, inserted=inserted, updated=updated, deleted=deleted, unchanged=counts.unchanged + unchanged)


# ----------------------------------------------------------------------------------------------------- rescue


def _append(load: Load, target: Target, sides: Sides, session: Rescuing) -> Counts:
    """Insert all rows, or, where a constraint rejects some, halve by halve all that it does not reject."""
    assert load.rescue is not None
    numbered = quote_name(f"{target.work}_numbered")
    every = f"SELECT row_number() OVER () AS hg_n, s.* FROM {sides.source} AS s"
    _make(session, sides.dialect.work(numbered, every, index="hg_n"))
    listed = merges.names(sides.columns)
    inserted = rejected = 0
    todo = [(1, int(session.value(f"SELECT count(*) FROM {numbered}")))]
    while todo:
        first, last = todo.pop()
        if first > last:
            continue
        done = session.attempt(
            f"INSERT INTO {sides.target} ({listed}) SELECT {listed} FROM {numbered} AS s"
            f" WHERE hg_n BETWEEN {first} AND {last} ORDER BY hg_n"
        )
        if isinstance(done, int):
            inserted += done
        elif first == last:
            _bury(load.rescue, load.table, sides.columns, f"{numbered} AS s WHERE hg_n = {first}", done, session)
            rejected += 1
        else:
            middle = (first + last) // 2
            todo += [(middle + 1, last), (first, middle)]  # the first half first: of equal keys the first row stays
    session.execute(sides.dialect.drop(numbered))
    return Counts(inserted, rejected=rejected)


def _bury(rescue: Rescue, table: str, columns: Sequence[str], source: str, reason: str, session: Rescuing) -> None:
    """One row into the dead letters."""
    place = session.letters(rescue.table, LETTER)
    values = ", ".join(quote_text(text.replace("\x00", "")) for text in (rescue.run_id, rescue.at, table, reason))
    session.execute(
        f"INSERT INTO {place} ({', '.join(LETTER)}) SELECT {values}, {session.payload(columns)} FROM {source}"
    )
