"""Numbers and codes that are made of values: the same on every machine and in every version."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from headgate.sql.shapes import StepInput, column
from headgate.sql.types import DIALECT, parse_type


def number_of(names: Sequence[str], salt: str, step: StepInput) -> exp.Expr:
    """An unsigned number of 64 bits, evenly spread: the lower half of the MD5 of the salt and the values as text.

    Each value is preceded by its length and a colon, NULL is a hyphen, so that no two rows of values look the same.
    """
    parts: list[exp.Expr] = [exp.Literal.string(f"{salt};")]
    for name in names:
        text = text_of(name, step)
        length = exp.cast(exp.Length(this=text.copy()), exp.DType.TEXT)
        shown = exp.Concat(expressions=[length, exp.Literal.string(":"), text], safe=True, coalesce=False)
        known = exp.Not(this=exp.Is(this=column(name), expression=exp.null()))
        parts.append(exp.Case().when(known, shown).else_(exp.Literal.string("-")))
    whole = exp.Anonymous(this="CONCAT", expressions=parts)
    return exp.Anonymous(this="MD5_NUMBER_LOWER", expressions=[whole])


def text_of(name: str, step: StepInput) -> exp.Expr:
    """A column as text, the same of values that are equal: -0 is written as 0."""
    type_ = parse_type(step.type_of(name))
    if type_.family == "text":
        return column(name)
    value: exp.Expr = column(name)
    if type_.family == "float":
        zero = exp.cast(exp.Literal.number(0), exp.DataType.build(type_.name, dialect=DIALECT))
        value = exp.Case().when(exp.EQ(this=value.copy(), expression=zero.copy()), zero).else_(value)
    return exp.cast(value, exp.DType.TEXT)


def hmac_sha256(text: exp.Expr, key: str) -> exp.Expr:
    """HMAC-SHA-256 of a text in hex; ``key`` is the relation of one row that has the key's two forms."""

    def of(name: str, message: exp.Expr) -> exp.Expr:
        select = exp.select(column(name)).from_(exp.Table(this=exp.to_identifier(key, quoted=True)))
        joined = exp.DPipe(this=select.subquery(), expression=message, safe=True)
        return exp.Anonymous(this="SHA256", expressions=[joined])

    inside = of("inner", exp.Anonymous(this="ENCODE", expressions=[text.copy()]))
    return of("outer", exp.Anonymous(this="UNHEX", expressions=[inside]))
