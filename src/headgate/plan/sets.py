"""Rules over all rows in the SQL of a server, where both engines count alike."""

from __future__ import annotations

import sqlglot
from sqlglot import exp

from headgate.plan.checks import SetCheck
from headgate.plan.passes import DIALECT
from headgate.sql.postgres import Untranslatable

_ALIKE = (
    *(exp.Select, exp.From, exp.Subquery, exp.Table, exp.TableAlias, exp.Alias, exp.Identifier, exp.Column, exp.Paren),
    *(exp.Where, exp.Group, exp.Having, exp.And, exp.Or, exp.Not, exp.Is, exp.Null, exp.Case, exp.If, exp.Literal),
    *(exp.Count, exp.Sum, exp.Coalesce, exp.Star, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.EQ, exp.DPipe, exp.Distinct),
)


def set_query(check: SetCheck, relation: str) -> str:
    """The check's query over ``relation``. Raises Untranslatable."""
    query = sqlglot.parse_one(check.sql, dialect=DIALECT)
    for node in query.walk():
        if isinstance(node, exp.Cast):
            if not isinstance(node.this, exp.Count | exp.Sum | exp.Coalesce):
                raise Untranslatable(f"rule {check.rule.name} converts values")
        elif not isinstance(node, (*_ALIKE, exp.DataType, exp.DataTypeParam)):
            raise Untranslatable(f"rule {check.rule.name} is the engine's work")
        if isinstance(node, exp.Column) and not _counted(node):
            raise Untranslatable(f"rule {check.rule.name} compares values")
        if isinstance(node, exp.Table) and node.name == check.spool:
            node.set("this", exp.to_identifier(relation, quoted=True))
    return query.sql("postgres")


def _counted(node: exp.Column) -> bool:
    """Whether a column is only counted, grouped by, asked whether it is NULL, or a count itself that is summed."""
    match node.parent:
        case exp.Group() | exp.Count() | exp.Distinct():
            return True
        case exp.Sum():
            select = node.find_ancestor(exp.Select)
            read = select.find(exp.From) if select else None
            return read is not None and isinstance(read.this, exp.Subquery)
        case exp.Is():
            return isinstance(node.parent.expression, exp.Null)
        case _:
            return False
