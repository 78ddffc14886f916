"""The expression language: one SQL expression of allow-listed nodes and functions, in DuckDB's spelling.

``parse_one("a; drop table x")`` of the parser gives a block without an error, so the root is checked too.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from itertools import pairwise

from sqlglot import errors as sqlglot_errors
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.tokenizer_core import TokenType

from headgate.core.errors import Code, FatalError, nearest
from headgate.sql.functions import AGGREGATES, SCALARS, WINDOWS
from headgate.sql.patterns import checked_pattern
from headgate.sql.types import parse_type

DIALECT = "duckdb"
MAX_TEXT = 100_000
"""Characters of one expression or query: parsing takes time and memory in proportion."""
_SHIFTS = {(TokenType.GT, TokenType.GT), (TokenType.LT, TokenType.LT)}
_GAPS = {
    (TokenType.L_PAREN, TokenType.COMMA),
    (TokenType.COMMA, TokenType.COMMA),
    (TokenType.COMMA, TokenType.R_PAREN),
}
_MOMENTS = ("DATE", "TIME", "TIMETZ", "TIMESTAMP", "TIMESTAMPTZ", "DATETIME", "ZONE")
"""Words before a text that make it a moment; the last of TIMESTAMP WITH TIME ZONE."""
_PATTERNS: tuple[type[exp.Expr], ...] = (exp.RegexpReplace, exp.RegexpExtract, exp.RegexpExtractAll)
"""Calls whose pattern the engine compiles when it meets a row."""
_UNPARSABLE = (sqlglot_errors.ParseError, sqlglot_errors.TokenError, RecursionError, TypeError)
"""The parser's compiled parts raise TypeError for an operator without an operand."""

# The parser warns on stderr of statements it does not know; they are refused below, with a message of our own.
logging.getLogger("sqlglot").setLevel(logging.ERROR)

_NODES: tuple[type[exp.Expr], ...] = (
    exp.Binary,
    exp.Unary,
    exp.Column,
    exp.Identifier,
    exp.Literal,
    exp.Boolean,
    exp.Null,
    exp.Paren,
    exp.Case,
    exp.Between,
    exp.In,
    exp.Interval,
    exp.DataType,
    exp.DataTypeParam,
    exp.Var,
    exp.Tuple,
    exp.Ordered,
    exp.Order,
    exp.Distinct,
    exp.IntervalSpan,
    exp.AtTimeZone,
    exp.Escape,
    exp.Filter,
    exp.Where,
    exp.WithinGroup,
    exp.IgnoreNulls,
    exp.RespectNulls,
    exp.Bracket,
    exp.JSONKeyValue,
    exp.JSONPath,
    exp.JSONPathKey,
    exp.JSONPathRoot,
    exp.JSONPathSubscript,
)
_QUERY_NODES: tuple[type[exp.Expr], ...] = (
    exp.Select,
    exp.SetOperation,
    exp.Subquery,
    exp.With,
    exp.CTE,
    exp.From,
    exp.Join,
    exp.Table,
    exp.TableAlias,
    exp.Alias,
    exp.Star,
    exp.Group,
    exp.Having,
    exp.Qualify,
    exp.Limit,
    exp.Offset,
    exp.Window,
    exp.WindowSpec,
    exp.Exists,
    exp.Any,
    exp.All,
)
_REFUSED: tuple[type[exp.Expr], ...] = (
    exp.Placeholder,
    exp.Parameter,
    exp.Subquery,
    exp.Select,
    exp.Dot,
    exp.PropertyEQ,
    exp.Lambda,
)


_ALIAS_HINT = (
    "the name stands before the colon in the YAML, not in the expression; a column with a blank in double quotes"
)


def parse(text: str, *, aggregates: bool = False, windows: bool = False) -> exp.Expr:
    """Parse exactly one expression.

    Args:
        text: what the user wrote.
        aggregates: whether SUM(x) and its kin may occur.
        windows: whether … OVER (…) may occur.

    Raises:
        FatalError: PLAN_INVALID, with the node or function that is not allowed and what is.
    """
    if not text.strip():
        raise _refuse(text, "the expression is empty", "write one SQL expression")
    _refuse_oversized(text)
    try:
        statements = _statements(f"SELECT {text}", text)
    except _UNPARSABLE as error:
        raise _refuse(text, f"it does not parse: {_first_line(error)}", "write one SQL expression") from None
    select = statements[0] if len(statements) == 1 else None
    if not isinstance(select, exp.Select) or len(select.expressions) != 1 or _has_clauses(select):
        raise _refuse(text, "it is more than one expression", "write one SQL expression, without ; or clauses")
    expression: exp.Expr = select.expressions[0]
    if isinstance(expression, exp.Alias):
        raise _refuse(text, "it has an alias", _ALIAS_HINT)
    check(expression, text, aggregates=aggregates, windows=windows)
    return _without_comments(expression.copy())


def check(expression: exp.Expr, text: str, *, aggregates: bool, windows: bool) -> None:  # noqa: C901 - one branch a kind of node
    """Refuse every node and function that is not on the list."""
    for node in expression.walk():
        _check_node(node, text)
        match node:
            case exp.Star():
                if not isinstance(node.parent, exp.Count):
                    raise _refuse(text, "* stands for columns here", "name the columns; COUNT(*) is allowed")
            case exp.Window() | exp.WindowSpec():
                if not windows:
                    raise _refuse(text, "window functions are not allowed here", "use a window step")
            case exp.Anonymous():
                _check_function(node.name.upper(), text, aggregates=aggregates, windows=windows)
            case exp.Column():
                if node.table:
                    raise _refuse(text, f"{node.sql(DIALECT)} names a table", "name columns alone")
            case _ if isinstance(node, _REFUSED):
                raise _refuse(text, f"{type(node).__name__.lower()} is not allowed", "see the expression reference")
            case _ if isinstance(node, _NODES):
                continue
            case exp.Func():
                names = {name.upper() for name in node.sql_names()} | {type(node).__name__.upper()}
                _check_function(_known(names) or sorted(names)[0], text, aggregates=aggregates, windows=windows)
            case _:
                raise _refuse(text, f"{type(node).__name__.lower()} is not allowed", "see the expression reference")


def is_aggregate(node: exp.Expr) -> bool:
    """Whether a node is a call of an aggregate; the parser knows some of them by name only."""
    if isinstance(node, exp.Anonymous):
        return node.name.upper() in AGGREGATES
    return isinstance(node, exp.AggFunc)


def columns(expression: exp.Expr) -> list[str]:
    """Names of the columns an expression reads, in order of appearance, each once."""
    return list(dict.fromkeys(column.name for column in expression.find_all(exp.Column)))


def quoted(expression: exp.Expr) -> set[str]:
    """Names that stand in double quotes."""
    return {found.name for found in expression.find_all(exp.Column) if found.this.args.get("quoted")}


def rename_columns(expression: exp.Expr, mapping: dict[str, exp.Expr]) -> exp.Expr:
    """A copy in which each named column (compared without case) is replaced by an expression."""
    lowered = {name.lower(): replacement for name, replacement in mapping.items()}

    def replace(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column) and node.name.lower() in lowered:
            return lowered[node.name.lower()].copy()
        return node

    return expression.copy().transform(replace)


def parse_select(text: str, relations: Iterable[str]) -> exp.Select:
    """Parse one SELECT that reads only ``relations``, for ``sql`` steps. Functions come from the same list.

    Raises:
        FatalError: PLAN_INVALID for anything else.
    """
    _refuse_oversized(text)
    try:
        statements = [statement for statement in _statements(text, text) if statement is not None]
    except _UNPARSABLE as error:
        raise _refuse(text, f"it does not parse: {_first_line(error)}", "write one SELECT over input") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Select | exp.SetOperation):
        raise _refuse(text, "it is not one SELECT", "write one SELECT; the step before is called input")
    query = statements[0]
    known = {name.lower() for name in relations}
    ctes = _check_ctes(query, text, known)
    for table in query.find_all(exp.Table):
        if isinstance(table.this, exp.Func) or table.db or table.catalog:
            raise _refuse(text, f"{table.sql(DIALECT)} cannot be read here", "read input, or name another source")
        if table.name.lower() not in known | ctes:
            raise _refuse(text, f'there is no relation "{table.name}"', nearest(table.name, known | ctes))
    for node in query.walk():
        _check_node(node, text)
        _check_query_node(node, text)
    return _without_comments(query)  # type: ignore[return-value]  # a UNION serves as well wherever a SELECT is read from


def _check_ctes(query: exp.Expr, text: str, known: set[str]) -> set[str]:
    """Names that the query gives itself. They must not hide a relation, nor look like a file outside their scope."""
    for clause in query.find_all(exp.With):
        if clause.args.get("recursive"):
            raise _refuse(text, "a recursive query may never end", "write it without RECURSIVE")
    names = {cte.alias.lower() for cte in query.find_all(exp.CTE)}
    for name in names:
        if name in known:
            raise _refuse(text, f'"{name}" is a relation already', "call the WITH part otherwise")
        if not re.fullmatch(r"[^\W\d]\w*", name):
            raise _refuse(text, f'"{name}" cannot name a WITH part', "use letters, digits and _")
    return names


def _check_query_node(node: exp.Expr, text: str) -> None:
    if isinstance(node, exp.Anonymous):
        _check_function(node.name.upper(), text, aggregates=True, windows=True)
    elif isinstance(node, _NODES + _QUERY_NODES):
        return
    elif isinstance(node, exp.Func):
        names = {name.upper() for name in node.sql_names()} | {type(node).__name__.upper()}
        _check_function(_known(names) or sorted(names)[0], text, aggregates=True, windows=True)
    else:
        raise _refuse(text, f"{type(node).__name__.lower()} is not allowed", "write one SELECT over input")


def _check_node(node: exp.Expr, text: str) -> None:
    """The parser lets an operator without its operand pass, and types that it does not know."""
    if problems := node.error_messages():
        raise _refuse(text, f"it does not parse: {problems[0].partition(' for ')[0]}", "write one whole expression")
    if isinstance(node, _PATTERNS):
        _check_pattern(node, text)
    if isinstance(node, exp.DataType) and not isinstance(node.parent, exp.DataType | exp.Interval):
        parse_type(node.sql(DIALECT))


def _check_pattern(node: exp.Expr, text: str) -> None:
    pattern, options = node.args.get("expression"), node.args.get("modifiers") or node.args.get("parameters")
    if options is not None and (not isinstance(options, exp.Literal) or "l" in options.name):
        # the parser would leave them out
        why = f"the option {options.sql(DIALECT)} of a regular expression is not known here"
        raise _refuse(text, why, "write the letters g, i, c, s, m, and REGEXP_ESCAPE(…) for a text as it stands")
    if isinstance(pattern, exp.Literal) and pattern.is_string:
        try:
            checked_pattern(pattern.name)
        except ValueError as error:
            raise _refuse(text, str(error), "write a regular expression of RE2") from None


def _statements(sql: str, text: str) -> list[exp.Expr | None]:
    """Parse, but for what the parser silently reads as something else.

    These are ``> >`` (a shift), ``f(, a)`` (``f(a)``) and ``DATE '2024-01-31'::VARCHAR`` (a date of the text).
    """
    dialect = Dialect.get_or_raise(DIALECT)
    tokens = dialect.tokenize(sql)
    for one, next_ in pairwise(tokens):
        pair = (one.token_type, next_.token_type)
        if pair in _SHIFTS and one.end + 1 < next_.start:
            raise _refuse(text, f"it does not parse: {one.text} {next_.text}", "write a comparison with one sign")
        if pair in _GAPS:
            why = f"it does not parse: nothing stands between {one.text} and {next_.text}"
            raise _refuse(text, why, "drop the comma")
    for one, next_, last in zip(tokens, tokens[1:], tokens[2:], strict=False):
        literal = one.text.upper() in _MOMENTS and next_.token_type is TokenType.STRING
        if literal and last.token_type is TokenType.DCOLON:
            written = f"{one.text} '{next_.text}'"
            raise _refuse(text, f"{written}:: means two things", f"write CAST({written} AS …)")
    return dialect.parser().parse(tokens, sql)


def _refuse_oversized(text: str) -> None:
    """Nor is a NUL byte let through."""
    if len(text) > MAX_TEXT:
        raise _refuse(text, f"it has more than {MAX_TEXT} characters", "split it over several steps, or join a table")
    if "\x00" in text:
        raise _refuse(text.replace("\x00", "?"), "it holds a NUL byte", "remove it")


def _without_comments(expression: exp.Expr) -> exp.Expr:
    """Comments are no part of what is asked; a plan's SQL and hash must not change with them."""
    for node in expression.walk():
        node.pop_comments()
    return expression


def _known(names: set[str]) -> str | None:
    found = names & (SCALARS | AGGREGATES | WINDOWS)
    return sorted(found)[0] if found else None


def _check_function(name: str, text: str, *, aggregates: bool, windows: bool) -> None:
    if name in SCALARS or (aggregates and name in AGGREGATES) or (windows and name in WINDOWS | AGGREGATES):
        return
    if name in AGGREGATES:
        raise _refuse(text, f"{name} is an aggregate, and this is about one row", "use an aggregate step or rule")
    if name in WINDOWS:
        raise _refuse(text, f"{name} needs a window", "use a window step")
    near = nearest(name, SCALARS | (AGGREGATES if aggregates else frozenset()))
    listed = "docs/reference/expressions.md lists those that are"
    raise _refuse(text, f"the function {name} is not allowed", near if near.startswith("did") else listed)


def _has_clauses(select: exp.Select) -> bool:
    return any(value for key, value in select.args.items() if key != "expressions")


def _first_line(error: Exception) -> str:
    match error:
        case RecursionError():
            return "it is nested too deeply"
        case TypeError():
            return "an operand is missing"
        case _:
            pass
    first = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return re.sub(r"Required keyword: '\w+' missing for <class [^>]*>", "an operand is missing", first)


def _refuse(text: str, why: str, hint: str) -> FatalError:
    return FatalError(Code.PLAN_INVALID, why, operation="expression", object=text.strip()[:200], hint=hint)
