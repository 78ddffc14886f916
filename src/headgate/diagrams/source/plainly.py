"""Calls that are no steps of their own: logs, ends of the program, values in other clothes, aggregates of groups."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from headgate.diagrams.source import options, paths, shown
from headgate.diagrams.source.builtin import beside_code
from headgate.diagrams.source.flow import Part, Stop
from headgate.diagrams.source.meaning import PANDAS
from headgate.diagrams.source.rows import FRAMES
from headgate.diagrams.source.values import Called, Known, Thing, Value

if TYPE_CHECKING:
    from headgate.diagrams.source.machine import Machine

LEVELS = frozenset({"debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "log"})
GROUPS = frozenset({"groupby", "group_by", "groupBy", "resample", "rolling"})
TO_FRAMES = frozenset({"df", "toPandas", "to_pandas", "fetchdf", "fetch_df", "to_dataframe", "pl", "toDF"})
SAME_ROWS = TO_FRAMES | {
    "collect",
    "lazy",
    "compute",
    "persist",
    "cache",
    "copy",
    "fetchall",
    "reset_index",
    "arrow",
    "clone",
}
AGGREGATES = frozenset(
    {
        "sum",
        "mean",
        "count",
        "max",
        "min",
        "size",
        "nunique",
        "first",
        "last",
        "median",
        "std",
        "avg",
        "agg",
        "aggregate",
        "len",
        "transform",
        "apply",
    }
)


def plainly(machine: Machine, path: str, thing: Thing, call: Called, node: ast.Call) -> Value | None:
    """Logs, ends of the program, and calls that only wrap a value."""
    receiver = path.rpartition(".")[0]
    if call.name in LEVELS and (re.search(r"log", receiver, re.I) or receiver in ("logging", "loguru.logger")):
        step = machine.step(Part.LOG, "log", node)
        step.level = call.name
        step.tell(*(shown.cut(one.text) for one in call.args[:1]))
        return Known(value=None)
    if path in ("sys.exit", "builtins.exit", "builtins.quit", "os._exit"):
        machine.emit(Stop("exit", shown.listed(call.args[0]) if call.args else "", node.lineno))
        return Known(value=None)
    if (
        path
        in (
            "sqlalchemy.text",
            "sqlalchemy.sql.text",
            "sqlalchemy.sql.expression.text",
            "textwrap.dedent",
            "psycopg2.sql.SQL",
            "psycopg.sql.SQL",
            "pathlib.Path",
            "os.path.abspath",
            "os.path.expanduser",
            "str",
        )
        and call.args
    ):
        return call.args[0]
    if path in ("os.path.join", "posixpath.join", "pathlib.Path.joinpath"):
        from headgate.diagrams.source.values import joined

        parts: list[Value] = []
        for one in call.args[1:] if beside_code(call.args[0]) and len(call.args) > 1 else call.args:
            parts += [one, Known(value="/")]
        return joined(parts[:-1])
    if call.name in SAME_ROWS and thing.origins and not call.args:
        frame = FRAMES.match(thing.path)
        return Thing(
            thing.origins, frame[0] if frame else PANDAS if call.name in TO_FRAMES else thing.path, thing.calls
        )
    return options.called(path, thing, call) or paths.called(path, call)


def grouped(machine: Machine, _: str, thing: Thing, call: Called, node: ast.Call) -> Value | None:
    """An aggregate of groups is told with the groups: they are one step."""
    if call.name not in AGGREGATES or max(thing.origins, default=-1) < 0:
        return None
    step = machine.steps[max(thing.origins)]
    if step.what not in GROUPS:
        return None
    if call.name in ("agg", "aggregate"):
        step.tell(*shown.told("agg", call, node))
    else:
        assert isinstance(node.func, ast.Attribute)
        at = node.func.value
        column = (
            shown.plain(at.slice)
            if isinstance(at, ast.Subscript)
            else ", ".join(shown.listed(one) for one in call.args)
        )
        step.tell(shown.cut(f"{call.name}({column})" if column else call.name))
    return Thing(frozenset({step.number}), (FRAMES.match(thing.path) or [PANDAS])[0])
