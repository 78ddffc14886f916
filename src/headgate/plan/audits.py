"""What rules ask of the audit: checks over the rows of a pass, or of a target's table as it will be."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from headgate.core.contracts import Registry
from headgate.core.engines import Column
from headgate.core.errors import Code, FatalError
from headgate.core.models import RuleOptions
from headgate.plan.checks import CallCheck, CountCheck, MeasureCheck, Preview, Rule, SetCheck, TableCheck
from headgate.plan.stages import Audit
from headgate.plan.trees import is_cte, named
from headgate.sql.literals import quote_name
from headgate.sql.shapes import CallRule, Measure, RowRule, SetRule, StepInput

DIALECT = "duckdb"
_WHOLE = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
Bind = Callable[[exp.Expr, str, Sequence[Column]], tuple[Column, ...]]
Hash = Callable[[str, Sequence[Column]], str]
"""The fingerprint of the source of a Python function, which must be able to judge rows of such columns."""


@dataclass(frozen=True)
class Place:
    """Where rules look: the spool that the audit reads, the pass that it is of (empty: a table), its columns."""

    spool: str
    relation: str
    given: StepInput
    bind: Bind


@dataclass
class AuditBook:
    """Collects the checks of the audit."""

    registry: Registry
    source_hash: Hash
    sets: list[SetCheck] = field(default_factory=list)
    tables: list[TableCheck] = field(default_factory=list)
    measures: list[MeasureCheck] = field(default_factory=list)
    counts: list[CountCheck] = field(default_factory=list)
    calls: list[CallCheck] = field(default_factory=list)
    previews: list[Preview] = field(default_factory=list)
    skipped: list[Rule] = field(default_factory=list)

    def reads(self, spool: str) -> bool:
        """Whether some check is about the spool."""
        spools = {check.spool for check in self.sets} | {check.spool for check in self.measures}
        spools |= {check.spool for check in self.counts} | {check.spool for check in self.calls}
        return spool in spools

    def stage(self, max_error_percentage: float | None) -> Audit:
        return Audit(
            tuple(self.sets),
            tuple(self.tables),
            max_error_percentage,
            tuple(self.measures),
            tuple(self.counts),
            tuple(self.calls),
            tuple(self.previews),
            tuple(self.skipped),
        )

    def add(self, rule: Rule, options: RuleOptions, shape: SetRule | Measure | CallRule, place: Place) -> Sequence[str]:
        """Note a rule about all rows; the columns that it reads."""
        if rule.action == "quarantine":
            raise FatalError(
                Code.UNSUPPORTED,
                "a rule about all rows together cannot hold single rows back",
                operation="plan",
                object=rule.name,
                hint="use on_fail: fail, warn or record",
            )
        match shape:
            case SetRule():
                return self._set(rule, shape, place)
            case Measure():
                return self._measure(rule, options, shape, place)
            case CallRule():
                columns = tuple(item for item in place.given.columns if item.name in shape.columns)
                digest = self.source_hash(shape.function, columns)
                self.calls.append(CallCheck(rule, place.spool, shape.function, shape.scope, columns, digest))
                return shape.columns

    def _set(self, rule: Rule, shape: SetRule, place: Place) -> Sequence[str]:
        columns = shape.columns or (place.given.columns[0].name,)
        query, offending, rows = _over(shape.query, place.spool), "", ""
        known = [item for item in place.given.columns if item.name in columns]
        place.bind(query, place.spool, known)
        if shape.offending is not None:
            asked = _over(shape.offending, place.spool)
            found = [item.name for item in place.bind(asked, place.spool, known)]
            offending = asked.sql(DIALECT)
            rows = _equal_in(found, [item.name for item in known], offending)
        whole = columns if shape.once and all(item.type in _WHOLE for item in known) else ()
        delivery = shape.delivery and bool(place.relation)  # a table is all there, whoever chose
        check = SetCheck(rule, place.spool, query.sql(DIALECT), offending, rows, shape.exact, tuple(whole), delivery)
        self.sets.append(check)
        return columns

    def _measure(self, rule: Rule, options: RuleOptions, shape: Measure, place: Place) -> Sequence[str]:
        columns = tuple(item for item in place.given.columns if item.name in shape.columns)
        values = self.registry.module("quality", options.type).values(options, place.given, ())
        if values:
            select = exp.select(*(named(value, f"v{index}") for index, value in enumerate(values)))
            place.bind(select.from_(exp.Table(this=exp.to_identifier(place.spool, quoted=True))), place.spool, columns)
        text = json.dumps(options.model_dump(mode="json", exclude_none=True), sort_keys=True)
        delivery = shape.remembers or (shape.delivery and bool(place.relation))
        self.measures.append(
            MeasureCheck(rule, place.spool, place.relation, columns, text, shape.nulls, shape.remembers, delivery)
        )
        return shape.columns if place.relation else (*shape.columns, *shape.nulls)

    def count(self, rule: Rule, shape: RowRule, place: Place) -> Sequence[str]:
        """Note a rule about single rows of a table; the columns that it reads."""
        broken = exp.Not(this=exp.paren(shape.holds.copy()))
        read = {found.name for found in shape.holds.find_all(exp.Column)}
        columns = [item for item in place.given.columns if item.name in read]
        table = exp.Table(this=exp.to_identifier(place.spool, quoted=True))
        place.bind(exp.select(named(broken, "c")).from_(table), place.spool, columns)
        self.counts.append(CountCheck(rule, place.spool, broken.sql(DIALECT)))
        return [item.name for item in columns]


def _equal_in(found: Sequence[str], known: Sequence[str], offending: str) -> str:
    """Which rows are equal, NULLs too, to one of those found; empty where other things than columns were found."""
    own = {name.lower(): name for name in known}
    if not found or len({name.lower() for name in found} & own.keys()) < len(found):
        return ""
    # as a struct, NULLs are equal to each other
    mine = ", ".join(f"'c{number}': {quote_name(own[name.lower()])}" for number, name in enumerate(found))
    theirs = ", ".join(f"'c{number}': {quote_name(name)}" for number, name in enumerate(found))
    return f"{{{mine}}} IN (SELECT {{{theirs}}} FROM ({offending}))"


def _over(query: exp.Expr, spool: str) -> exp.Expr:
    """The query with its relation ``input`` read from the spool."""
    query = query.copy()
    for table in list(query.find_all(exp.Table)):
        if table.name.lower() == "input" and not is_cte(table):
            alias = table.alias_or_name
            table.replace(
                exp.alias_(exp.Table(this=exp.to_identifier(spool, quoted=True)), alias or "input", table=True)
            )
    return query
