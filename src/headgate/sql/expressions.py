"""The expression language: one SQL expression of allow-listed nodes and functions, in DuckDB's spelling.

``parse_one("a; drop table x")`` of the parser gives a block without an error, so the root is checked too.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlglot
from sqlglot import errors as sqlglot_errors
from sqlglot import exp

from headgate.core.errors import Code, FatalError, nearest

DIALECT = "duckdb"

AGGREGATES = frozenset(
    [
        "ANY_VALUE",
        "ARG_MAX",
        "ARG_MIN",
        "AVG",
        "BOOL_AND",
        "BOOL_OR",
        "LOGICAL_AND",
        "LOGICAL_OR",
        "COUNT",
        "COUNT_IF",
        "COVAR_POP",
        "COVAR_SAMP",
        "CORR",
        "FIRST",
        "LAST",
        "KURTOSIS",
        "LIST",
        "MAX",
        "MEDIAN",
        "MIN",
        "MODE",
        "PRODUCT",
        "QUANTILE",
        "QUANTILE_CONT",
        "QUANTILE_DISC",
        "PERCENTILE_CONT",
        "PERCENTILE_DISC",
        "SKEWNESS",
        "STDDEV",
        "STDDEV_POP",
        "STDDEV_SAMP",
        "STRING_AGG",
        "GROUP_CONCAT",
        "SUM",
        "VARIANCE",
        "VAR_POP",
        "VAR_SAMP",
        "VARIANCE_POP",
        "APPROX_DISTINCT",
        "APPROX_COUNT_DISTINCT",
        "ARRAY_AGG",
        "ENTROPY",
        "FILTER",
        "MAX_BY",
        "MIN_BY",
    ]
)
SCALARS = frozenset(
    [
        "ABS",
        "ACOS",
        "ASIN",
        "ATAN",
        "ATAN2",
        "CEIL",
        "CEILING",
        "COS",
        "COT",
        "DEGREES",
        "EXP",
        "FLOOR",
        "GREATEST",
        "LEAST",
        "LN",
        "LOG",
        "LOG2",
        "LOG10",
        "MOD",
        "PI",
        "POW",
        "POWER",
        "RADIANS",
        "ROUND",
        "SIGN",
        "SIN",
        "SQRT",
        "CBRT",
        "TAN",
        "TRUNC",
        "TRUNCATE",
        "BITWISE_AND",
        "BITWISE_OR",
        "ARRAY_LENGTH",
        "ASCII",
        "CHR",
        "CONCAT",
        "CONCAT_WS",
        "CONTAINS",
        "ENDS_WITH",
        "SUFFIX",
        "STARTS_WITH",
        "PREFIX",
        "FORMAT",
        "HEX",
        "INITCAP",
        "INSTR",
        "STR_POSITION",
        "LEFT",
        "LENGTH",
        "LEVENSHTEIN",
        "JACCARD",
        "LOWER",
        "LPAD",
        "LTRIM",
        "MD5",
        "NORMALIZE",
        "POSITION",
        "REGEXP_EXTRACT",
        "REGEXP_FULL_MATCH",
        "REGEXP_MATCHES",
        "REGEXP_LIKE",
        "REGEXP_REPLACE",
        "REPEAT",
        "REPLACE",
        "REVERSE",
        "RIGHT",
        "RPAD",
        "RTRIM",
        "SHA1",
        "SHA2",
        "SHA256",
        "SPLIT",
        "SPLIT_PART",
        "STRIP_ACCENTS",
        "STRLEN",
        "SUBSTR",
        "SUBSTRING",
        "TRANSLATE",
        "TRIM",
        "UNICODE",
        "UPPER",
        "UNHEX",
        "COALESCE",
        "IFNULL",
        "NULLIF",
        "IF",
        "IIF",
        "NVL",
        "TYPEOF",
        "ISNAN",
        "IS_NAN",
        "ISFINITE",
        "ISINF",
        "IS_INF",
        "HASH",
        "AGE",
        "CURRENT_DATE",
        "DATE",
        "DATEDIFF",
        "DATE_DIFF",
        "DATE_ADD",
        "DATE_SUB",
        "DATE_PART",
        "DATE_TRUNC",
        "TIMESTAMP_TRUNC",
        "DATETIME_TRUNC",
        "DAY",
        "DAYNAME",
        "DAY_OF_MONTH",
        "DAY_OF_WEEK",
        "DAY_OF_YEAR",
        "DAYOFMONTH",
        "DAYOFWEEK",
        "DAYOFYEAR",
        "EPOCH",
        "EPOCH_MS",
        "EXTRACT",
        "HOUR",
        "ISODOW",
        "LAST_DAY",
        "MAKE_DATE",
        "DATE_FROM_PARTS",
        "MAKE_TIME",
        "MAKE_TIMESTAMP",
        "TIMESTAMP_FROM_PARTS",
        "MICROSECOND",
        "MILLISECOND",
        "MINUTE",
        "MONTH",
        "MONTHNAME",
        "QUARTER",
        "SECOND",
        "STRFTIME",
        "TIME_TO_STR",
        "STRPTIME",
        "STR_TO_TIME",
        "TRY_STRPTIME",
        "TIME_BUCKET",
        "DATE_BIN",
        "TO_DAYS",
        "TO_HOURS",
        "TO_MINUTES",
        "TO_SECONDS",
        "TO_TIMESTAMP",
        "UNIX_TO_TIME",
        "WEEK",
        "WEEK_OF_YEAR",
        "WEEKOFYEAR",
        "YEAR",
        "YEARWEEK",
        "DAY_OF_WEEK_ISO",
        "DAYOFWEEK_ISO",
        "TS_OR_DS_TO_DATE",
        "CAST",
        "TRY_CAST",
        "TRY",
        "CASE",
        "IN_RANGE",
        "AND",
        "OR",
        "XOR",
        "ARRAY",
        "LIST_CONTAINS",
        "ARRAY_CONTAINS",
        "LIST_EXTRACT",
        "LIST_VALUE",
        "STRUCT_EXTRACT",
        "JSON_EXTRACT",
        "JSON_EXTRACT_SCALAR",
        "JSON_EXTRACT_STRING",
        "JSON_VALID",
        "INT_DIV",
        "SAFE_DIVIDE",
        "DIV",
    ]
)
WINDOWS = frozenset(
    [
        "ROW_NUMBER",
        "RANK",
        "DENSE_RANK",
        "PERCENT_RANK",
        "CUME_DIST",
        "NTILE",
        "LAG",
        "LEAD",
        "FIRST_VALUE",
        "LAST_VALUE",
        "NTH_VALUE",
    ]
)

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
    try:
        statements = sqlglot.parse(f"SELECT {text}", dialect=DIALECT)
    except (sqlglot_errors.ParseError, sqlglot_errors.TokenError) as error:
        raise _refuse(text, f"it does not parse: {_first_line(error)}", "write one SQL expression") from None
    select = statements[0] if len(statements) == 1 else None
    if not isinstance(select, exp.Select) or len(select.expressions) != 1 or _has_clauses(select):
        raise _refuse(text, "it is more than one expression", "write one SQL expression, without ; or clauses")
    expression: exp.Expr = select.expressions[0]
    if isinstance(expression, exp.Alias):
        raise _refuse(text, "it has an alias", "the name stands before the colon in the YAML, not in the expression")
    check(expression, text, aggregates=aggregates, windows=windows)
    return expression.copy()


def check(expression: exp.Expr, text: str, *, aggregates: bool, windows: bool) -> None:  # noqa: C901 - one branch a kind of node
    """Refuse every node and function that is not on the list."""
    for node in expression.walk():
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


def columns(expression: exp.Expr) -> list[str]:
    """Names of the columns an expression reads, in order of appearance, each once."""
    return list(dict.fromkeys(column.name for column in expression.find_all(exp.Column)))


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
    try:
        statements = [statement for statement in sqlglot.parse(text, dialect=DIALECT) if statement is not None]
    except (sqlglot_errors.ParseError, sqlglot_errors.TokenError) as error:
        raise _refuse(text, f"it does not parse: {_first_line(error)}", "write one SELECT over input") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Select | exp.SetOperation):
        raise _refuse(text, "it is not one SELECT", "write one SELECT; the step before is called input")
    query = statements[0]
    known = {name.lower() for name in relations}
    ctes = {cte.alias.lower() for cte in query.find_all(exp.CTE)}
    for table in query.find_all(exp.Table):
        if isinstance(table.this, exp.Func) or table.db or table.catalog:
            raise _refuse(text, f"{table.sql(DIALECT)} cannot be read here", "read input, or name another source")
        if table.name.lower() not in known | ctes:
            raise _refuse(text, f'there is no relation "{table.name}"', nearest(table.name, known | ctes))
    for node in query.walk():
        if isinstance(node, exp.Anonymous):
            _check_function(node.name.upper(), text, aggregates=True, windows=True)
        elif isinstance(node, exp.Func) and not isinstance(node, _NODES):
            names = {name.upper() for name in node.sql_names()} | {type(node).__name__.upper()}
            _check_function(_known(names) or sorted(names)[0], text, aggregates=True, windows=True)
        elif isinstance(node, exp.Into | exp.Command | exp.Placeholder | exp.Parameter):
            raise _refuse(text, f"{type(node).__name__.lower()} is not allowed", "write one SELECT over input")
    return query  # type: ignore[return-value]  # a UNION serves as well wherever a SELECT is read from


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
    raise _refuse(
        text,
        f"the function {name} is not allowed",
        nearest(name, SCALARS | (AGGREGATES if aggregates else frozenset())),
    )


def _has_clauses(select: exp.Select) -> bool:
    return any(value for key, value in select.args.items() if key != "expressions")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")


def _refuse(text: str, why: str, hint: str) -> FatalError:
    return FatalError(Code.PLAN_INVALID, why, operation="expression", object=text.strip()[:200], hint=hint)
