"""Calls that are given SQL: a step for each statement that reads or writes."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from headgate.diagrams.source import shown, sql
from headgate.diagrams.source.flow import Part, Place, Step
from headgate.diagrams.source.meaning import Meaning
from headgate.diagrams.source.places import system
from headgate.diagrams.source.values import Called, Thing, Value, origins_of

if TYPE_CHECKING:
    from headgate.diagrams.source.machine import Machine


def asked(
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
        files = [place for name in one.reads if (place := _place(name, where)).kind == "file"]
        if files and one.kind == "write":  # rows of files go into a table: both are told
            source = machine.step(Part.EXTRACT, "SELECT", node, origins)
            source.reads += files
            origins |= {source.number}
        same = next((step for step in steps if step.what == _verb(call, one)), None)
        if one.kind == "other":
            continue
        step = same or machine.step(Part.EXTRACT if one.kind == "read" else Part.LOAD, _verb(call, one), node, origins)
        if same is None:
            steps.append(step)
        step.tell(*one.detail, *(shown.named(call, meaning.detail) if meaning else ()))
        step.reads += [
            place
            for name in one.reads
            if (place := _place(name, where)) not in step.reads and not (place in files and step.part is Part.LOAD)
        ]
        step.writes += [place for name in one.writes if (place := _target(name, where, one.verb)) not in step.writes]
    if not steps:
        return Thing(origins, "?result")
    reading = [step.number for step in steps if step.part is Part.EXTRACT]
    return Thing(frozenset(reading[-1:]), gives if reading else "?result", thing.calls[:0])


_FILE = re.compile(r"://|/|\.(csv|parquet|json|jsonl|ndjson|gz|tsv)$")


def _place(name: str, where: str) -> Place:
    """A table, or a file that is read within SQL."""
    return Place("file", shown.clean(name)) if _FILE.search(name) else Place("table", name, where)


def _target(name: str, where: str, verb: str) -> Place:
    """A table; but COPY and UNLOAD write files, too."""
    if verb in ("COPY", "UNLOAD", "PUT") and _FILE.search(name):
        return Place("file", name)
    return Place("table", name, where)


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
