"""What SQL Server refuses and a friendlier engine would let pass: the double refuses it with SQL Server's number."""

from __future__ import annotations

import re
from collections.abc import Iterator

import sqlglot
from sqlglot import exp

_QUOTED = re.compile(r"N?'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\[(?:[^\]]|\]\])*\]")
_FOREIGN = re.compile(
    r"\b(LIMIT|TRUE|FALSE|ILIKE|ON\s+CONFLICT|IF\s+NOT\s+EXISTS\s+\w|DISTINCT\s+FROM|ADD\s+COLUMN|BOOLEAN|RETURNING|"
    r"GREATEST|LEAST|QUALIFY|USING|TEMPORARY)\b|::|\|\|",
    re.IGNORECASE,
)
_CONDITION = (exp.Predicate, exp.Connector, exp.Not, exp.Exists)


class Refused(Exception):
    """An error of SQL Server, with its number."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number, self.message = number, message


def bare(text: str) -> str:
    """The statement without its texts and quoted names."""
    return _QUOTED.sub("x", text)


def parsed(text: str) -> exp.Expression:
    """The statement as a tree. Raises :class:`Refused` for what is not T-SQL of 2016."""
    found = _FOREIGN.search(bare(text))
    if found:
        raise Refused(102, f"Incorrect syntax near '{found[0]}'.")
    try:
        # the parser does not know that a key can be NONCLUSTERED
        tree = sqlglot.parse_one(text.replace("PRIMARY KEY NONCLUSTERED (", "PRIMARY KEY ("), read="tsql")
    except sqlglot.errors.ParseError as error:
        raise Refused(102, f"Incorrect syntax: {str(error).splitlines()[0]}") from None
    if isinstance(tree, exp.Command):
        raise Refused(102, f"the double does not know: {text[:80]}")
    for refusal in _refusals(tree):
        raise refusal
    return tree


def _refusals(tree: exp.Expression) -> Iterator[Refused]:
    for node in tree.walk():
        if isinstance(node, exp.Tuple) and isinstance(node.parent, exp.In):
            yield Refused(4145, "An expression of non-boolean type specified near ','.")
        if isinstance(node, exp.Where | exp.Having):
            yield from _conditions(node.this)
        if isinstance(node, exp.Join) and node.args.get("on"):
            yield from _conditions(node.args["on"])
        if isinstance(node, exp.If):
            yield from _conditions(node.this)
        if isinstance(node, exp.AggFunc) and node.find(exp.Subquery, exp.Exists, exp.Select):
            yield Refused(130, "Cannot perform an aggregate function on an expression containing a subquery.")
        if isinstance(node, exp.Select):
            yield from _select(node)


def _conditions(node: exp.Expression) -> Iterator[Refused]:
    """Where a condition is wanted, a value is none."""
    inner = node.unnest()
    if isinstance(inner, exp.Connector):
        yield from _conditions(inner.left)
        yield from _conditions(inner.right)
    elif isinstance(inner, exp.Not):
        yield from _conditions(inner.this)
    elif not isinstance(inner, _CONDITION):
        yield Refused(4145, f"An expression of non-boolean type where a condition is expected: {inner.sql('tsql')}")


def _select(node: exp.Select) -> Iterator[Refused]:
    for each in node.expressions:
        value = each.unalias().unnest()
        if isinstance(value, _CONDITION):
            yield Refused(156, f"Incorrect syntax: a condition is no value: {value.sql('tsql')}")
    inside = isinstance(node.parent, exp.Subquery | exp.CTE)
    if inside and node.args.get("order") and not node.args.get("limit"):
        yield Refused(1033, "The ORDER BY clause is invalid in views, derived tables, subqueries, unless TOP is given.")
    if isinstance(node.parent, exp.Subquery) and node.args.get("with_"):
        yield Refused(156, "Incorrect syntax near the keyword 'WITH'.")
    derived = isinstance(node.parent, exp.Subquery) and isinstance(node.parent.parent, exp.From | exp.Join)
    if derived and any(not each.output_name and not each.is_star for each in node.expressions):
        yield Refused(8155, "No column name was specified for a column of a derived table.")
