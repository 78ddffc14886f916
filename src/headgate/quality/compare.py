"""``compare``: the same rows as somewhere else, by count and by content."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.core.models import Names, RuleOptions, Tolerance, tolerance
from headgate.sql.casts import exact_cast
from headgate.sql.lookups import columns_of, refuse_types_of_tables, resolve, side_read
from headgate.sql.shapes import SetRule, SideRead, StepInput, column
from headgate.sql.types import parse_type


class Options(RuleOptions):
    """As many rows as in another table or in files, and (for hash) the same values, whatever their order."""

    type: Literal["compare"]
    table: str | None = Field(default=None, description="The table to compare with, of the lake or of connection.")
    path: str | None = Field(default=None, description="Instead of a table: files, relative to the project.")
    connection: str | None = Field(default=None, description="Where the table is; default the lake.")
    types: dict[str, str] = Field(
        default_factory=dict, description="SQL types of columns of the files, where not to be found out."
    )
    columns: Names | None = Field(default=None, description="What the hash is of; default the columns of both.")
    method: Literal["count", "hash"] = Field(default="hash", description="count: rows; hash: rows and their values.")
    allowed_difference: int | str | None = Field(
        default=None, description="For method count: how many rows (10) or what share (1%) may be missing or too many."
    )

    @model_validator(mode="after")
    def _one_side(self) -> Options:
        if (self.table is None) == (self.path is None):
            raise ValueError("compare needs either table or path")
        refuse_types_of_tables(self.table, self.types)
        self.refuse_max_failed("method: count has allowed_difference")
        if self.on_fail == "quarantine":
            raise ValueError("a comparison of all rows cannot hold single rows back; use fail, warn or record")
        if self.allowed_difference is not None:
            if self.method == "hash":
                raise ValueError("rows that may differ cannot have the same hash; use method: count")
            tolerance(self.allowed_difference)
        return self


def sides(options: Options) -> list[SideRead]:
    """What the plan reads for the rule."""
    return [
        side_read(
            "compared", options.connection, options.table, options.path, options.columns or (), types=options.types
        )
    ]


def shapes(options: Options, step: StepInput) -> SetRule:
    """Both sides are counted and hashed, each in one scan; columns are compared in this side's types.

    A value there that this side's type cannot hold as it is (1.4 as an integer) is none that is here.
    """
    (side,) = sides(options)
    names = _names(options, step, side)
    kinds = {item.name: item.type for item in columns_of(side, step)}
    casts = [exact_cast(column(key), parse_type(kinds[key]), parse_type(kind)) for key, _, kind in names]
    wrong = [exp.paren(exp.func("COALESCE", exp.paren(cast.wrong), exp.false())) for cast in casts if cast.wrong]
    here, there = [column(name) for _, name, _ in names], [cast.value for cast in casts]
    if wrong:
        here, there = [*here, exp.false()], [*there, exp.or_(*wrong)]
    mine = _digest(exp.Table(this=exp.to_identifier("input")), here, options)
    theirs = _digest(exp.Table(this=exp.to_identifier(side.name, quoted=True)), there, options)
    apart = exp.Abs(this=exp.Sub(this=exp.column("n", "m"), expression=exp.column("n", "t")))
    holds: exp.Expr = exp.LTE(this=apart.copy(), expression=_allowed(options))
    if options.method == "hash":
        holds = exp.and_(holds, exp.NullSafeEQ(this=exp.column("h", "m"), expression=exp.column("h", "t")))
    failing = (
        exp.Case()
        .when(holds, exp.Literal.number(0))
        .else_(exp.Greatest(this=apart, expressions=[exp.Literal.number(1)], ignore_nulls=True))
    )
    observed: exp.Expr = exp.DPipe(this=_text("m"), expression=exp.Literal.string(" rows here, "))
    observed = exp.DPipe(this=exp.DPipe(this=observed, expression=_text("t")), expression=exp.Literal.string(" there"))
    if options.method == "hash":
        differ = exp.and_(
            exp.EQ(this=exp.column("n", "m"), expression=exp.column("n", "t")), exp.Not(this=exp.paren(holds))
        )
        words = exp.Case().when(differ, exp.Literal.string(", values differ")).else_(exp.Literal.string(""))
        observed = exp.DPipe(this=observed, expression=words)
    query = exp.select(exp.cast(failing, "BIGINT"), observed).from_(mine.subquery("m")).join(theirs.subquery("t"))
    what = "as many rows" if options.method == "count" else "the same rows"
    message = f"{what} as {options.table or options.path}"
    return SetRule(
        tuple(name for _, name, _ in names) or (step.names[0],), query, message, None, (side.name,), delivery=True
    )


def _names(options: Options, step: StepInput, side: SideRead) -> list[tuple[str, str, str]]:
    """(column there, column here, type here) of what is hashed."""
    other = columns_of(side, step)
    if options.method == "count":
        return []
    if options.columns:
        chosen = [(resolve(name, other).name, step.resolve(name)) for name in dict.fromkeys(options.columns)]
    else:
        known = {name.lower(): name for name in step.names}
        chosen = [(item.name, known[item.name.lower()]) for item in other if item.name.lower() in known]
    if not chosen:
        raise FatalError(
            Code.PLAN_INVALID,
            "both sides have no column in common",
            operation="plan",
            object=side.table or side.path or "",
            hint="name columns, or use method: count",
        )
    return [(key, name, step.type_of(name)) for key, name in chosen]


def _digest(source: exp.Expr, values: list[exp.Expr], options: Options) -> exp.Select:
    """Count and sum of the rows' hashes: no order matters, and repeated rows count."""
    query = exp.select(exp.alias_(exp.Count(this=exp.Star()), "n")).from_(source)
    if options.method == "hash":
        hashed = exp.Anonymous(this="HASH", expressions=values)
        query = query.select(exp.alias_(exp.Sum(this=exp.cast(hashed, "HUGEINT")), "h"))
    return query


def _allowed(options: Options) -> exp.Expr:
    allowed = Tolerance(rows=0) if options.allowed_difference is None else tolerance(options.allowed_difference)
    if allowed.percent is None:
        return exp.Literal.number(allowed.rows or 0)
    share = exp.Mul(this=exp.column("n", "t"), expression=exp.Literal.number(str(allowed.percent)))
    return exp.Div(this=share, expression=exp.Literal.number(100))


def _text(table: str) -> exp.Expr:
    return exp.cast(exp.column("n", table), "TEXT")
