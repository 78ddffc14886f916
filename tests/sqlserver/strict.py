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


class RefusedError(Exception):
    """An error of SQL Server, with its number."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number, self.message = number, message


def bare(text: str) -> str:
    """The statement without its texts and quoted names."""
    return _QUOTED.sub("x", text)


def _for_parser(text: str) -> str:
    """The parser does not know that a key can be NONCLUSTERED, and takes REAL for FLOAT."""
    plain = _QUOTED.sub(lambda found: found[0].replace("REAL", "R\0EAL"), text)
    plain = re.sub(r"\bREAL\b", "FLOAT(24)", plain).replace("PRIMARY KEY NONCLUSTERED (", "PRIMARY KEY (")
    return plain.replace("R\0EAL", "REAL")


def parsed(text: str) -> exp.Expr:
    """The statement as a tree. Raises :class:`RefusedError` for what is not T-SQL of 2016."""
    found = _FOREIGN.search(bare(text))
    if found:
        raise RefusedError(102, f"Incorrect syntax near '{found[0]}'.")
    try:
        tree = sqlglot.parse_one(_for_parser(text), read="tsql")
    except sqlglot.errors.ParseError as error:
        raise RefusedError(102, f"Incorrect syntax: {str(error).splitlines()[0]}") from None
    if isinstance(tree, exp.Command):
        raise RefusedError(102, f"the double does not know: {text[:80]}")
    for refusal in _refusals(tree):
        raise refusal
    return tree


def _refusals(tree: exp.Expr) -> Iterator[RefusedError]:
    for node in tree.walk():
        if isinstance(node, exp.Tuple) and isinstance(node.parent, exp.In):
            yield RefusedError(4145, "An expression of non-boolean type specified near ','.")
        if isinstance(node, exp.Where | exp.Having):
            yield from _conditions(node.this)
        if isinstance(node, exp.Join) and node.args.get("on"):
            yield from _conditions(node.args["on"])
        if isinstance(node, exp.If):
            yield from _conditions(node.this)
        if isinstance(node, exp.AggFunc) and node.find(exp.Subquery, exp.Exists, exp.Select):
            yield RefusedError(130, "Cannot perform an aggregate function on an expression containing a subquery.")
        if isinstance(node, exp.Select):
            yield from _select(node)


def _conditions(node: exp.Expr) -> Iterator[RefusedError]:
    """Where a condition is wanted, a value is none."""
    inner = node.unnest()
    if isinstance(inner, exp.Connector):
        yield from _conditions(inner.left)
        yield from _conditions(inner.right)
    elif isinstance(inner, exp.Not):
        yield from _conditions(inner.this)
    elif not isinstance(inner, _CONDITION):
        yield RefusedError(4145, f"An expression of non-boolean type as a condition: {inner.sql('tsql')}")


def _select(node: exp.Select) -> Iterator[RefusedError]:
    for each in node.expressions:
        value = each.unalias().unnest()
        if isinstance(value, _CONDITION):
            yield RefusedError(156, f"Incorrect syntax: a condition is no value: {value.sql('tsql')}")
    inside = isinstance(node.parent, exp.Subquery | exp.CTE)
    if inside and node.args.get("order") and not node.args.get("limit"):
        yield RefusedError(1033, "The ORDER BY clause is invalid in derived tables, unless TOP is given.")
    if isinstance(node.parent, exp.Subquery) and node.args.get("with_"):
        yield RefusedError(156, "Incorrect syntax near the keyword 'WITH'.")
    derived = isinstance(node.parent, exp.Subquery) and isinstance(node.parent.parent, exp.From | exp.Join)
    if derived and any(not each.output_name and not each.is_star for each in node.expressions):
        yield RefusedError(8155, "No column name was specified for a column of a derived table.")
