"""The vocabulary of data work: turns calls into steps, by the table of known calls, by SQL, and by names that say it."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from headgate.diagrams.source import shown, sql
from headgate.diagrams.source.flow import Block, Part, Place, Step, Stop
from headgate.diagrams.source.flow import Call as FlowCall
from headgate.diagrams.source.meaning import PANDAS, Meaning, meanings, part_of
from headgate.diagrams.source.places import places, system
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
)

if TYPE_CHECKING:
    from headgate.diagrams.source.machine import Machine, Scope

LEVELS = frozenset({"debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "log"})
GROUPS = frozenset({"groupby", "group_by", "groupBy", "resample", "rolling"})
AGGREGATES = frozenset(
    {"sum", "mean", "count", "max", "min", "size", "nunique", "first", "last", "median", "std", "avg", "agg", "aggregate", "len", "transform", "apply"}
)  # fmt: skip
RUNS_SQL = frozenset(
    {"execute", "executemany", "executescript", "query", "sql", "run", "get_pandas_df", "get_records", "get_first",
     "run_query", "execute_query", "fetch", "read_sql", "exec_driver_sql", "from_query", "read_query", "select", "fetchrow",
     "fetchval", "execute_sql", "raw", "to_dataframe", "execute_values", "execute_batch", "execute_statement", "command"}
)  # fmt: skip
CONFIG_FILE = re.compile(
    r"(^|[/_.-])(conf|config|configs|configuration|settings|params|credentials)([/_.-]|$)|\.env$|\.ini$", re.I
)
ALONE = re.compile(r"_*(extract|fetch_(?!all|one|many)|download|ingest|scrape|crawl)", re.I)
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
                return _step(machine, meaning, path, thing, call, node)
        if call.name in RUNS_SQL:
            found = _sql(machine, path, thing, call, node)
            if found is not None:
                return found
        return _file(machine, path, thing, call, node) or _by_name(machine, path, thing, call, node)

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
        if any(step.part in DATA for step in block.steps()):
            return None
        part = part_of(call.name)
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
        for one in call.args:
            parts += [one, Known(value="/")]
        return joined(parts[:-1])
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
        found = _sql(machine, path, thing, call, node, meaning)
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


def _sql(
    machine: Machine, path: str, thing: Thing, call: Called, node: ast.Call, meaning: Meaning | None = None
) -> Value | None:
    """A call that is given SQL: a step for each statement that reads or writes."""
    names = ("sql", "query", "statement", "Sql", "SQL", "operation")
    text = call.argument(meaning.at if meaning else 0, *(meaning.names if meaning else ()), *names)
    if text is not None and not sql.is_sql(text.text) and len(call.args) > 1:
        text = next((one for one in call.args if sql.is_sql(one.text)), text)
    if text is None:
        return None
    given = [one for one in (*call.args, *call.kwargs.values()) if one is not text]
    origins = thing.origins | origins_of(given)
    where = (meaning.system if meaning else "") or system(thing, call)
    known = [one for alternative in text.texts() for one in sql.statements(alternative)]
    gives = (meaning.gives if meaning and meaning.gives else "") or ("pyspark.DataFrame" if "park" in path else "?rows")
    if not known:
        return _opaque(machine, call, node, text, origins, where, gives) if meaning else None
    steps: list[Step] = []
    for one in known:
        same = next((step for step in steps if step.what == _verb(call, one)), None)
        if one.kind == "other":
            continue
        step = same or machine.step(Part.EXTRACT if one.kind == "read" else Part.LOAD, _verb(call, one), node, origins)
        if same is None:
            steps.append(step)
        step.tell(*one.detail, *(shown.named(call, meaning.detail) if meaning else ()))
        step.reads += [place for name in one.reads if (place := Place("table", name, where)) not in step.reads]
        step.writes += [place for name in one.writes if (place := Place("table", name, where)) not in step.writes]
    if not steps:
        return Thing(origins, "?result")
    reading = [step.number for step in steps if step.part is Part.EXTRACT]
    return Thing(frozenset(reading[-1:]), gives if reading else "?result", thing.calls[:0])


def _verb(call: Called, one: sql.Statement) -> str:
    if one.kind == "read" and call.name.startswith(("read_", "get_pandas")):
        return call.name
    return one.verb


def _opaque(
    machine: Machine, call: Called, node: ast.Call, text: Value, origins: frozenset[int], where: str, gives: str
) -> Value:
    """SQL that comes from elsewhere: a file, a parameter."""
    step = machine.step(Part.EXTRACT, call.name, node, origins)
    name = text.text
    if re.fullmatch(r"[\w.]+", name):
        step.reads.append(Place("table", name, where))
    else:
        step.tell(shown.cut(name))
        if where:
            step.reads.append(Place("system", where))
    return Thing(frozenset({step.number}), gives)


def _file(machine: Machine, path: str, thing: Thing, call: Called, node: ast.Call) -> Value | None:
    """Files that are opened and read or written by hand."""
    opened = thing.calls[-1] if thing.calls and thing.calls[-1].name in ("open", "Path") else None
    if opened is None or call.name not in ("read", "readlines", "readline", "write", "writelines"):
        return None
    name = opened.argument(0, "file").text if opened.argument(0, "file") else ""  # type: ignore[union-attr]
    place = Place("file", shown.clean(name))
    if call.name.startswith("read"):
        if CONFIG_FILE.search(name):
            machine.step(Part.CONFIG, "read", node).reads.append(place)
            return Thing(NOTHING, "?config", shown="{config}")
        if name.endswith(".sql"):
            return Thing(NOTHING, "?sql", shown=f"{{{name}}}")
        step = machine.step(Part.EXTRACT, "read file", node, thing.origins)
        step.reads.append(place)
        return Thing(frozenset({step.number}), "?text")
    step = machine.step(Part.LOAD, "write file", node, thing.origins | origins_of(call.args))
    step.writes.append(place)
    return Known(value=None)


def _by_name(machine: Machine, path: str, thing: Thing, call: Called, node: ast.Call) -> Value | None:
    """A call of something that is not known at all, whose name says what it is for."""
    if (
        not path.startswith("?")
        or thing.calls
        or path.startswith(("?logger", "?parser", "?re.", "?str.", "?exc", "?e."))
    ):
        return None
    part = part_of(call.name)
    given = [*call.args, *call.kwargs.values()]
    rows = any(holds_rows(one) for one in given)
    if part is None or (part is Part.EXTRACT and not ALONE.match(call.name)):
        return None
    if part in (Part.TRANSFORM, Part.LOAD, Part.VALIDATE) and not rows:
        return None
    if part is Part.TRANSFORM and call.name in ("add", "map", "process", "parse", "apply"):
        return None
    step = machine.step(part, path.removeprefix("?").removeprefix("self."), node, origins_of(given))
    if part in (Part.EXTRACT, Part.TRANSFORM):
        return Thing(frozenset({step.number}), "?rows")
    return Known(value=None)
