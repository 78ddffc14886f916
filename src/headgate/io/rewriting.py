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
from headgate.sql.literals import literal, quote_name, quote_text
from headgate.sql.merges import Sides, differs, names, same

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

KEPT, STAGED, FILE, ROW = "hg_kept", "hg_staged", "hg_file", "hg_row"
"""Relations that the store gives: the table's rows with all its columns, the path of their file and their number in it,
from 0 on (NULL if the store cannot change rows where they are); and the load's rows."""

_NEAR = "hg_near"
"""The table's rows that a load by keys may touch."""


@dataclass(frozen=True)
class Amended:
    """Rows that only get other values in few columns: they go and come, or a file of them is changed where it is.

    Args:
        columns: those few.
        places: a relation of :data:`FILE`, :data:`ROW` and the columns.
        rows: a query of the rows as they come, with the table's columns; in it ``e`` are the places, WHERE is last.
        files: path of each file of whose rows no others go, and how many are amended.
    """

    columns: tuple[str, ...]
    places: str
    rows: str
    files: dict[str, int]

    def of(self, path: str) -> str:
        """A query of the rows of one file: their numbers, then what is in the columns now."""
        return f"SELECT {names((ROW, *self.columns))} FROM {self.places} WHERE {FILE} = {quote_text(path)}"

    def besides(self, paths: Collection[str]) -> str:
        """The rows of all files but these, as they come."""
        listed = "".join(f", {quote_text(path)}" for path in paths)
        return f"{self.rows} AND e.{FILE} NOT IN (''{listed})"


@dataclass(frozen=True)
class Rewrite:
    """What a load does to files.

    Args:
        counts: of rows.
        gone: a condition on rows ``o`` of the table: they go.
        fresh: a query of the rows that come, with the table's columns.
        affected: path of each file that holds rows that go, and how many.
        closed: rows that are counted as deleted, and stay.
        amended: rows that go and come, and are not in ``fresh``.
    """

    counts: Counts
    gone: str
    fresh: str
    affected: dict[str, int]
    closed: int = 0
    amended: Amended | None = None

    @property
    def growth(self) -> int:
        """By how many rows the table grows."""
        return self.counts.inserted - self.counts.deleted + self.closed

    def coming(self, in_place: Collection[str] = ()) -> str:
        """A query of all rows that come, but those that are amended in files ``in_place``."""
        return f"{self.fresh} UNION ALL {self.amended.besides(in_place)}" if self.amended else self.fresh


@dataclass(frozen=True)
class _Session:
    connection: duckdb.DuckDBPyConnection

    def execute(self, statement: str) -> int:
        rows = self.connection.execute(statement).fetchall()  # to its end: a statement may stop when nobody asks on
        return int(rows[0][0]) if rows else 0

    def value(self, statement: str) -> Any:
        return self.connection.execute(statement).fetchall()[0][0]

    def counted(self, statement: str) -> dict[str, int]:
        """What a query of texts and numbers gives."""
        return {str(what): int(number) for what, number in self.connection.execute(statement).fetchall()}


def give(
    connection: duckdb.DuckDBPyConnection,
    load: Load,
    columns: pa.Schema,
    kept: str | None,
    there: Collection[str],
    staged: str | None,
) -> None:
    """Define the two relations.

    Args:
        columns: the table's.
        kept: a FROM clause of the table's rows, with their file's path in :data:`FILE`; None if there are none.
        staged: one of the load's rows; None if there are none.
        there: the columns that some file of the table has; the others are NULL.
    """
    import pyarrow as pa

    placed = columns.append(pa.field(FILE, pa.string())).append(pa.field(ROW, pa.int64()))
    if kept is not None and ROW not in there:
        kept = f"(SELECT *, NULL::BIGINT AS {ROW} FROM {kept})"
    for name, schema, found, known in (
        (KEPT, placed, kept, {*there, FILE, ROW}),
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
    return session.counted(f"SELECT o.{FILE}, count(*) FROM {among} AS o WHERE {gone} GROUP BY ALL")


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
    kinds = session.counted("SELECT hg_kind, count(*) FROM hg_matched GROUP BY ALL")
    unchanged, inserted = kinds.get("none", 0), kinds.get("new", 0) + kinds.get("change", 0)
    identity = names((*load.keys, load.history.valid_from))
    amended = [_closed(versions)]
    replaced = f"SELECT {identity}, {FILE}, '' AS hg_why FROM {_NEAR} LIMIT 0"
    fresh = [f"SELECT {_listed(columns, sides.columns, 'd')} FROM ({histories.fresh(versions)}) AS d"]
    if hard := "hard" in kinds:
        session.execute(f"CREATE TEMP TABLE hg_changed AS {histories.timeline(versions)}")
        unchanged += int(session.value(histories.unchanged_hard(versions)))
        inserted += int(session.value("SELECT count(*) FROM hg_changed WHERE hg_do = 'i'"))
        amended.append(_adjusted(versions))
        replaced = _replaced(versions)
        fresh.append(_worked_out(versions, columns))
    if load.delete_missing and load.moment is not None:
        amended.append(_missing(versions, literal(load.moment.as_py())))
    if len(columns) > len(sides.columns):
        fresh.append(f"SELECT {names(columns)} FROM {KEPT}_none")  # so that NULLs have a type
    session.execute(f"CREATE TEMP TABLE hg_amended AS {' UNION ALL '.join(amended)}")
    session.execute(f"CREATE TEMP TABLE hg_replaced AS {replaced}")
    gone = "SELECT {0} FROM hg_amended UNION ALL SELECT {0} FROM hg_replaced"
    session.execute(f"CREATE TEMP VIEW hg_gone AS {gone.format(identity)}")
    why = session.counted(f"SELECT hg_why, count(*) FROM ({gone.format('hg_why')}) GROUP BY ALL")
    closed = why.get("close", 0) + why.get("missing", 0)
    updated, absorbed = why.get("u", 0) + why.get("change", 0), why.get("absorbed", 0)
    others = session.counted(f"SELECT {FILE}, count(*) FROM hg_replaced GROUP BY ALL")
    few = session.counted(f"SELECT {FILE}, count(*) FROM hg_amended GROUP BY ALL")
    return Rewrite(
        Counts(inserted, updated, closed + absorbed, unchanged),
        _exists("hg_gone", (*load.keys, load.history.valid_from)),
        " UNION ALL ".join(fresh),
        {path: few.get(path, 0) + others.get(path, 0) for path in few.keys() | others.keys()},
        closed,
        _amended(versions, columns, {path: few[path] for path in few.keys() - others.keys()}, hard=hard),
    )


def _amended(versions: histories.Versions, columns: Sequence[str], files: dict[str, int], *, hard: bool) -> Amended:
    history, keys = versions.history, versions.sides.keys
    few = (history.valid_to, history.is_current, history.version)
    listed = ", ".join(f"{'e' if name in few else 'o'}.{quote_name(name)}" for name in columns)
    rows = f"SELECT {listed} FROM {_NEAR} AS o JOIN hg_amended AS e ON {same((*keys, history.valid_from), 'o', 'e')}"
    return Amended(few if hard else few[:2], "hg_amended", f"{rows} WHERE TRUE", files)


def _amending(versions: histories.Versions, until: str, current: str, version: str, why: str) -> str:
    """The columns of a version ``h`` that is amended: which it is, where it is, what it has now."""
    history, sides = versions.history, versions.sides
    return (
        f"SELECT {names((*sides.keys, history.valid_from), 'h')}, h.{FILE}, h.{ROW},"
        f" {until} AS {quote_name(history.valid_to)}, {current} AS {quote_name(history.is_current)},"
        f" {version} AS {quote_name(history.version)}, {why} AS hg_why FROM {_NEAR} AS h"
    )


def _closed(versions: histories.Versions) -> str:
    """Last versions as they are once they end."""
    history, sides = versions.history, versions.sides
    return (
        f"{_amending(versions, 'm.hg_at', 'FALSE', f'h.{quote_name(history.version)}', 'm.hg_kind')}"
        f" JOIN hg_matched AS m ON {same(sides.keys, 'm', 'h')}"
        f" WHERE h.{quote_name(history.is_current)} AND m.hg_kind IN ('change', 'close')"
    )


def _missing(versions: histories.Versions, moment: str) -> str:
    """Last versions of keys that are not staged, as they are once they end; ``moment`` is a literal."""
    history, sides = versions.history, versions.sides
    return (
        f"{_amending(versions, moment, 'FALSE', f'h.{quote_name(history.version)}', literal('missing'))}"
        f" WHERE h.{quote_name(history.is_current)} AND h.{quote_name(history.valid_from)} < {moment}"
        f" AND NOT EXISTS (SELECT 1 FROM {STAGED} AS s WHERE {same(sides.keys, 's', 'h')})"
    )


def _on_changed(versions: histories.Versions, side: str) -> str:
    identity = (*versions.sides.keys, versions.history.valid_from)
    return f"{versions.changed} AS c ON {same(identity, 'c', side)}"


def _adjusted(versions: histories.Versions) -> str:
    """Versions of hard keys that say what they said, for another time or under another number."""
    history = versions.history
    until, current, version = (
        f"c.{quote_name(name)}" for name in (history.valid_to, history.is_current, history.version)
    )
    return (
        f"{_amending(versions, until, current, version, 'c.hg_do')} JOIN {_on_changed(versions, 'h')}"
        " WHERE c.hg_do = 'u' AND c.hg_staged = 0"
    )


def _replaced(versions: histories.Versions) -> str:
    """Versions of hard keys that are corrected, or that the new history no longer has."""
    identity = names((*versions.sides.keys, versions.history.valid_from), "t")
    return (
        f"SELECT {identity}, t.{FILE}, c.hg_do AS hg_why FROM {_NEAR} AS t JOIN {_on_changed(versions, 't')}"
        f" WHERE c.hg_do = 'u' AND c.hg_staged = 1"
        f" UNION ALL SELECT {identity}, t.{FILE}, 'absorbed' FROM {_NEAR} AS t WHERE {histories.absorbed(versions)}"
    )


def _worked_out(versions: histories.Versions, columns: Sequence[str]) -> str:
    """Versions of hard keys that are new or corrected; of what the load knows nothing, these keep what is there."""
    ours = versions.sides.columns
    rows = f"SELECT {_listed(columns, ours, 'c', 'o')} FROM {versions.changed} AS c"
    if len(columns) > len(ours):
        identity = (*versions.sides.keys, versions.history.valid_from)
        rows += f" LEFT JOIN {_NEAR} AS o ON {same(identity, 'o', 'c')}"
    return f"{rows} WHERE c.hg_do = 'i' OR (c.hg_do = 'u' AND c.hg_staged = 1)"
