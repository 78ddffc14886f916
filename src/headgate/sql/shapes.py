"""The shapes that transforms and rules compile to. The plan turns them into CTEs and keeps the verdict column.

A transform module has ``Options`` and ``shapes(options, step) -> list[Shape]``: pure, no I/O. Shapes of one step
follow each other; each sees the columns that the one before gives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlglot import exp

from headgate.core.engines import Column
from headgate.core.errors import Code, FatalError, closest
from headgate.core.secrets import Secret
from headgate.sql import expressions
from headgate.sql.comparisons import refuse_impossible
from headgate.sql.medians import in_doubles
from headgate.sql.templates import render_sql
from headgate.sql.truncations import of_moments
from headgate.sql.truth import TypeOf, refuse_no_condition

Reason = Literal["filtered", "unmatched", "deduplicated"]
OnError = Literal["fail", "quarantine", "null", "log"]

ALIVE = "_hg_alive"
"""A column that rules may name: true for rows that are still good. The plan puts the verdict in its place."""


@dataclass(frozen=True)
class SideRead:
    """The other side of a join: what the plan scans, and under which name it gives it back in ``relations``.

    Args:
        name: the relation's name; it follows from the other fields, so that equal reads are one scan.
        connection: a connection's name; None is the lake.
        table: exactly one of ``table`` and ``path`` is given.
        path: files, relative to the project.
        columns: what is read; empty means every column.
        unique: columns that together must be unique, checked before the main source is read.
        types: SQL types of columns of files, where not to be found out.
    """

    name: str
    connection: str | None
    table: str | None
    path: str | None
    columns: tuple[str, ...] = ()
    unique: tuple[str, ...] = ()
    types: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Flag:
    """A row error: rows for which ``condition`` is true are held at this step, as they were before it.

    ``clear``: cheap, and never true where ``condition`` is; rows for which all flags of a step are clear are not
    looked at further. ``plain`` is the same for values of the commonest form, cheaper still, and asked first.
    ``on_error``: what becomes of such a row, when the step says so itself; null: ``columns`` are NULL in it, which is
    counted, and it stays; count: it is no error, and ``message`` is told with how many there are.
    """

    name: str
    condition: exp.Expr
    columns: tuple[str, ...] = ()
    message: str = ""
    clear: exp.Expr | None = None
    on_error: OnError | Literal["count"] | None = None
    plain: exp.Expr | None = None


@dataclass(frozen=True)
class Project:
    """One row out per row in. ``columns`` is the whole output, in order; expressions read the input's columns.

    They may have windows (``AVG(x) OVER ()``), which see all rows of the run that are still good.
    ``keys``: secrets for codes that depend on one. The plan makes each a relation of one row under that name, with the
    columns ``inner`` and ``outer``: the secret as the two keys of HMAC-SHA-256. No plan shows them.
    """

    columns: tuple[tuple[str, exp.Expr], ...]
    flags: tuple[Flag, ...] = ()
    keys: Mapping[str, Secret] = field(default_factory=dict)


@dataclass(frozen=True)
class Drop:
    """Rows for which ``keep`` is not true leave, and are counted under ``reason``.

    ``keep`` must not raise for any row (see :mod:`headgate.sql.failures`); it may ask whether a value is IN a SELECT
    over one of ``relations``.
    """

    keep: exp.Expr
    reason: Reason = "filtered"
    relations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Deduplicate:
    """Of the rows with equal ``keys`` (NULLs are equal here; none: of all rows) only the first by ``order`` stay."""

    keys: tuple[str, ...]
    order: tuple[exp.Expr, ...]
    count: int = 1
    reason: Reason = "deduplicated"


@dataclass(frozen=True)
class Lookup:
    """Adds ``columns`` (right name, new name) of the one matching row of another relation.

    ``optional``: unmatched rows stay, with NULLs; else they leave and are counted as unmatched. Keys of the other
    side are checked to be unique before anything is read.
    """

    relation: str
    on: tuple[tuple[str, str], ...]
    columns: tuple[tuple[str, str], ...]
    optional: bool = True


@dataclass(frozen=True)
class Reshape:
    """Any SELECT over the relation ``input`` (and ``relations``): rows are no longer one to one.

    ``grouped``: each output row stands for a group of input rows, which the plan counts.
    """

    query: exp.Expr
    grouped: bool = False
    relations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Call:
    """A Python function of the user's, ``module:name``, on batches or on the whole table."""

    function: str
    scope: Literal["batch", "table"] = "batch"
    columns: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Branch:
    """A second output: rows made from those before the step, which targets and rules call by ``name``.

    ``shapes`` begin with a :class:`Reshape`. Its rows are counted as expanded; the step's own rows go on as they are.
    """

    name: str
    shapes: tuple[Reshape | Project | Drop, ...]


@dataclass(frozen=True)
class Note:
    """Something that plans and receipts tell people; no row changes."""

    message: str


Shape = Project | Drop | Deduplicate | Lookup | Reshape | Call | Branch | Note


@dataclass(frozen=True)
class StepInput:
    """What a transform or rule may know: the columns before it, other relations, the run's variables."""

    columns: tuple[Column, ...]
    relations: Mapping[str, Sequence[Column]] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    cursor: str | None = None
    on_row_error: str = "fail"
    expression_type: TypeOf | None = field(default=None, compare=False)
    """What the engine says of the type of an expression over these columns, where it can be asked."""

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def type_of(self, name: str) -> str:
        """SQL type of a column. Raises FatalError with the nearest known column."""
        return next(column.type for column in self.columns if column.name == self.resolve(name))

    def resolve(self, name: str) -> str:
        """The column's own spelling; names are compared without case, as SQL does."""
        return self._resolve(name, ())

    def _resolve(self, name: str, quoted: Collection[str]) -> str:
        for column in self.columns:
            if column.name.lower() == name.lower():
                return column.name
        raise missing_column(name, self.names, quoted=name in quoted)

    def expression(self, text: str, *, aggregates: bool = False, windows: bool = False) -> exp.Expr:
        """The user's text as a checked expression over known columns, in their own spelling and quoted."""
        parsed = expressions.parse(render_sql(text, self.variables), aggregates=aggregates, windows=windows)
        quoted = expressions.quoted(parsed)
        known = {name: column(self._resolve(name, quoted)) for name in expressions.columns(parsed)}
        refuse_impossible(parsed, self.columns)
        found = of_moments(expressions.rename_columns(parsed, known), self.columns)
        return in_doubles(found, self.columns, self.expression_type)

    def condition(self, text: str, *, aggregates: bool = False) -> exp.Expr:
        """The same of a text that must be a truth value."""
        parsed = self.expression(text, aggregates=aggregates)
        refuse_no_condition(parsed, text, self.columns, self.expression_type)
        return parsed

    def keep_all(self) -> list[tuple[str, exp.Expr]]:
        """Every column as it is: where a :class:`Project` starts."""
        return [(name, column(name)) for name in self.names]


def column(name: str, table: str | None = None) -> exp.Expr:
    """A quoted column."""
    return exp.column(exp.to_identifier(name, quoted=True), table=table)


def missing_column(
    name: str, known: Iterable[str], *, quoted: bool = False, candidates: Iterable[str] = ()
) -> FatalError:
    """``quoted``: it stands in double quotes, which other languages put around texts.

    ``candidates``: columns that may be meant, if others than the known ones are (of another table of a query).
    """
    known = list(known)
    close = closest(name, candidates or known)
    text = "a text stands in single quotes: '" + name.replace("'", "''") + "'; "
    return FatalError(
        Code.PLAN_INVALID,
        f'column "{name}" not found' + (f'; did you mean "{close}"?' if close else ""),
        operation="plan",
        object=name,
        hint=(text if quoted else "") + "existing columns: " + ", ".join(known),
    )


# ------------------------------------------------------------------------------------------------------ rules


@dataclass(frozen=True)
class RowRule:
    """Holds for a row unless ``holds`` is false; NULL passes. ``message`` says what was expected.

    ``holds`` may ask whether a value is IN a SELECT over one of ``relations``.
    """

    holds: exp.Expr
    message: str
    relations: tuple[str, ...] = ()


@dataclass(frozen=True)
class SetRule:
    """Holds for all rows of a step together.

    ``query`` reads the relation ``input``, which has ``columns``, and ``relations``; it gives one row: (failing rows,
    observed text). ``offending`` gives the keys, or whole rows, that break the rule; it is asked only when some do. If
    all that it gives are columns of the rows, the rows that are equal in them count as failing; ``exact``: as many as
    the query says. ``once``: the answer is (0, :data:`UNREPEATED`) where the ``columns`` are filled and none of their
    combinations occurs twice. ``delivery``: see :class:`Measure`.
    """

    columns: tuple[str, ...]
    query: exp.Expr
    message: str
    offending: exp.Expr | None = None
    relations: tuple[str, ...] = ()
    exact: bool = False
    once: bool = False
    delivery: bool = False


UNREPEATED = "0 repeated"


@dataclass(frozen=True)
class Measure:
    """Judged by its own module from aggregates over the rows, which all measures of a step share one scan for.

    The module has ``values(options, step, past) -> tuple of aggregates`` and ``verdict(options, measured) ->
    Judgement``. ``columns`` are what the aggregates read; none: the count of rows and of ``nulls`` is enough, which
    are counted while the rows pass. ``remembers``: it compares with what it told to remember of earlier runs.
    ``delivery``: it is about all that came together, so that a few rows which somebody chose tell nothing about it.
    """

    columns: tuple[str, ...]
    message: str
    nulls: tuple[str, ...] = ()
    remembers: bool = False
    delivery: bool = False


@dataclass(frozen=True)
class Measured:
    """What a measure is judged by.

    Args:
        rows: how many rows there are.
        nulls: how many of them have NULL in a column, where that was counted.
        values: the aggregates asked for.
        now: when the run began.
        past: what the rule remembered of earlier published runs that read alike, newest first.
        reads: what the rows are of: everything, what is new since the run before, or an interval of so many seconds.
    """

    rows: int
    nulls: Mapping[str, int]
    values: tuple[Any, ...]
    now: datetime
    past: Sequence[Mapping[str, Any]] = ()
    reads: str | float = "everything"


@dataclass(frozen=True)
class Judgement:
    """What a measure found: failing rows (1 where it is about all of them), what was observed, what to remember.

    ``evaluated``: false where there is nothing to compare with yet, which receipts say. ``score``: how good, 0 to 1.
    ``missing``: the columns in which NULL breaks the rule, where rows do.
    """

    failed: int
    observed: str
    remember: Mapping[str, Any] = field(default_factory=dict)
    evaluated: bool = True
    score: float | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class CallRule:
    """A Python function says which rows hold, batch by batch, or whether the whole table does.

    ``function`` is the user's, ``module:name``; or ``KIND=WHAT``, if the rule of that kind makes it: its module then
    has ``judge(what, root)``, which gives the function, and ``digest(what, root)``, for the plan's hash.
    """

    function: str
    scope: Literal["batch", "table"]
    columns: tuple[str, ...]
    message: str


@dataclass(frozen=True)
class TableRule:
    """``columns`` (none NULL) are unique in the target table as it will be after publication."""

    columns: tuple[str, ...]
    message: str


RuleShape = RowRule | SetRule | Measure | CallRule | TableRule
