"""From staged rows to the table, in the transaction that publishes; and what that would do, without doing it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import astuple
from typing import Any

from headgate.core.contracts import Repeats
from headgate.core.runs import TableCommit
from headgate.io import merging
from headgate.io.relational.rescuing import RescuingSession
from headgate.io.relational.staging import Place, Session, Spelling, StagedTable
from headgate.sql import merges
from headgate.sql.repeats import repeats


def merge(backend: Spelling[Any], session: Session, staged: StagedTable, store: str, commit: str) -> TableCommit:
    """Apply one staged table, with exact counts."""
    target, stage = _places(backend, session, staged)
    if merging.handles(staged.load):
        place = merging.Target(
            target,
            stage,
            lambda value, _: backend.literal(value.as_py()),
            backend.dialect.temporary + staged.stage[1],
            dialect=backend.dialect,
        )
        at_work = RescuingSession(backend, session, staged) if staged.load.rescue else session
        done = merging.apply(staged.load, place, at_work)
        return TableCommit(staged.load.table, commit, store, *astuple(done))
    names = ", ".join(backend.quote(name) for name in staged.names)
    every = f"INSERT INTO {target} ({names}) SELECT {names} FROM {stage}"
    match staged.load.mode:
        case "append":
            return TableCommit(staged.load.table, commit, store, inserted=session.execute(every))
        case "overwrite":
            deleted = session.execute(f"DELETE FROM {target}")
            return TableCommit(staged.load.table, commit, store, inserted=session.execute(every), deleted=deleted)
        case _:
            same = _same(backend, staged)
            missing = f"NOT EXISTS (SELECT 1 FROM {target} kept{backend.dialect.hold} WHERE {same})"
            if staged.others:
                where = merges.same(staged.load.keys, "t", "s")
                changes = merges.taken(staged.others, "s")
                updated = session.execute(backend.dialect.update(target, changes, where, f"{stage} s"))
            else:
                updated = _matched(session, target, stage, same)
            inserted = session.execute(
                f"INSERT INTO {target} ({names}) SELECT {_of('incoming', backend, staged.names)}"
                f" FROM {stage} incoming WHERE {missing}"
            )
            return TableCommit(staged.load.table, commit, store, inserted=inserted, updated=updated)


def expected(backend: Spelling[Any], session: Session, staged: StagedTable, store: str) -> TableCommit:
    """What :func:`merge` would do now."""
    there = session.find(staged.load.table)
    if there is None or staged.load.mode == "append":
        return TableCommit(staged.load.table, "", store, inserted=staged.rows)
    target, stage = _places(backend, session, staged)
    if staged.load.mode == "overwrite":
        inside = _inside(backend, staged)
        deleted = int(session.value(f"SELECT count(*) FROM {target}{f' WHERE {inside[1]}' if inside else ''}"))
        return TableCommit(staged.load.table, "", store, inserted=staged.rows, deleted=deleted)
    same = _same(backend, staged)
    kept = _matched(session, target, stage, same)
    found = f"SELECT count(*) FROM {stage} incoming WHERE EXISTS (SELECT 1 FROM {target} kept WHERE {same})"
    matched = int(session.value(found))
    return TableCommit(staged.load.table, "", store, inserted=staged.rows - matched, updated=kept)


def duplicates(backend: Spelling[Any], session: Session, staged: StagedTable, columns: Sequence[str]) -> Repeats:
    """Rows, of the table as it will be, whose ``columns`` occur more than once and are not NULL.

    Texts are the same if they are so byte by byte, as to every rule, whatever the collation of their column says.
    """
    _, stage = _places(backend, session, staged)
    texts = _texts(staged)
    parts = [f"SELECT {_listed(backend, columns, staged.names, texts)} FROM {stage} incoming"]
    there = session.find(staged.load.table)
    if there is not None and not staged.load.whole:
        known = [column.name for column in session.table_columns(there)]
        staying = stays(backend, staged)
        where = f" WHERE {staying}" if staying else ""
        parts.append(f"SELECT {_listed(backend, columns, known, texts)} FROM {backend.quoted(there)} kept{where}")
    return _repeated(session, f"({' UNION ALL '.join(parts)}) every_row", len(columns))


def stays(backend: Spelling[Any], staged: StagedTable) -> str:
    """The condition for rows of the table, called ``kept``, that the load leaves as they are; empty: all of them."""
    inside = _inside(backend, staged)
    if inside is not None:
        return f"{inside[0]} IS NULL OR NOT ({inside[1]})"
    if staged.load.mode == "upsert":
        return f"NOT EXISTS (SELECT 1 FROM {backend.quoted(staged.stage)} incoming WHERE {_same(backend, staged)})"
    return ""


def repeated(
    backend: Spelling[Any], session: Session, staged: StagedTable, there: Place, columns: Sequence[str]
) -> Repeats:
    """The same of the table as it is, merged already or in a copy that is."""
    listed = _listed(backend, columns, columns, _texts(staged))
    return _repeated(session, f"(SELECT {listed} FROM {backend.quoted(there)}) every_row", len(columns))


def _inside(backend: Spelling[Any], staged: StagedTable) -> tuple[str, str] | None:
    """(column, condition) of the rows that an overwrite of an interval replaces; None for others."""
    between = staged.load.between
    if between is None:
        return None
    name, start, end = backend.quote(between.column), between.start.as_py(), between.end.as_py()
    return name, f"{name} >= {backend.literal(start)} AND {name} < {backend.literal(end)}"


def _matched(session: Session, target: str, stage: str, same: str) -> int:
    """Rows of the target that an upsert meets."""
    incoming = f"SELECT 1 FROM {stage} incoming WHERE {same}"
    return int(session.value(f"SELECT count(*) FROM {target} kept WHERE EXISTS ({incoming})"))


def _repeated(session: Session, rows: str, columns: int) -> Repeats:
    ((repeated, every),) = session.query(repeats(rows, [f"c{place}" for place in range(columns)]))
    return Repeats(int(repeated), int(every))


def _texts(staged: StagedTable) -> frozenset[str]:
    """The columns that hold text, in lower case."""
    import pyarrow as pa

    return frozenset(
        field.name.lower()
        for field in staged.load.schema
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
    )


def _listed(backend: Spelling[Any], columns: Sequence[str], known: Sequence[str], texts: Collection[str] = ()) -> str:
    named = {name.lower(): name for name in known} | {name: name for name in known}

    def value(name: str) -> str:
        found = named.get(name) or named.get(name.lower())
        quoted = backend.quote(found) if found else "NULL"
        return backend.dialect.exact(quoted) if found and name.lower() in texts else quoted

    return ", ".join(f"{value(name)} AS c{place}" for place, name in enumerate(columns))


def _places(backend: Spelling[Any], session: Session, staged: StagedTable) -> tuple[str, str]:
    found = staged.stand_in or session.find(staged.load.table)
    target = found or backend.new_place(session, staged.load.table)
    return backend.quoted(target), backend.quoted(staged.stage)


def _same(backend: Spelling[Any], staged: StagedTable) -> str:
    return " AND ".join(f"kept.{backend.quote(key)} = incoming.{backend.quote(key)}" for key in staged.load.keys)


def _of(relation: str, backend: Spelling[Any], names: Sequence[str]) -> str:
    return ", ".join(f"{relation}.{backend.quote(name)}" for name in names)
