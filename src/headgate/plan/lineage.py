"""Where the columns of a free query come from, as far as its text tells; else everything that it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

Origin = frozenset[str]


def origin(query: exp.Expr, name: str, read: str, lineage: Mapping[str, Origin]) -> Origin:
    """What output column ``name`` of ``query`` comes from.

    Args:
        query: any SELECT.
        name: one of its columns.
        read: the relation of the rows so far, as the query names it.
        lineage: what the columns of ``read`` come from.
    """
    own = {cte.alias.lower() for cte in query.find_all(exp.CTE)}
    found = [table for table in query.find_all(exp.Table) if table.name.lower() not in own]
    tables = {table.alias_or_name.lower(): table.name for table in found}
    return _Query(query, read, tables, {key.lower(): value for key, value in lineage.items()}).origin(name)


@dataclass(frozen=True)
class _Query:
    query: exp.Expr
    read: str
    tables: Mapping[str, str]
    lineage: Mapping[str, Origin]

    @property
    def others(self) -> list[str]:
        return sorted({name for name in self.tables.values() if name and name != self.read})

    @property
    def everything(self) -> Origin:
        return frozenset().union(*self.lineage.values(), (f"{name}.*" for name in self.others))

    def origin(self, name: str) -> Origin:
        if not isinstance(self.query, exp.Select) or len(list(self.query.find_all(exp.Select))) > 1:
            return self.everything  # a set of queries, or one inside another
        projection = self._projection(name)
        if projection is not None:
            return self._of(projection)
        starred = any(item.is_star for item in self.query.expressions)
        return self.lineage.get(name.lower(), self.everything) if starred and not self.others else self.everything

    def _projection(self, name: str) -> exp.Expr | None:
        assert isinstance(self.query, exp.Select)
        named = (item for item in self.query.expressions if not item.is_star)
        return next((item for item in named if item.alias_or_name.lower() == name.lower()), None)

    def _of(self, projection: exp.Expr) -> Origin:
        return frozenset().union(*(self._column(item, projection) for item in projection.find_all(exp.Column)))

    def _column(self, column: exp.Column, within: exp.Expr) -> Origin:
        """A qualified column, one of the rows so far, one that this SELECT names itself, or one of the other side."""
        name, table = column.name.lower(), self.tables.get(column.table.lower()) if column.table else None
        if table is not None and table != self.read:
            return frozenset({f"{table}.{column.name}"})
        if table is None and column.table:
            return self.lineage.get(column.table.lower(), self.everything)  # a field of a struct
        if name in self.lineage:
            return self.lineage[name]
        sibling = self._projection(name)
        if sibling is not None and sibling is not within:
            return self._of(sibling)
        return frozenset({f"{self.others[0]}.{column.name}"}) if len(self.others) == 1 else self.everything
