"""Calls that the table knows, as steps: whether the receiver fits, what they are called, where they read and write."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from headgate.diagrams.source import shown
from headgate.diagrams.source.asked import asked
from headgate.diagrams.source.byhand import CONFIG_FILE
from headgate.diagrams.source.flow import Part, Step
from headgate.diagrams.source.meaning import Meaning
from headgate.diagrams.source.places import places
from headgate.diagrams.source.rows import FRAMES, is_frame
from headgate.diagrams.source.values import NOTHING, Called, Thing, Value, origins_of, with_origins

if TYPE_CHECKING:
    from headgate.diagrams.source.machine import Machine, Scope

ALERTS = re.compile(r"hook|slack|alert|teams|pagerduty|opsgenie|victorops|discord|telegram|pushover|ntfy", re.I)
"""What stands in the address of services that tell people."""


def step_of(
    machine: Machine, meaning: Meaning, path: str, thing: Thing, call: Called, node: ast.Call, scope: Scope
) -> Value:
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
    if meaning.part is Part.LOAD and ALERTS.search(f"{names} {path}") and call.name in ("post", "send"):
        step.part, step.what = Part.NOTIFY, "post"
    if meaning.part is Part.EXTRACT and touched and all(CONFIG_FILE.search(one.name) for one in touched):
        step.part = Part.CONFIG
        return Thing(NOTHING, "?config", shown="{config}")
    if meaning.part is Part.CONFIG:
        return Thing(NOTHING, "?config", shown="{config}")
    if meaning.how == "subscribed":
        _keep(machine, node, thing, step, scope)
    merged = _merged(machine, step)
    return Thing(frozenset({merged.number}), gives, () if meaning.gives else thing.calls[:0])


def fits(meaning: Meaning, path: str, thing: Thing, call: Called) -> bool:
    if ".Window." in path:
        return False  # rows are named, not taken
    match meaning.needs:
        case "handle":
            return "(" in thing.path and not thing.origins
        case "frame only":
            return is_frame(thing_before(thing)) and ".str." not in path
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


def kept_in_memory(thing: Thing, call: Called, node: ast.Call, scope: Scope) -> bool:
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


def _keep(machine: Machine, node: ast.Call, thing: Thing, step: Step, scope: Scope) -> None:
    """A receiver that was told where to read gives those rows from now on."""
    from headgate.diagrams.source.calls import store

    if isinstance(node.func, ast.Attribute):
        store(machine, node.func.value, with_origins(thing_before(thing), frozenset({step.number})), scope)


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
        "set",
        "open",
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
