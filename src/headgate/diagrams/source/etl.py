"""The vocabulary of data work: calls become steps, by the table of known calls, by SQL, and by names that say it."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from headgate.diagrams.source import functions, orm
from headgate.diagrams.source.asked import asked
from headgate.diagrams.source.byhand import by_name, file
from headgate.diagrams.source.flow import Block, Part
from headgate.diagrams.source.known import fits, kept_in_memory, step_of
from headgate.diagrams.source.names import part_of
from headgate.diagrams.source.plainly import grouped, plainly
from headgate.diagrams.source.table import meanings
from headgate.diagrams.source.values import Called, Class, Function, Known, Thing, Value

if TYPE_CHECKING:
    from headgate.diagrams.source.machine import Machine, Scope

RUNS_SQL = frozenset(
    {
        "execute",
        "executemany",
        "executescript",
        "query",
        "sql",
        "run",
        "get_pandas_df",
        "get_records",
        "get_first",
        "run_query",
        "execute_query",
        "fetch",
        "read_sql",
        "exec_driver_sql",
        "from_query",
        "read_query",
        "select",
        "fetchrow",
        "fetchval",
        "execute_sql",
        "raw",
        "to_dataframe",
        "execute_values",
        "execute_batch",
        "execute_statement",
        "command",
    }
)
_BRACKETS = re.compile(r"\(\)|\[\]")


class Etl:
    """See :class:`headgate.diagrams.source.machine.Vocabulary`."""

    unrolls = False

    def called(self, machine: Machine, thing: Thing, call: Called, node: ast.Call, scope: Scope) -> Value | None:
        path = _BRACKETS.sub("", thing.path)
        for way in (plainly, grouped, orm.called):
            found = way(machine, path, thing, call, node)
            if found is not None:
                return found
        for meaning in meanings(path):
            if fits(meaning, path, thing, call):
                if meaning.part is Part.LOAD and meaning.place == "file" and kept_in_memory(thing, call, node, scope):
                    return Known(value=None)
                return step_of(machine, meaning, path, thing, call, node, scope)
        if call.name in RUNS_SQL:
            found = asked(machine, path, thing, call, node)
            if found is not None:
                return found
        return file(machine, thing, call, node) or by_name(machine, path, thing, call, node)

    def operated(self, machine: Machine, operator: str, left: Value, right: Value) -> Value | None:
        return None

    def entered(self, machine: Machine, function: Function, call: Called, node: ast.AST, scope: Scope) -> Value | None:
        return functions.told(machine, function, call, node) if part_of(call.name) is Part.NOTIFY else None

    def left(
        self, machine: Machine, function: Function, call: Called, block: Block, result: Value, node: ast.AST
    ) -> Value | None:
        return functions.left(machine, function, call, block, result, node)

    def made_by(self, machine: Machine, class_: Class, call: Called, node: ast.AST, scope: Scope) -> Value | None:
        return None

    def decorated(self, machine: Machine, function: Value, decorator: ast.expr, scope: Scope) -> Value:
        return function

    def used(self, machine: Machine, value: Value, node: ast.With | ast.AsyncWith, begins: bool) -> None:
        return
