"""Mode scd2 as SQL over two relations: staged rows ``s`` and the table of versions ``h``.

Staged rows come with valid_from, the open end in valid_to, true and 1. What becomes of each key is decided first
(:func:`matches`): most are new, unchanged, or changed later than all that is known of them, and need one row closed and
one inserted. The others (several versions at once, late arrivals, corrections) have their history worked out
anew (:func:`timeline`), and only what differs from the present one is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headgate.core.contracts import History
from headgate.sql.literals import quote_name
from headgate.sql.merges import Sides, names, same, taken


@dataclass(frozen=True)
class Versions:
    """A merge of versions.

    Args:
        sides: ``columns`` hold those of ``history``, ``keys`` the business key.
        history: the names of the columns of versions, and what is tracked.
        matched: a work table's name, quoted: what becomes of each staged key.
        changed: another: the rows to write of keys whose history is worked out anew.
    """

    sides: Sides
    history: History
    matched: str
    changed: str

    @property
    def plain(self) -> tuple[str, ...]:
        """The columns that say something of the thing itself, its keys included."""
        return tuple(name for name in self.sides.columns if name not in self.history.columns)

    def _history(self) -> tuple[str, str, str, str]:
        since, until, current, version = (quote_name(name) for name in self.history.columns)
        return since, until, current, version


def matches(versions: Versions) -> str:
    """What becomes of each staged key: new, change, close, none, or hard (to be worked out)."""
    sides, (since, until, current, version) = versions.sides, versions._history()
    marked = f"max({sides.mark})" if sides.marker else "0"
    holds = sides.dialect.holds(f"h.{current}")
    equal = f"{holds} AND NOT ({sides.differs(versions.history.track, 'h', 's')})"
    known = (
        f"SELECT {names(sides.keys, 's')}, min(s.{since}) AS hg_at, max(s.{since}) AS hg_last,"
        f" min(h.{version}) AS hg_low, max(h.{version}) AS hg_high, max(h.{since}) AS hg_since,"
        f" max(h.{until}) AS hg_until, max(CASE WHEN {holds} THEN 1 ELSE 0 END) AS hg_current,"
        f" max(CASE WHEN {equal} THEN 1 ELSE 0 END) AS hg_same, {marked} AS hg_marked"
        f" FROM {sides.source} AS s LEFT JOIN {sides.target} AS h{sides.dialect.hold} ON {same(sides.keys, 'h', 's')}"
        f" GROUP BY {names(sides.keys, 's')}"
    )
    kind = (
        "CASE WHEN hg_at <> hg_last OR (hg_current = 0 AND hg_until >= hg_at)"
        " OR hg_since > hg_at OR (hg_since = hg_at AND (hg_same = 0 OR hg_marked = 1)) THEN 'hard'"
        " WHEN hg_marked = 1 THEN CASE WHEN hg_current = 1 THEN 'close' ELSE 'none' END"
        " WHEN hg_current = 0 THEN 'new' WHEN hg_same = 1 THEN 'none' ELSE 'change' END"
    )
    return f"SELECT {names(sides.keys)}, hg_at, hg_low, hg_high, {kind} AS hg_kind FROM ({known}) AS k"


def close(versions: Versions, kind: str) -> str:
    """End the last versions of keys of one kind."""
    sides, history = versions.sides, versions.history
    holds = sides.dialect.holds(f"t.{quote_name(history.is_current)}")
    where = f"{same(sides.keys, 't', 'm')} AND {holds} AND m.hg_kind = '{kind}'"
    changes = {history.valid_to: "m.hg_at", history.is_current: sides.dialect.false}
    return sides.dialect.update(sides.target, changes, where, f"{versions.matched} AS m")


def close_missing(versions: Versions, moment: str) -> str:
    """End the last versions of keys that are not staged; ``moment`` is a literal."""
    sides, history = versions.sides, versions.history
    where = (
        f"{sides.dialect.holds(f't.{quote_name(history.is_current)}')}"
        f" AND t.{quote_name(history.valid_from)} < {moment}"
        f" AND NOT EXISTS (SELECT 1 FROM {sides.source} AS s WHERE {same(sides.keys, 's', 't')})"
    )
    changes = {history.valid_to: moment, history.is_current: sides.dialect.false}
    return sides.dialect.update(sides.target, changes, where)


def fresh(versions: Versions) -> str:
    """The versions of new and changed keys."""
    sides, history = versions.sides, versions.history
    others = tuple(name for name in sides.columns if name != history.version)
    return (
        f"SELECT {names(others, 's')}, coalesce(m.hg_high, 0) + 1 AS {quote_name(history.version)}"
        f" FROM {sides.source} AS s JOIN {versions.matched} AS m ON {same(sides.keys, 'm', 's')}"
        " WHERE m.hg_kind IN ('new', 'change')"
    )


def insert_fresh(versions: Versions) -> str:
    sides, history = versions.sides, versions.history
    columns = (*(name for name in sides.columns if name != history.version), history.version)
    return f"INSERT INTO {sides.target} ({names(columns)}) {fresh(versions)}"


# ------------------------------------------------------------------------------------------ worked out anew


def timeline(versions: Versions) -> str:
    """The whole history of the hard keys as it must be, each row with what is to be done: i(nsert), u(pdate), n(one).

    hg_staged is 1 for a row that says what was staged, 0 for a version that was there before.

    A version, the end of a version that none follows, and a staged row are events. Equal events in a row are a group
    that begins with its first; of the others only versions stay that were there before, if the first was, too.
    """
    sides, (since, until, current, version) = versions.sides, versions._history()
    keys, tracked = names(sides.keys), versions.history.track
    by_time = f"PARTITION BY {keys} ORDER BY hg_at"
    before = "".join(f", lag({quote_name(name)}) OVER ({by_time}) AS hg_was{n}" for n, name in enumerate(tracked))
    likened = " AND ".join(
        sides.dialect.equal(f"e.{quote_name(name)}", f"e.hg_was{n}", text=name in sides.texts)
        for n, name in enumerate(tracked)
    )
    alike = f"hg_gone = hg_went AND (hg_gone = 1 OR ({likened or sides.dialect.yes}))"
    plain = [name for name in versions.plain if name != versions.history.valid_from]
    open_end = f"(SELECT max({until}) FROM {sides.source} AS o)"
    ends = sides.dialect.truth("hg_next IS NULL")
    rows = (
        f"SELECT {names(plain)}, hg_at AS {since}, coalesce(hg_next, {open_end}) AS {until},"
        f" {ends} AS {current}, hg_base + hg_number AS {version}, hg_staged FROM placed WHERE hg_gone = 0"
    )
    own = (versions.history.valid_to, versions.history.is_current, versions.history.version)
    changed = f"{sides.differs(own, 'h', 'r')} OR r.hg_staged = 1"
    listed = names([*plain, *versions.history.columns], "r")
    return (
        f"WITH events AS ({_events(versions)}),"
        f" lagged AS (SELECT v.*, lag(hg_gone) OVER ({by_time}) AS hg_went{before} FROM events AS v),"
        f" compared AS (SELECT e.*, CASE WHEN {alike} THEN 0 ELSE 1 END AS hg_starts FROM lagged AS e),"
        f" grouped AS (SELECT c.*, sum(hg_starts) OVER ({by_time} ROWS UNBOUNDED PRECEDING) AS hg_group"
        " FROM compared AS c),"
        f" ranked AS (SELECT g.*, row_number() OVER (PARTITION BY {keys}, hg_group ORDER BY hg_at) AS hg_rank,"
        f" first_value(hg_staged) OVER (PARTITION BY {keys}, hg_group ORDER BY hg_at) AS hg_led FROM grouped AS g),"
        f" placed AS (SELECT k.*, lead(hg_at) OVER ({by_time}) AS hg_next,"
        f" sum(1 - hg_gone) OVER ({by_time} ROWS UNBOUNDED PRECEDING) AS hg_number"
        " FROM ranked AS k WHERE hg_rank = 1 OR (hg_staged = 0 AND hg_led = 0)),"
        f" made AS ({rows})"
        f" SELECT {listed}, CASE WHEN h.{since} IS NULL THEN 'i' WHEN {changed} THEN 'u' ELSE 'n' END AS hg_do,"
        f" r.hg_staged FROM made AS r LEFT JOIN {sides.target} AS h"
        f" ON {same(sides.keys, 'h', 'r')} AND h.{since} = r.{since}"
    )


def _events(versions: Versions) -> str:
    """What is known of the hard keys, and what is staged; of two at one time the staged one, if it says other."""
    sides, (since, until, current, _) = versions.sides, versions._history()
    plain = [name for name in versions.plain if name != versions.history.valid_from]
    hard = f"JOIN {versions.matched} AS m ON m.hg_kind = 'hard' AND "
    mark, holds = sides.mark, sides.dialect.holds(f"h.{current}")
    equal = f"s.{since} = h.{since} AND {mark} = 0 AND NOT ({sides.differs(versions.history.track, 'h', 's')})"
    on_key = same(sides.keys, "s", "h")
    staged_there = f"SELECT 1 FROM {sides.source} AS s WHERE {on_key} AND s.{since} = h."
    base = "coalesce(m.hg_low, 1) - 1 AS hg_base"
    ends = ", ".join(f"h.{quote_name(name)}" if name in sides.keys else f"NULL AS {quote_name(name)}" for name in plain)
    return (
        f"SELECT {names(plain, 'h')}, h.{since} AS hg_at, 0 AS hg_staged, 0 AS hg_gone, {base}"
        f" FROM {sides.target} AS h {hard}{same(sides.keys, 'm', 'h')}"
        f" WHERE NOT EXISTS ({staged_there}{since} AND NOT ({equal}))"
        f" UNION ALL SELECT {ends}, h.{until}, 0, 1, {base}"
        f" FROM {sides.target} AS h {hard}{same(sides.keys, 'm', 'h')} WHERE NOT ({holds})"
        f" AND NOT EXISTS (SELECT 1 FROM {sides.target} AS n WHERE {same(sides.keys, 'n', 'h')}"
        f" AND n.{since} = h.{until})"
        f" AND NOT EXISTS ({staged_there}{until})"
        f" UNION ALL SELECT {names(plain, 's')}, s.{since}, 1, {mark}, {base}"
        f" FROM {sides.source} AS s {hard}{same(sides.keys, 'm', 's')}"
        f" WHERE NOT EXISTS (SELECT 1 FROM {sides.target} AS h WHERE {on_key} AND {equal})"
    )


def delete_absorbed(versions: Versions) -> str:
    """Versions of hard keys that the new history no longer has."""
    return versions.sides.dialect.delete(versions.sides.target, absorbed(versions))


def absorbed(versions: Versions) -> str:
    """The condition that a version ``t`` of a hard key is in the new history no more."""
    since = quote_name(versions.history.valid_from)
    sides = versions.sides
    return (
        f"EXISTS (SELECT 1 FROM {versions.matched} AS m"
        f" WHERE m.hg_kind = 'hard' AND {same(sides.keys, 'm', 't')})"
        f" AND NOT EXISTS (SELECT 1 FROM {versions.changed} AS c WHERE {same(sides.keys, 'c', 't')}"
        f" AND c.{since} = t.{since})"
    )


def update_changed(versions: Versions) -> str:
    """Versions of hard keys that are adjusted."""
    sides, history = versions.sides, versions.history
    set_: Sequence[str] = [name for name in sides.columns if name not in (*sides.keys, history.valid_from)]
    since = quote_name(history.valid_from)
    where = f"{same(sides.keys, 't', 'c')} AND t.{since} = c.{since} AND c.hg_do = 'u'"
    return sides.dialect.update(sides.target, taken(set_, "c"), where, f"{versions.changed} AS c")


def insert_changed(versions: Versions) -> str:
    """Versions of hard keys that are new."""
    listed = names(versions.sides.columns)
    return f"INSERT INTO {versions.sides.target} ({listed}) SELECT {listed} FROM {versions.changed} WHERE hg_do = 'i'"


def unchanged_hard(versions: Versions) -> str:
    """Staged rows of hard keys for which nothing is to be written."""
    sides, since = versions.sides, quote_name(versions.history.valid_from)
    on_key = same(sides.keys, "c", "s")
    gone = (
        f"SELECT 1 FROM {sides.target} AS h WHERE {same(sides.keys, 'h', 's')} AND NOT EXISTS (SELECT 1 FROM"
        f" {versions.changed} AS c WHERE {same(sides.keys, 'c', 'h')} AND c.{since} = h.{since})"
    )
    return (
        f"SELECT count(*) FROM {sides.source} AS s JOIN {versions.matched} AS m ON m.hg_kind = 'hard'"
        f" AND {same(sides.keys, 'm', 's')} WHERE NOT EXISTS (SELECT 1 FROM {versions.changed} AS c"
        f" WHERE {on_key} AND c.hg_do <> 'n') AND NOT EXISTS ({gone})"
    )
