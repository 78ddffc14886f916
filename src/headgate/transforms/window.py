"""``window``: columns from other rows of the same group: ranks, the row before, running sums."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.core.models import Names, StepOptions
from headgate.sql.functions import WINDOWS
from headgate.sql.naming import distinct
from headgate.sql.ordering import directed, tie_breakers
from headgate.sql.shapes import Project, Shape, StepInput
from headgate.sql.windows import RUNNING, WHOLE, Frame, call_of, over, window_name

_RANKS = frozenset({"RANK", "DENSE_RANK", "PERCENT_RANK", "CUME_DIST"})
_FRAMED = frozenset({"FIRST_VALUE", "LAST_VALUE", "NTH_VALUE"})


class Options(StepOptions):
    """Compute columns over the rows of a group, in an order; every row stays.

    With ``order_by`` aggregates run: from the first row of the group to this one. FIRST_VALUE, LAST_VALUE and NTH_VALUE
    see the whole group. Both see what ``rows`` says instead, if it is given. Ranks share a place among equals;
    elsewhere the other columns decide between equals, so that the result never depends on how rows were read.
    """

    type: Literal["window"]
    partition_by: Names | None = Field(
        default=None, description="Columns whose values make a group; default one group."
    )
    order_by: Names | None = Field(
        default=None, description="Columns or expressions, each with DESC if wanted; NULLs come last."
    )
    columns: dict[str, str] = Field(
        min_length=1,
        description="Column to expression of window functions or aggregates, such as RANK() or SUM(total).",
    )
    rows: tuple[int | None, int | None] | None = Field(
        default=None, description="First and last row that is seen, counted from this one; null: to the end."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Options:
        if self.rows is None:
            return self
        if not self.order_by:
            raise ValueError("rows needs order_by")
        first, last = self.rows
        if first is not None and last is not None and first > last:
            raise ValueError("rows ends before it begins")
        return self


def shapes(options: Options, step: StepInput) -> list[Shape]:
    """One projection; the plan lets its windows see all rows that are still good."""
    distinct(options.columns)
    groups = [step.resolve(name) for name in options.partition_by or ()]
    order = [directed(text, step) for text in options.order_by or ()]
    spelling = {name.lower(): name for name in step.names}
    values = dict(step.keep_all())
    for wanted, text in options.columns.items():
        old = spelling.get(wanted.lower(), wanted)
        values = {wanted if name == old else name: value for name, value in values.items()}
        values[wanted] = _windowed(wanted, text, options, groups, order, step)
    return [Project(tuple(values.items()))]


def _windowed(
    name: str, text: str, options: Options, groups: list[str], order: list[exp.Expr], step: StepInput
) -> exp.Expr:
    expression = exp.paren(step.expression(text, aggregates=True, windows=True))
    if expression.find(exp.Window):
        raise _refuse(name, f"{text} says its window itself", "say partition_by, order_by and rows at the step")
    calls = [node for node in expression.walk() if window_name(node) and not _inside_call(node)]
    if not calls:
        raise _refuse(name, f"{text} looks at its own row only", "use a calculate step, or a window function")
    for node in calls:
        function, call = window_name(node) or "", call_of(node)
        if function in WINDOWS and not order:
            raise _refuse(name, f"{function} needs an order", "say order_by, such as order_by: updated_at")
        ranked = function in _RANKS or not order
        said = [item.this.name for item in order if isinstance(item.this, exp.Column)]
        total = order if ranked else [*order, *tie_breakers(step, [*groups, *said])]
        call.replace(over(call, groups, total, _frame(function, options)))
    return expression.unnest()


def _frame(function: str, options: Options) -> Frame | None:
    if function in _FRAMED:
        return options.rows or WHOLE
    if function in WINDOWS or not options.order_by:
        return None
    return options.rows or RUNNING


def _inside_call(node: exp.Expr) -> bool:
    above = node.parent
    while above is not None:
        if window_name(above):
            return True
        above = above.parent
    return False


def _refuse(name: str, why: str, hint: str) -> FatalError:
    return FatalError(Code.PLAN_INVALID, why, operation="plan", object=name, hint=hint)
