"""The vocabulary of data work: calls become steps, by the table of known calls, by SQL, and by names that say it."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from headgate.diagrams.source import shown
from headgate.diagrams.source.asked import asked
from headgate.diagrams.source.builtin import beside_code
from headgate.diagrams.source.byhand import ALONE, CONFIG_FILE, by_name, file
from headgate.diagrams.source.flow import Block, Part, Step, Stop
from headgate.diagrams.source.flow import Call as FlowCall
from headgate.diagrams.source.meaning import PANDAS, Meaning, meanings
from headgate.diagrams.source.names import part_of
from headgate.diagrams.source.places import places
from headgate.diagrams.source.rows import FRAMES, holds_rows, is_frame
from headgate.diagrams.source.values import (
    NOTHING,
    Called,
    Class,
    Function,
    Instance,
    Items,
    Known,
    Pairs,
    Thing,
    Value,
    origins_of,
    with_origins,
)

if TYPE_CHECKING:
    from headgate.diagrams.source.machine import Machine, Scope

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
DATA = (Part.EXTRACT, Part.TRANSFORM, Part.LOAD)
_BRACKETS = re.compile(r"\(\)|\[\]")


class Etl:
    """See :class:`headgate.diagrams.source.machine.Vocabulary`."""

    unrolls = False

    def called(self, machine: Machine, thing: Thing, call: Called, node: ast.Call, scope: Scope) -> Value | None:
        path = _BRACKETS.sub("", thing.path)
        found = _plainly(machine, path, thing, call, node)
        if found is not None:
            return found
        grouped = _grouped(machine, thing, call, node)
        if grouped is not None:
            return grouped
        for meaning in meanings(path):
            if _fits(meaning, path, thing, call):
                if meaning.part is Part.LOAD and _kept_in_memory(thing, call, node, scope):
                    return Known(value=None)
                return _step(machine, meaning, path, thing, call, node)
        if call.name in RUNS_SQL:
            found = asked(machine, path, thing, call, node)
            if found is not None:
                return found
        return file(machine, thing, call, node) or by_name(machine, path, thing, call, node)

    def operated(self, machine: Machine, operator: str, left: Value, right: Value) -> Value | None:
        return None

    def entered(self, machine: Machine, function: Function, call: Called, node: ast.AST, scope: Scope) -> Value | None:
        if part_of(call.name) is not Part.NOTIFY:
            return None
        with machine.block() as block:
            step = machine.step(Part.NOTIFY, call.name, node)
        texts = [
            one.text
            for one in (*call.args, *call.kwargs.values())
            if isinstance(one, Known) and isinstance(one.value, str)
        ]
        step.tell(*(shown.cut(shown.clean(text)) for text in texts[:1]))
        made = function.this.info if isinstance(function.this, Instance) else function.owner
        owner = made.name if made else function.module.stem if function.module else ""
        machine.emit(FlowCall(owner, call.name, Part.NOTIFY, block, line=step.line))
        return Known(value=None)

    def left(
        self, machine: Machine, function: Function, call: Called, block: Block, result: Value, node: ast.AST
    ) -> Value | None:
        """A function in whose body nothing was recognised, but whose name says what it is for."""
        if all(isinstance(one, Stop) and "NotImplemented" in one.text for one in block.items):
            block.items.clear()
        part = part_of(call.name)
        done = {step.part for step in block.steps() if step.part in DATA}
        if part is Part.VALIDATE and done == {Part.EXTRACT} and _raises(block):
            step = machine.step(part, call.name, node, frozenset(one.number for one in block.steps()))
            block.items.insert(0, machine.blocks[-1].items.pop())
            return None
        if done:
            return None
        given = [*call.args, *call.kwargs.values()]
        if part is None or part is Part.NOTIFY or (call.name.startswith("__")):
            return None
        rows = any(holds_rows(one) for one in given) or (
            function.this is not None and holds_rows(_inside(function.this))
        )
        empty = isinstance(result, Known) and (result.value is None or isinstance(result.value, bool | int))
        if part is Part.EXTRACT and (empty or not _worthy(call.name)):
            return None
        if part in (Part.TRANSFORM, Part.LOAD, Part.VALIDATE) and not rows:
            return None
        if part is Part.TRANSFORM and empty:
            return None
        step = machine.step(part, call.name, node, origins_of(given))
        block.items.insert(0, machine.blocks[-1].items.pop())
        if part in (Part.LOAD, Part.VALIDATE) and empty:
            return None
        path = result.path if isinstance(result, Thing) else "rows"
        return (
            Thing(frozenset({step.number}), path)
            if not isinstance(result, Items) or part is not Part.VALIDATE
            else None
        )

    def made_by(self, machine: Machine, class_: Class, call: Called, node: ast.AST, scope: Scope) -> Value | None:
        return None

    def decorated(self, machine: Machine, function: Value, decorator: ast.expr, scope: Scope) -> Value:
        return function

    def used(self, machine: Machine, value: Value, node: ast.With | ast.AsyncWith, begins: bool) -> None:
        return


def _raises(block: Block) -> bool:
    return any(isinstance(item, Stop) and item.kind == "raise" for item in block.walk())


def _inside(this: Value) -> Value:
    return Pairs(NOTHING, this.attributes) if isinstance(this, Instance) else this


def _worthy(name: str) -> bool:
    return bool(ALONE.match(name)) or bool(
        re.match(r"_*(get_(data|rows|records)|read_|collect|pull|query)", name, re.I)
    )


def _plainly(machine: Machine, path: str, thing: Thing, call: Called, node: ast.Call) -> Value | None:
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
    if path in ("os.getenv", "os.environ.get", "decouple.config") and call.args:
        return Thing(path="?environment", shown="${" + call.args[0].text + "}")
    return None


def _grouped(machine: Machine, thing: Thing, call: Called, node: ast.Call) -> Value | None:
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


def _fits(meaning: Meaning, path: str, thing: Thing, call: Called) -> bool:
    match meaning.needs:
        case "rows":
            return is_frame(thing_before(thing)) or bool(thing.origins and _loose(path))
        case "given":
            return any(origins_of([one]) for one in (*call.args, *call.kwargs.values()))
        case "joined":
            keys = {"on", "left_on", "how", "right_on", "left_index"} & set(call.kwargs)
            return bool(keys) and not path.startswith(("os.", "str", "builtins"))
        case "unknown":
            return (
                path.startswith("?")
                or is_frame(thing_before(thing))
                or bool(thing.origins)
                or "." in meaning.pattern.strip("*.")
                or _client(path)
            )
        case "frame":
            return path.startswith("?") or is_frame(thing_before(thing)) or bool(thing.origins)
        case "nothing":
            return not thing.origins and not any(origins_of([one]) for one in call.args)
        case _:
            return True


def _kept_in_memory(thing: Thing, call: Called, node: ast.Call, scope: Scope) -> bool:
    """Whether rows are written into a buffer, which then holds them: no place that data goes to."""
    for value, argument in zip(call.args, node.args, strict=False):
        if isinstance(value, Thing) and value.path in ("io.BytesIO()", "io.StringIO()", "StringIO.StringIO()"):
            if isinstance(argument, ast.Name):
                scope.env[argument.id] = with_origins(value, thing.origins | origins_of(call.args))
            return True
    return False


def _client(path: str) -> bool:
    return path.startswith(("boto3", "google.cloud", "azure", "pymongo", "minio", "psycopg", "pyspark", "sqlalchemy"))


def _loose(path: str) -> bool:
    """Whether a chain that began with rows may still be a table: responses, files and texts are none."""
    return path.startswith("?") and not re.match(r"\?(self|re|str|os)\b", path)


def thing_before(thing: Thing) -> Thing:
    """The receiver of a call, from the path of its method."""
    return Thing(thing.origins, thing.path.rpartition(".")[0] or "?", thing.calls)


def _step(machine: Machine, meaning: Meaning, path: str, thing: Thing, call: Called, node: ast.Call) -> Value:
    given = [*call.args, *call.kwargs.values()]
    origins = thing.origins | origins_of(given)
    gives = (
        meaning.gives or (FRAMES.match(thing.path) or [""])[0] or ("?rows" if meaning.part is Part.EXTRACT else "?df")
    )
    if meaning.how == "quiet":
        return Thing(origins, gives)
    if meaning.how == "sql":
        found = asked(machine, path, thing, call, node, meaning)
        if found is not None:
            return found
    step = machine.step(meaning.part, _what(path), node, origins)
    step.tell(*shown.told(meaning.how, call, node), *shown.named(call, meaning.detail))
    touched = places(meaning, path, thing, call)
    if meaning.how == "chain":
        step.tell(*_chained(thing))
    if meaning.part is Part.LOAD:
        step.writes += touched
    else:
        step.reads += touched
    names = " ".join(one.name for one in touched)
    if (
        meaning.part is Part.LOAD
        and re.search(r"hook|slack|alert|teams", names + " " + path, re.I)
        and call.name in ("post", "send")
    ):
        step.part, step.writes, step.what = Part.NOTIFY, [], "post"
        step.tell(*(one.name for one in touched))
    if meaning.part is Part.EXTRACT and touched and all(CONFIG_FILE.search(one.name) for one in touched):
        step.part = Part.CONFIG
        return Thing(NOTHING, "?config", shown="{config}")
    if meaning.part is Part.CONFIG:
        return Thing(NOTHING, "?config", shown="{config}")
    merged = _merged(machine, step)
    return Thing(frozenset({merged.number}), gives, () if meaning.gives else thing.calls[:0])


def _merged(machine: Machine, step: Step) -> Step:
    """Rows that are written one after the other into one file are one step."""
    items = machine.blocks[-1].items
    before = items[-2] if len(items) > 1 else None
    if (
        isinstance(before, Step)
        and before.part is step.part is Part.LOAD
        and before.writes == step.writes
        and before.what[:8] == step.what[:8] == "writerow"
    ):
        before.inputs |= step.inputs
        items.pop()
        machine.steps.pop()
        return before
    return step


def _what(path: str) -> str:
    """The verb, with the word before it where the verb alone says little."""
    parts = path.removeprefix("?").split(".")
    for verb in ("read", "readStream", "write", "writeStream"):
        if verb in parts[:-1]:
            return f"{verb}.{parts[-1]}"
    if parts[-1] in (
        "get",
        "post",
        "put",
        "patch",
        "load",
        "dump",
        "reader",
        "send",
        "read",
        "find",
        "concat",
        "request",
    ):
        return ".".join(parts[-2:]) if len(parts) > 1 and parts[-2] != "self" else parts[-1]
    return parts[-1]


def _chained(thing: Thing) -> list[str]:
    """What the calls of a chain say: ``format("jdbc").mode("append").partitionBy("day")``."""
    found = []
    for call in thing.calls:
        if call.name in ("mode", "format", "partitionBy", "bucketBy", "outputMode", "trigger") and (
            call.args or call.kwargs
        ):
            text = ", ".join(
                filter(
                    None,
                    [
                        *(shown.listed(one) for one in call.args),
                        *(f"{k}={shown.listed(v)}" for k, v in call.kwargs.items()),
                    ],
                )
            )
            found.append(shown.cut(f"{call.name}={text}"))
    return found
