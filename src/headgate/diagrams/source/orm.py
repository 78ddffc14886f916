"""SQLAlchemy's own statements: tables and mapped classes, what is selected from them and written to them."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from headgate.diagrams.source import shown
from headgate.diagrams.source.flow import Part, Place, Step
from headgate.diagrams.source.places import system
from headgate.diagrams.source.values import (
    NOTHING,
    Called,
    Class,
    Either,
    Instance,
    Items,
    Known,
    Pairs,
    Thing,
    Value,
    origins_of,
)

if TYPE_CHECKING:
    from headgate.diagrams.source.machine import Machine
    from headgate.diagrams.source.modules import ClassInfo

VERBS = ("select", "insert", "update", "delete", "exists")
RUN = frozenset({"execute", "scalars", "scalar", "stream", "stream_scalars", "exec", "fetch_all", "fetch_one"})
RUN |= {"read_sql", "read_sql_query", "read_database", "execution_options"}
_ADDED = {
    "add": 0,
    "add_all": 0,
    "merge": 0,
    "bulk_save_objects": 0,
    "bulk_insert_mappings": 0,
    "bulk_update_mappings": 0,
}
COLUMN = "sqlalchemy.Table().c"


def called(machine: Machine, path: str, thing: Thing, call: Called, node: ast.Call) -> Value | None:
    """A call that runs a statement, or gives a session rows; None for any other."""
    if call.name in RUN and call.args:
        verb = _verb(call.args[0])
        if verb:
            return _run(machine, verb, thing, call, node)
    if call.name in _ADDED and call.args and path.rpartition(".")[0]:
        tables = list(dict.fromkeys(tables_of(machine, call.args[0])))
        return _written(machine, tables, thing, call, node) if tables else None
    if call.name in ("query", "get") and call.args:
        tables = [name for one in call.args for name in tables_of(machine, one)]
        named = call.name == "query" or isinstance(call.args[0], Class)
        return _queried(machine, tables, thing, call, node) if tables and named else None
    if path.startswith("sqlalchemy.Query") and call.name in ("delete", "update") and thing.origins:
        step = machine.steps[max(thing.origins)]
        step.part, step.what, step.writes, step.reads = Part.LOAD, call.name, step.reads, []
        return Thing(NOTHING, "?result")
    if path.startswith("sqlalchemy.Query") and call.name in ("filter", "where", "filter_by", "group_by", "join"):
        words = {"group_by": "GROUP BY", "join": "JOIN"}
        said = ", ".join(shown.plain(one) for one in (*node.args, *(keyword.value for keyword in node.keywords)))
        machine.steps[max(thing.origins)].tell(shown.cut(f"{words.get(call.name, 'WHERE')} {said}"))
    return None


def _verb(value: Value) -> str:
    """What a statement made of calls does; "" for what is none."""
    if not isinstance(value, Thing) or not value.calls or not value.path.startswith(("sqlalchemy", "sqlmodel")):
        return ""
    names = [one.name for one in value.calls]
    verbs = [one for one in names if one in VERBS]
    return verbs[-1] if verbs and verbs[-1] != "exists" and not names[0].endswith("_engine") else ""


def _run(machine: Machine, verb: str, thing: Thing, call: Called, node: ast.Call) -> Value:
    statement = call.args[0]
    assert isinstance(statement, Thing)
    given = [*call.args, *call.kwargs.values()]
    origins = (
        thing.origins
        | origins_of(given)
        | origins_of([v for one in statement.calls for v in (*one.args, *one.kwargs.values())])
    )
    where = system(thing, call)
    tables = list(dict.fromkeys(_mentioned(machine, statement)))
    step = machine.step(Part.EXTRACT if verb == "select" else Part.LOAD, verb, node, origins)
    if verb == "select":
        step.reads += [Place("table", name, where) for name in tables]
    else:
        step.writes += [Place("table", name, where) for name in tables[:1]]
        step.reads += [Place("table", name, where) for name in tables[1:]]
    _detail(step, statement)
    gives = "pandas.DataFrame" if call.name.startswith("read_") else "?rows"
    return Thing(frozenset({step.number}), gives) if verb == "select" else Thing(NOTHING, "?result")


def _detail(step: Step, statement: Thing) -> None:
    for one in statement.calls:
        if one.name == "group_by":
            step.tell(shown.cut("GROUP BY " + ", ".join(value.text.strip("{}") for value in one.args)))
        elif one.name.startswith("on_conflict") or one.name == "on_duplicate_key_update":
            step.tell("ON CONFLICT" if one.name.startswith("on_c") else "ON DUPLICATE KEY")


def _written(machine: Machine, tables: list[str], thing: Thing, call: Called, node: ast.Call) -> Value:
    step = machine.step(Part.LOAD, call.name, node, thing.origins | origins_of(call.args))
    step.writes += [Place("table", name, system(thing, None)) for name in tables]
    return Known(value=None)


def _queried(machine: Machine, tables: list[str], thing: Thing, call: Called, node: ast.Call) -> Value:
    step = machine.step(Part.EXTRACT, call.name, node, thing.origins)
    step.reads += [Place("table", name, system(thing, None)) for name in dict.fromkeys(tables)]
    return Thing(frozenset({step.number}), "sqlalchemy.Query" if call.name == "query" else "?row")


def _mentioned(machine: Machine, statement: Thing) -> list[str]:
    """The tables of a statement, that which it is about first."""
    found: list[str] = []
    for call in statement.calls:
        if call.name == "Table":
            found += _named(call)
        elif call.name in (*VERBS, "select_from", "join", "outerjoin"):
            found += [name for one in call.args for name in tables_of(machine, one)]
    return found


def tables_of(machine: Machine, value: Value) -> list[str]:
    """The tables that a value is of: a table, a column, a mapped class, an object or objects of one."""
    match value:
        case Class(info=info) | Instance(info=info) if info is not None:
            name = table_of(machine, info)
            return [name] if name else []
        case Items():
            return [name for one in value.items[:8] for name in tables_of(machine, one)]
        case Either():
            return [name for one in value.options for name in tables_of(machine, one)]
        case Thing() if value.path.startswith(("sqlalchemy", "sqlmodel")):
            return _mentioned(machine, value)
        case _:
            return []


def _named(call: Called) -> list[str]:
    schema = call.kwargs.get("schema")
    prefix = f"{schema.text}." if isinstance(schema, Known) and schema.value else ""
    return [prefix + call.args[0].text] if call.args else []


def table_of(machine: Machine, info: ClassInfo) -> str:
    """The table of a mapped class, with its schema; "" for any other class."""
    for one in machine.lineage(info):
        names = machine.names(one)
        if isinstance(table := names.get("__tablename__"), Known):
            return _schema(names.get("__table_args__")) + table.text
        if isinstance(made := names.get("__table__"), Thing) and (first := made.call("Table")) is not None:
            return next(iter(_named(first)), "")
    if any(keyword.arg == "table" for keyword in info.node.keywords):  # SQLModel
        return info.name.lower()
    return ""


def _schema(given: Value | None) -> str:
    options = given.items[-1] if isinstance(given, Items) and given.items else given
    schema = options.pairs.get("schema") if isinstance(options, Pairs) else None
    return f"{schema.text}." if isinstance(schema, Known) and schema.value else ""


def column(machine: Machine, info: ClassInfo, name: str) -> Value | None:
    """``Order.price`` of a mapped class: a column, which knows its table."""
    if re.match("__|metadata$|query$", name) or not any(_declares(one, name) for one in machine.lineage(info)):
        return None
    table = table_of(machine, info)
    return (
        Thing(NOTHING, f"{COLUMN}.{name}", (Called("Table", (Known(value=table),)),), f"{{{info.name}.{name}}}")
        if table
        else None
    )


def _declares(info: ClassInfo, name: str) -> bool:
    for one in info.node.body:
        targets = [one.target] if isinstance(one, ast.AnnAssign) else one.targets if isinstance(one, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return True
    return False
