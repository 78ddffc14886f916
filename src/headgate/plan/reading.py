"""Which columns of a source a plan needs: those that no step looks at before they are left behind are not read.

Where groups are made, columns mapped or chosen by SQL, the others end. Before that rows are handed on whole, so such
columns stand in the passes as themselves and nothing else; they are taken out there too. Rows that may be held back
are kept as they were, and need all their columns.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

import sqlglot
from sqlglot import exp

from headgate.core.engines import Column
from headgate.core.errors import HeadgateError
from headgate.core.models import ReadOptions
from headgate.plan.passes import DIALECT
from headgate.plan.stages import Audit, Check, Keep, Scan, Stage, Transform, Write

Bind = Callable[[exp.Expr, str, Sequence[Column]], tuple[Column, ...]]


def narrowed_scan(stages: Sequence[Stage], audit: Audit, read: ReadOptions, bind: Bind) -> tuple[Stage, ...]:
    """The stages, whose first scan and passes leave out the columns that nothing looks at.

    Args:
        audit: what looks at whole relations.
        read: what is read; of a database's table or query all columns, if no others are chosen.
        bind: finds out whether a pass still gives what it gave.
    """
    scan = stages[0]
    assert isinstance(scan, Scan), "a plan begins with what it reads"
    whole = read.mode in ("full", "incremental") and read.columns is None and bool(read.table or read.query)
    chain = _until_left(scan, stages, audit) if whole else []
    if not chain:
        return tuple(stages)
    queries = [sqlglot.parse_one(each.sql or "", read=DIALECT) for each in chain]
    cursor = read.incremental
    kept = (cursor.column, *(cursor.key or ())) if cursor else ()
    named = {name.lower() for name in kept}.union(*(_looked_at(query) for query in queries))
    if chain[-1].counted != "groups":
        named |= {item.name.lower() for item in chain[-1].columns}
    idle = {item.name.lower() for item in scan.columns} - named
    if len(idle) == len(scan.columns):
        idle.discard(scan.columns[0].name.lower())  # rows are counted by something
    if not idle or any(_looks_at_all(query) for query in queries):
        return tuple(stages)
    try:
        changed = _without(scan, chain, queries, idle, bind)
    except HeadgateError:
        return tuple(stages)
    return tuple(_rewritten(stage, changed, idle) for stage in stages) if changed else tuple(stages)


def _until_left(scan: Scan, stages: Sequence[Stage], audit: Audit) -> list[Transform]:
    """The passes from the scan to the first that leaves columns behind: that makes groups, or whose rows go elsewhere.

    None if rows of a pass may be held back, or somebody else wants those of the source.
    """
    chain: list[Transform] = []
    reads, asked = scan.relation, set(_asked(stages, audit))
    while not chain or (chain[-1].counted == "rows" and reads not in asked):
        found = [stage for stage in stages if isinstance(stage, Transform) and stage.reads == reads]
        if len(found) != 1 or not found[0].sql or found[0].verdict.holds:
            return []
        if any(flag.held for flag in found[0].verdict.notes) or scan.relation in found[0].sides:
            return []
        chain.append(found[0])
        reads = found[0].relation
    return chain


def _asked(stages: Sequence[Stage], audit: Audit) -> Iterator[str]:
    """Relations whose rows go somewhere else than into the next pass."""
    for stage in stages:
        if isinstance(stage, Write) or (isinstance(stage, Check) and stage.rules):
            yield stage.relation
        if isinstance(stage, Transform):
            yield from stage.sides
    yield from (check.spool for check in audit.sets)
    yield from (check.spool for check in audit.measures)
    yield from (check.spool for check in audit.counts)
    yield from (check.spool for check in audit.calls)


def _looked_at(query: exp.Expr) -> set[str]:
    """Names that do more in a query than being handed on."""
    handed = {id(item) for select in query.find_all(exp.Select) for item in select.expressions if _handed(item)}
    return {
        column.name.lower()
        for column in query.find_all(exp.Column)
        if id(column) not in handed and id(column.parent) not in handed
    }


def _looks_at_all(query: exp.Expr) -> bool:
    """Whether a query has a word for all columns, whatever they are, or one for a column by its place."""
    for clause in (*query.find_all(exp.Group), *query.find_all(exp.Order)):
        items = _by(clause)
        placed = any(isinstance(item, exp.Literal) for item in items)
        if placed or clause.args.get("all") or any(item.name.lower() == "all" for item in items):
            return True
    tables = {each.alias_or_name.lower() for each in query.find_all(exp.Table)}
    rows = any(column.name.lower() in tables for column in query.find_all(exp.Column))
    stars = (star for star in query.find_all(exp.Star) if isinstance(star.parent, exp.Select | exp.Column))
    distinct = (select for select in query.find_all(exp.Select) if select.args.get("distinct"))
    natural = (join for join in query.find_all(exp.Join) if join.args.get("method"))
    sets = query.find(exp.Pivot, exp.SetOperation)
    return rows or sets is not None or any(True for _ in (*stars, *distinct, *natural))


def _by(clause: exp.Expr) -> list[exp.Expr]:
    """What a clause groups or sorts by."""
    return [item.this if isinstance(item, exp.Ordered) else item for item in clause.expressions]


def _handed(item: exp.Expr) -> bool:
    """Whether a column of a SELECT is one of the relation before, under its own name."""
    inner = item.this if isinstance(item, exp.Alias) else item
    return isinstance(inner, exp.Column) and item.alias_or_name == inner.name


def _without(
    scan: Scan, chain: Sequence[Transform], queries: Sequence[exp.Expr], idle: Collection[str], bind: Bind
) -> dict[str, Transform]:
    """The passes without idle columns; {} if one would give anything else than before."""
    columns = tuple(item for item in scan.columns if item.name.lower() not in idle)
    changed: dict[str, Transform] = {}
    for each, query in zip(chain, queries, strict=True):
        for select in query.find_all(exp.Select):
            left = [item for item in select.expressions if not (_handed(item) and item.alias_or_name.lower() in idle)]
            select.set("expressions", left)
        given = tuple(item for item in each.columns if each is chain[-1] or item.name.lower() not in idle)
        if bind(query, each.reads, columns)[: len(given)] != given:
            return {}
        changed[each.relation] = replace(each, columns=given, sql=query.sql(DIALECT, pretty=True))
        columns = given
    return changed


def _rewritten(stage: Stage, changed: dict[str, Transform], idle: Collection[str]) -> Stage:
    match stage:
        case Transform() if stage.relation in changed:
            return changed[stage.relation]
        case Keep() if stage.relation in changed and changed[stage.relation].counted != "groups":
            return replace(stage, columns=tuple(name for name in stage.columns if name.lower() not in idle))
        case Scan() if any(each.reads == stage.relation for each in changed.values()):
            return replace(stage, reads=tuple(item.name for item in stage.columns if item.name.lower() not in idle))
        case _:
            return stage
