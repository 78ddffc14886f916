"""Modes of loading over Parquet files, which are never changed: which rows go, which come, which files hold them.

DuckDB works it out, with bounded memory; the store then writes the affected files anew without the rows that go, and
adds those that come.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Load
from headgate.io.merging import Counts, check_keys
from headgate.sql import histories
from headgate.sql.literals import literal, quote_name
from headgate.sql.merges import Sides, differs, names, same

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

KEPT, STAGED, FILE = "hg_kept", "hg_staged", "hg_file"
"""Relations that the store gives: the table's rows with all its columns and the path of their file, and the load's."""

_NEAR = "hg_near"
"""The table's rows that a load by keys may touch."""


@dataclass(frozen=True)
class Rewrite:
    """What a load does to files.

    Args:
        counts: of rows.
        gone: a condition on rows ``o`` of the table: they go.
        fresh: a query of the rows that come, with the table's columns.
        affected: path of each file that holds rows that go, and how many.
    """

    counts: Counts
    gone: str
    fresh: str
    affected: dict[str, int]

    @property
    def growth(self) -> int:
        """By how many rows the table grows."""
        return self.counts.inserted - self.counts.deleted


@dataclass(frozen=True)
class _Session:
    connection: duckdb.DuckDBPyConnection

    def execute(self, statement: str) -> int:
        rows = self.connection.execute(statement).fetchall()  # to its end: a statement may stop when nobody asks on
        return int(rows[0][0]) if rows else 0

    def value(self, statement: str) -> Any:
        return self.connection.execute(statement).fetchall()[0][0]


def give(
    connection: duckdb.DuckDBPyConnection,
    load: Load,
    columns: pa.Schema,
    kept: str | None,
    staged: str | None,
    there: Collection[str],
) -> None:
    """Define the two relations.

    Args:
        columns: the table's.
        kept: a FROM clause of the table's rows, with their file's path in :data:`FILE`; None if there are none.
        staged: one of the load's rows; None if there are none.
        there: the columns that some file of the table has; the others are NULL.
    """
    import pyarrow as pa

    for name, schema, found, known in (
        (KEPT, columns.append(pa.field(FILE, pa.string())), kept, {*there, FILE}),
        (STAGED, load.schema, staged, set(load.schema.names)),
    ):
        connection.register(f"{name}_none", schema.empty_table())
        none = f"SELECT * FROM {name}_none"
        if found is None:
            rows = none
        else:
            rows = f"SELECT {names([column for column in schema.names if column in known])} FROM {found}"
            if not known >= set(schema.names):  # so that NULLs have a type
                rows = f"SELECT {names(schema.names)} FROM ({rows} UNION ALL BY NAME {none})"
        connection.execute(f"CREATE TEMP VIEW {name} AS {rows}").fetchall()


def work_out(connection: duckdb.DuckDBPyConnection, load: Load, columns: Sequence[str]) -> Rewrite:
    """Work out a load for which :func:`headgate.io.merging.handles` says yes.

    Args:
        connection: has the relations that :func:`give` defines.
        load: with its columns spelled as the table spells them.
        columns: the table's, in order.

    Raises:
        FatalError: DUPLICATE_KEYS when keys are NULL or repeated.
    """
    session = _Session(connection)
    sides = Sides(_NEAR, STAGED, tuple(load.columns.names), load.keys, load.marker)
    if load.mode not in ("merge", "scd2"):
        return _replace(load, sides, columns, session)
    check_keys(load, STAGED, session)
    if load.delete_missing:
        session.execute(f"CREATE TEMP VIEW {_NEAR} AS FROM {KEPT}")
    else:  # read once, whole: what follows asks for few rows again and again
        session.execute(
            f"CREATE TEMP TABLE {_NEAR} AS SELECT o.* FROM {KEPT} AS o"
            f" SEMI JOIN {STAGED} AS s ON {same(load.keys, 'o', 's')}"
        )
    return (_merge if load.mode == "merge" else _scd2)(load, sides, columns, session)


def _affected(session: _Session, gone: str, among: str = _NEAR) -> dict[str, int]:
    found = session.connection.execute(
        f"SELECT o.{FILE}, count(*) FROM {among} AS o WHERE {gone} GROUP BY ALL"
    ).fetchall()
    return {str(path): int(count) for path, count in found}


def _listed(columns: Sequence[str], ours: Sequence[str], mine: str, other: str = "") -> str:
    """The table's columns: ``ours`` from one side, the others from the other or NULL."""
    return ", ".join(
        f"{mine}.{quote_name(name)}"
        if name in ours
        else f"{other}.{quote_name(name)}"
        if other
        else f"NULL AS {quote_name(name)}"
        for name in columns
    )


def _exists(relation: str, columns: Sequence[str]) -> str:
    return f"EXISTS (SELECT 1 FROM {relation} AS g WHERE {same(columns, 'g', 'o')})"


def _replace(load: Load, sides: Sides, columns: Sequence[str], session: _Session) -> Rewrite:
    if load.between is not None:
        name = quote_name(load.between.column)
        start, end = (literal(value.as_py()) for value in (load.between.start, load.between.end))
        gone = f"o.{name} >= {start} AND o.{name} < {end}"
    else:
        session.execute(f"CREATE TEMP TABLE hg_gone AS SELECT DISTINCT {names(load.partition)} FROM {STAGED}")
        gone = f"EXISTS (SELECT 1 FROM hg_gone AS g WHERE NOT {differs(load.partition, 'g', 'o')})"
    affected = _affected(session, gone, KEPT)
    inserted = int(session.value(f"SELECT count(*) FROM {STAGED}"))
    counts = Counts(inserted=inserted, deleted=sum(affected.values()))
    return Rewrite(counts, gone, f"SELECT {_listed(columns, sides.columns, 's')} FROM {STAGED} AS s", affected)


def _merge(load: Load, sides: Sides, columns: Sequence[str], session: _Session) -> Rewrite:
    missing = [name for name in columns if name not in sides.columns]
    kept = "".join(f", o.{quote_name(name)}" for name in missing)
    session.execute(
        f"CREATE TEMP TABLE hg_matched AS SELECT {names(load.keys, 's')}, {sides.stays} AS hg_stays,"
        f" NOT {sides.stays} OR {differs(sides.others, 'o', 's')} AS hg_goes{kept}"
        f" FROM {STAGED} AS s JOIN {_NEAR} AS o ON {same(load.keys, 'o', 's')}"
    )
    session.execute(f"CREATE TEMP TABLE hg_gone AS SELECT {names(load.keys)} FROM hg_matched WHERE hg_goes")
    deleted = int(session.value("SELECT count(*) FROM hg_matched WHERE NOT hg_stays"))
    if load.delete_missing:
        there = f"EXISTS (SELECT 1 FROM {STAGED} AS s WHERE {same(load.keys, 's', 'o')})"
        session.execute(f"INSERT INTO hg_gone SELECT {names(load.keys, 'o')} FROM {_NEAR} AS o WHERE NOT {there}")
        deleted += int(session.value(f"SELECT count(*) FROM {_NEAR} AS o WHERE NOT {there}"))
    updated = int(session.value("SELECT count(*) FROM hg_matched WHERE hg_stays AND hg_goes"))
    unchanged = int(session.value("SELECT count(*) FROM hg_matched WHERE hg_stays AND NOT hg_goes"))
    staying = int(session.value(f"SELECT count(*) FROM {STAGED} AS s WHERE {sides.stays}"))
    first = quote_name(load.keys[0])
    fresh = (
        f"SELECT {_listed(columns, sides.columns, 's', 'm')} FROM {STAGED} AS s LEFT JOIN hg_matched AS m"
        f" ON {same(load.keys, 'm', 's')} WHERE {sides.stays} AND (m.{first} IS NULL OR m.hg_goes)"
    )
    gone = _exists("hg_gone", load.keys)
    counts = Counts(staying - updated - unchanged, updated, deleted, unchanged)
    return Rewrite(counts, gone, fresh, _affected(session, gone))


def _scd2(load: Load, sides: Sides, columns: Sequence[str], session: _Session) -> Rewrite:
    assert load.history is not None
    versions = histories.Versions(sides, load.history, "hg_matched", "hg_changed")
    session.execute(f"CREATE TEMP TABLE hg_matched AS {histories.matches(versions)}")
    unchanged = int(session.value("SELECT count(*) FROM hg_matched WHERE hg_kind = 'none'"))
    session.execute(f"CREATE TEMP TABLE hg_changed AS {histories.timeline(versions)}")
    unchanged += int(session.value(histories.unchanged_hard(versions)))
    listed = names(sides.columns)
    parts = [f"SELECT {listed}, hg_do AS hg_why FROM hg_changed WHERE hg_do <> 'n'"]
    parts.append(f"SELECT {listed}, 'i' FROM ({histories.fresh(versions)})")
    parts += [_closings(versions, load, kind) for kind in ("change", "close", "missing")]
    session.execute(f"CREATE TEMP TABLE hg_todo AS {' UNION ALL '.join(parts)}")
    identity = (*load.keys, load.history.valid_from)
    absorbed = histories.absorbed(versions)
    session.execute(
        f"CREATE TEMP TABLE hg_gone AS SELECT {names(identity)} FROM hg_todo WHERE hg_why <> 'i'"
        f" UNION ALL SELECT {names(identity, 't')} FROM {_NEAR} AS t WHERE {absorbed}"
    )
    why = dict(session.connection.execute("SELECT hg_why, count(*) FROM hg_todo GROUP BY ALL").fetchall())
    updated = int(why.get("u", 0)) + int(why.get("change", 0))
    closed = int(why.get("close", 0)) + int(why.get("missing", 0))
    gone = _exists("hg_gone", identity)
    affected = _affected(session, gone)
    deleted = sum(affected.values()) - updated - closed
    fresh = f"SELECT {_listed(columns, sides.columns, 'd', 'o')} FROM hg_todo AS d"
    if len(columns) > len(sides.columns):
        fresh += f" LEFT JOIN {_NEAR} AS o ON {same(identity, 'o', 'd')}"
    counts = Counts(int(why.get("i", 0)), updated, deleted + closed, unchanged)
    return _History(counts, gone, fresh, affected, closed)


@dataclass(frozen=True)
class _History(Rewrite):
    """Closed versions count as deleted, and stay."""

    closed: int = 0

    @property
    def growth(self) -> int:
        return super().growth + self.closed


def _closings(versions: histories.Versions, load: Load, kind: str) -> str:
    """Last versions as they are once they end."""
    assert load.history is not None
    history, sides = load.history, versions.sides
    since, current = quote_name(history.valid_from), quote_name(history.is_current)
    if kind == "missing":
        if not load.delete_missing or load.moment is None:
            return f"SELECT {names(sides.columns)}, 'missing' FROM {_NEAR} WHERE FALSE"
        until = literal(load.moment.as_py())
        source = (
            f"{_NEAR} AS h WHERE h.{current} AND h.{since} < {until}"
            f" AND NOT EXISTS (SELECT 1 FROM {STAGED} AS s WHERE {same(sides.keys, 's', 'h')})"
        )
    else:
        until = "m.hg_at"
        source = (
            f"{_NEAR} AS h JOIN hg_matched AS m ON {same(sides.keys, 'm', 'h')}"
            f" WHERE h.{current} AND m.hg_kind = '{kind}'"
        )
    values = ", ".join(
        until if name == history.valid_to else "FALSE" if name == history.is_current else f"h.{quote_name(name)}"
        for name in sides.columns
    )
    return f"SELECT {values}, '{kind}' FROM {source}"
