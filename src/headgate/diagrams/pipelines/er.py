"""ER: the tables that pipelines write, with their keys, and the tables that rows are looked up in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from headgate.diagrams.pipelines.chain import Chain
from headgate.diagrams.tables import Relation, Table, TableColumn, Tables
from headgate.plan.stages import Plan, Scan, Write


def er(title: str, planned: Iterable[tuple[Chain, Plan]]) -> Tables:
    """Tables once each, columns as the plans write them; a join gives a relation by the columns it is on."""
    tables: dict[str, Table] = {}
    relations: dict[Relation, None] = {}
    pairs = list(planned)
    for chain, plan in pairs:
        foreign = _foreign(chain)
        for write in (stage for stage in plan.stages if isinstance(stage, Write)):
            tables[_key(write.store, write.table)] = _table(chain, write, foreign)
    for chain, plan in pairs:
        for relation in _relations(chain, plan, tables):
            relations[relation] = None
    return Tables(title, tuple(tables.values()), tuple(relations))


def _key(store: str, table: str) -> str:
    return f"{store} {table}"


def _table(chain: Chain, write: Write, foreign: set[str]) -> Table:
    unique = {
        name.lower()
        for rule in chain.rules
        if rule.type == "unique" and getattr(rule, "scope", "") == "table" and len(getattr(rule, "columns", ())) == 1
        for name in getattr(rule, "columns", ())
    }
    columns = []
    for column in write.columns:
        keys = ["PK"] if column.name in write.keys else ["UK"] if column.name.lower() in unique else []
        keys += ["FK"] if column.name.lower() in foreign else []
        columns.append(TableColumn(column.name, column.type, tuple(keys)))  # type: ignore[arg-type]
    return Table(_key(write.store, write.table), f"{write.table} ({write.store})", tuple(columns))


def _joins(chain: Chain) -> list[tuple[str, dict[str, str], str]]:
    """(step, left column to right column, how) of each step that looks rows up in a table."""
    found = []
    for link in chain.links:
        on = getattr(link.options, "on", None)
        if isinstance(on, dict):
            found.append((link.name, on, str(getattr(link.options, "how", "left"))))
    return found


def _foreign(chain: Chain) -> set[str]:
    return {name.lower() for _, on, _ in _joins(chain) for name in on}


def _relations(chain: Chain, plan: Plan, tables: dict[str, Table]) -> list[Relation]:
    """From each table looked up to each table written that still has the columns of the join."""
    sides = {stage.side: stage for stage in plan.stages if isinstance(stage, Scan) and stage.side is not None}
    names = [link.name for link in chain.links]
    found = []
    for step, on, how in _joins(chain):
        scan = sides.get(names.index(step))
        if scan is None:
            continue
        other = _key(scan.connection, scan.object)
        if other not in tables:
            tables[other] = _side(other, scan, on)
        for write in (stage for stage in plan.stages if isinstance(stage, Write)):
            if _has(write, on) and _key(write.store, write.table) != other:
                left = "one" if how == "inner" else "zero_or_one"
                label = ", ".join(on)
                found.append(Relation(other, _key(write.store, write.table), label, left, "many"))  # type: ignore[arg-type]
    return found


def _side(id_: str, scan: Scan, on: dict[str, str]) -> Table:
    """A table that no pipeline here writes: the columns that the join reads of it."""
    right = {name.lower() for name in on.values()}
    columns = tuple(
        TableColumn(column.name, column.type, ("PK",) if column.name.lower() in right else ())
        for column in scan.columns
    )
    return Table(id_, f"{scan.object} ({scan.connection})" if scan.connection else scan.object, columns)


def _has(write: Write, on: Sequence[str] | dict[str, str]) -> bool:
    names = {column.name.lower() for column in write.columns}
    return all(name.lower() in names for name in on)
