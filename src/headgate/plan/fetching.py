"""Groups that the source's server makes for a target of any kind: they come in place of the rows.

The passes up to the groups are left out then, and the one that makes them starts from what came. What it does with the
groups afterwards, and all that follows, is the engine's work as ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlglot
from sqlglot import exp

from headgate.core.engines import Column
from headgate.core.sites import Site
from headgate.plan.checks import CallCheck, CountCheck, MeasureCheck, SetCheck
from headgate.plan.flags import GROUP
from headgate.plan.passes import DIALECT, Bind
from headgate.plan.stages import Audit, Check, Fetch, Keep, Scan, Stage, Transform, Write
from headgate.plan.trail import Step, Trail
from headgate.plan.translation import Translation
from headgate.plan.trees import named, table
from headgate.sql.postgres import BYTEWISE, Untranslatable
from headgate.sql.shapes import Reshape, column

FETCHED = "_hg_fetched"
"""What the engine calls the groups that came."""


def fetch(stages: Sequence[Stage], audit: Audit, trails: Mapping[str, Trail], site: Site, bind: Bind) -> Fetch:
    """What is asked of the source. Raises Untranslatable with what is the engine's work.

    Args:
        stages: scans and passes of the plan.
        audit: its last checks.
        trails: how each pass came about, by relation.
        site: where the source is.
        bind: gives the types of a SELECT over one relation.
    """
    scan, before, groups = _chain(stages, audit)
    if site.obstacle or not site.dialect:
        raise Untranslatable(site.obstacle or "the source is not a server that makes groups")
    refuse_closed(scan, site)
    first = trails[before.relation].steps if before is not None else ()
    steps = [*first, *trails[groups.relation].steps]
    at = next(number for number, step in enumerate(steps, 1) if isinstance(step.shape, Reshape))
    last = _after(steps, at, groups)
    found = Translation(scan, steps[:at], last, bind)
    refuse_order(found, site)
    assert found.groups is not None, "the last step makes them"
    types = {item.name: item.type for item in last}
    return Fetch(
        groups.relation,
        scan.relation,
        before.relation if before is not None else "",
        tuple((name, sql, types[name]) for name, sql in found.columns()),
        tuple(found.where),
        found.groups.keys,
        _over_fetched(groups, last),
        found.proofs(),
    )


def refuse_closed(scan: Scan, site: Site) -> None:
    """Raise Untranslatable if a column is read whose values only the engine converts."""
    read = scan.reads or tuple(item.name for item in scan.columns)
    closed = [name for name in read if name not in site.columns]
    if closed:
        raise Untranslatable(f'column "{closed[0]}" of the source is of a type that only the engine converts')


def refuse_order(found: Translation, site: Site) -> None:
    """Raise Untranslatable if texts are compared by bytes that are in another order than the engine's."""
    groups = found.groups.keys if found.groups is not None else ()
    asked = (*found.where, *found.proofs(), *groups, *(sql for _, sql in found.columns()))
    if site.encoding and any(BYTEWISE in sql for sql in asked):
        raise Untranslatable(f"the source's texts are in the order of {site.encoding}")


def _chain(stages: Sequence[Stage], audit: Audit) -> tuple[Scan, Transform | None, Transform]:
    """The scan, the pass over single rows (if there is one), and the pass that makes groups of them."""
    scans = [stage for stage in stages if isinstance(stage, Scan)]
    if len(scans) != 1 or scans[0].source != 0:
        raise Untranslatable("more than one relation is read" if len(scans) > 1 else "held rows are replayed")
    first = _reader(stages, scans[0].relation)
    if first.counted == "groups":
        before, groups = None, first
    elif first.counted == "rows":
        before, groups = first, _reader(stages, first.relation)
    else:
        raise Untranslatable("a step over sets of rows is the engine's work")
    if groups.counted != "groups" or groups.sides:
        raise Untranslatable("a step over sets of rows is the engine's work")
    if before is not None:
        checks: tuple[SetCheck | MeasureCheck | CountCheck | CallCheck, ...]
        checks = (*audit.sets, *audit.measures, *audit.counts, *audit.calls)
        ruled = any(stage.rules for stage in stages if isinstance(stage, Check) and stage.relation == before.relation)
        kept = [stage.spool for stage in stages if isinstance(stage, Keep) and stage.relation == before.relation]
        written = any(isinstance(stage, Write) and stage.relation == before.relation for stage in stages)
        if ruled or written or kept != [before.relation] or any(check.spool in kept for check in checks):
            raise Untranslatable("a rule looks at the single rows, before groups are made of them")
    check = next(stage for stage in stages if isinstance(stage, Check) and stage.relation == groups.relation)
    if any(rule.gate == "extract" for rule in check.rules):
        raise Untranslatable("a rule stands at the gate of extraction")
    return scans[0], before, groups


def _reader(stages: Sequence[Stage], relation: str) -> Transform:
    readers = [stage for stage in stages if isinstance(stage, Transform) and relation in (stage.reads, *stage.sides)]
    if len(readers) != 1 or readers[0].call is not None:
        raise Untranslatable("the single rows are looked at more than once")
    return readers[0]


def _after(steps: Sequence[Step], at: int, groups: Transform) -> tuple[Column, ...]:
    return steps[at].columns if at < len(steps) else groups.columns


def _over_fetched(groups: Transform, columns: Sequence[Column]) -> str:
    """The SQL of the pass from the groups on."""
    query = sqlglot.parse_one(groups.sql, read=DIALECT)
    with_ = query.args.get("with_") or query.args.get("with")
    assert isinstance(with_, exp.With), "groups are made in a part of the pass"
    at = next(number for number, cte in enumerate(with_.expressions) if _makes_groups(cte.this))
    typed = [
        named(exp.cast(column(item.name), exp.DataType.build(item.type, dialect=DIALECT)), item.name)
        for item in columns
    ]
    fetched = exp.select(*typed, column(GROUP)).from_(table(FETCHED))
    with_.expressions[at].set("this", fetched)
    with_.set("expressions", with_.expressions[at:])
    return query.sql(DIALECT, pretty=True)


def _makes_groups(query: exp.Expr) -> bool:
    return any(item.alias_or_name == GROUP and isinstance(item.unalias(), exp.Count) for item in query.expressions)
