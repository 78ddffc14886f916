"""Columns of a pass as expressions over those of the source, for who would compute them there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlglot import exp

from headgate.core.engines import Column
from headgate.core.errors import FatalError
from headgate.plan.passes import Bind
from headgate.plan.stages import Scan
from headgate.plan.trees import table
from headgate.sql.expressions import rename_columns
from headgate.sql.postgres import Untranslatable, typed
from headgate.sql.shapes import Project, column
from headgate.sql.types import SqlType

MAX_NODES = 20_000


class Derivation:
    """What the columns are after the shapes that were seen so far."""

    def __init__(self, scan: Scan, bind: Bind) -> None:
        self._relation, self._bind = scan.relation, bind
        self.base: tuple[Column, ...] = scan.columns
        self.values: dict[str, exp.Expr] = {item.name: column(item.name) for item in scan.columns}

    def cast(self, after: Sequence[Column]) -> None:
        """The source's casts: there its columns have their true types already."""
        types = {item.name: item.type for item in after}
        self.base = tuple(Column(item.name, types[item.name]) for item in self.base)

    def project(self, shape: Project) -> None:
        self.values = {name: self.over(value) for name, value in shape.columns}

    def over(self, value: exp.Expr) -> exp.Expr:
        """An expression over the columns as they are now. Raises Untranslatable when it becomes too long."""
        known: dict[str, exp.Expr] = {
            name: exp.paren(each) if not isinstance(each, exp.Column) else each for name, each in self.values.items()
        }
        found = rename_columns(value, known)
        if sum(1 for _ in found.walk()) > MAX_NODES:
            raise Untranslatable("the expressions are too long when they are put into each other")
        return found

    def types(self, *values: exp.Expr) -> dict[str, SqlType]:
        """The types of all parts of expressions over the source's columns."""
        return typed(values, types_over(self._bind, self._relation, self.base))


def types_over(bind: Bind, relation: str, columns: Sequence[Column]) -> Callable[[exp.Expr], list[str]]:
    """Binds a SELECT without FROM over a relation of these columns."""

    def types(query: exp.Expr) -> list[str]:
        assert isinstance(query, exp.Select)
        try:
            return [found.type for found in bind(query.from_(table(relation)), relation, columns)]
        except FatalError as error:  # a part that means nothing by itself
            raise Untranslatable(error.message) from None

    return types
