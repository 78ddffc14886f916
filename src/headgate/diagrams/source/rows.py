"""What is done to rows without calling anybody: masks, new columns, comprehensions, assertions."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from headgate.diagrams.source import builtin
from headgate.diagrams.source.flow import Part, Step
from headgate.diagrams.source.values import (
    NOTHING,
    Instance,
    Items,
    Known,
    Pairs,
    Thing,
    Value,
    known,
    origins_of,
    with_origins,
)

if TYPE_CHECKING:
    from headgate.diagrams.source.machine import Machine, Scope

FRAMES = re.compile(r"^(pandas|polars|pyspark|duckdb|dask)\.(DataFrame|LazyFrame)")
_NAMED = re.compile(r"(^|_)(df|dfs|data|dataframe|frame|sdf|ddf|ldf)(_|\d|$)|^df|df$|_df_", re.I)
COLUMNS = "compute"
MAPPED = "map rows"
BY_HAND = (COLUMNS, MAPPED)
"""What rows are given by hand, without a library."""
KEYED = ("pymongo.", "motor.", "mongomock.")
"""Libraries whose ``client["name"]`` is the same as ``client.name``."""


def is_frame(value: Value) -> bool:
    """Whether a value is a table in memory: it came from a step that gives one, or its name says so."""
    if not isinstance(value, Thing):
        return False
    if FRAMES.match(value.path):
        return True
    last = re.sub(r"\(\)|\[\]", "", value.path).rpartition(".")[2].removeprefix("?")
    return value.path.startswith("?") and not value.calls and bool(_NAMED.search(last))


def holds_rows(value: Value) -> bool:
    return bool(origins_of([value])) or is_frame(value)


def subscript(machine: Machine, node: ast.Subscript, scope: Scope) -> Value:
    value = machine.evaluate(node.value, scope)
    if isinstance(node.slice, ast.Slice):
        return value
    at = machine.evaluate(node.slice, scope)
    match value:
        case Pairs() if isinstance(at, Known) and at.text in value.pairs:
            return value.pairs[at.text]
        case Items() if isinstance(known(at), int) and -len(value.items) <= known(at) < len(value.items):
            number: int = known(at)
            return value.items[number]
        case Items() if value.items:
            return builtin.element(value)
        case Thing() if is_frame(value) and _is_mask(node.slice) and not isinstance(node.ctx, ast.Store):
            return _filtered(machine, node, value)
        case Thing() if value.path.startswith(KEYED) and isinstance(at, Known):
            return Thing(value.origins, f"{value.path}.{at.text}", value.calls)
        case Thing():
            shown = value.text.strip("{}")
            named = at.text.strip("{}") if value.calls else f"{shown}.{at.text.strip('{}')}"
            text = "{" + named + "}" if isinstance(at, Known) and named else value.text
            if value.path in ("os.environ", "environ"):
                text = "${" + at.text + "}"
            return Thing(value.origins, f"{value.path}[]", value.calls, text)
        case _:
            return Thing(value.origins | at.origins, "?")


def _is_mask(node: ast.expr) -> bool:
    """Whether an index chooses rows: a comparison, a combination of such, ``isin``, ``notnull``, ``~``."""
    match node:
        case ast.Compare():
            return True
        case ast.BinOp(op=ast.BitAnd() | ast.BitOr()):
            return _is_mask(node.left) or _is_mask(node.right)
        case ast.UnaryOp(op=ast.Invert()):
            return True
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in MASKS
        case ast.Name(id=name):
            return "mask" in name or name.startswith(("is_", "has_"))
        case _:
            return False


MASKS = frozenset(
    {
        "isin",
        "notnull",
        "notna",
        "isnull",
        "isna",
        "between",
        "contains",
        "startswith",
        "endswith",
        "match",
        "duplicated",
        "ne",
        "eq",
        "gt",
        "ge",
        "lt",
        "le",
    }
)


def _filtered(machine: Machine, node: ast.Subscript, value: Thing) -> Value:
    step = machine.step(Part.TRANSFORM, "filter", node, value.origins)
    step.tell(condition(node.slice))
    return Thing(frozenset({step.number}), value.path, value.calls, value.shown)


def condition(node: ast.expr) -> str:
    """A mask, as one would say it: ``df["amount"] > 0`` is ``amount > 0``."""
    text = " ".join(ast.unparse(node).split())
    text = re.sub(r"\b\w+(?:\.\w+)*\[['\"]([^'\"\]]+)['\"]\]", r"\1", text)
    text = re.sub(r"\bF\.col\(['\"]([^'\"]+)['\"]\)", r"\1", text)
    text = re.sub(r"\b(?:pl\.)?col\(['\"]([^'\"]+)['\"]\)", r"\1", text)
    return text if len(text) <= 70 else text[:69] + "…"


def comprehension(
    machine: Machine, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, scope: Scope
) -> Value:
    """Rows through a comprehension: those with a condition are filtered; the element may call what does more."""
    outer, results = scope.env, []
    scope.env = dict(outer)
    origins: frozenset[int] = NOTHING
    filters: list[str] = []
    for generator in node.generators:
        value = machine.evaluate(generator.iter, scope)
        origins |= origins_of([value])
        from headgate.diagrams.source.statements import assign

        rounds = value.items if machine.vocabulary.unrolls and isinstance(value, Items) else (builtin.element(value),)
        if len(node.generators) == 1 and len(rounds) > 1 and not isinstance(node, ast.DictComp):
            for one in rounds[:100]:
                assign(machine, generator.target, one, scope)
                results.append(machine.evaluate(node.elt, scope))
        assign(machine, generator.target, rounds[0] if rounds else Thing(origins, "?"), scope)
        for test in generator.ifs:
            machine.evaluate(test, scope)
            filters.append(" ".join(ast.unparse(test).split()))
    if not results:
        elements = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        results = [machine.evaluate(one, scope) for one in elements]
    scope.env = outer
    origins |= origins_of(results)
    if origins and filters and not _of_names(node):
        step = machine.step(Part.TRANSFORM, "filter", node, origins)
        step.tell(*(text[:70] for text in filters))
        origins = frozenset({step.number})
    elif origins and isinstance(node, ast.ListComp) and isinstance(node.elt, ast.Dict):
        step = machine.step(Part.TRANSFORM, MAPPED, node, origins)
        step.tell(_few([one.value for one in node.elt.keys if isinstance(one, ast.Constant)]))
        origins = frozenset({step.number})
    if isinstance(node, ast.DictComp):
        key, given = results[0], results[-1]
        return Pairs(origins, {key.text: given}) if isinstance(key, Known) and key.whole else Thing(origins, "?rows")
    if machine.vocabulary.unrolls:
        return Items(origins, tuple(results))
    return Items(origins, tuple(with_origins(one, origins) for one in results))


def _of_names(node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> bool:
    """Whether it goes through the names of columns, which are no rows."""
    return all(
        isinstance(one.iter, ast.Attribute) and one.iter.attr in ("columns", "dtypes") for one in node.generators
    )


def _few(names: list[object]) -> str:
    shown = ", ".join(str(name) for name in names[:6])
    return shown + (" …" if len(names) > 6 else "")


def assigned(machine: Machine, node: ast.Assign, scope: Scope) -> Value:
    """The value of an assignment; choosing columns counts where the result is kept."""
    value = machine.evaluate(node.value, scope)
    source = node.value
    if (
        isinstance(source, ast.Subscript)
        and isinstance(source.slice, ast.List)
        and isinstance(value, Thing)
        and is_frame(machine_frame(machine, source.value, scope))
        and isinstance(node.targets[0], ast.Name)
    ):
        before = machine_frame(machine, source.value, scope)
        step = machine.step(Part.TRANSFORM, "select", node, before.origins)
        names = [one.value for one in source.slice.elts if isinstance(one, ast.Constant)]
        step.tell(_few(list(names)))
        return Thing(frozenset({step.number}), before.path if isinstance(before, Thing) else "pandas.DataFrame")
    return value


def machine_frame(machine: Machine, node: ast.expr, scope: Scope) -> Value:
    """What a plain name or attribute stands for; nothing is done twice."""
    return machine.evaluate(node, scope) if isinstance(node, ast.Name | ast.Attribute) else Thing(path="?")


def stored(machine: Machine, target: ast.Subscript, value: Value, scope: Scope) -> None:
    """``owner[key] = value``: an entry of a mapping, or a column of a table."""
    owner_node = target.value
    if isinstance(owner_node, ast.Attribute) and owner_node.attr in ("loc", "at", "iloc"):
        owner_node = owner_node.value
        key = target.slice.elts[-1] if isinstance(target.slice, ast.Tuple) and target.slice.elts else target.slice
    else:
        key = target.slice
    owner = machine.evaluate(owner_node, scope)
    if isinstance(owner, Pairs):
        owner.pairs[machine.evaluate(key, scope).text] = value
    if isinstance(key, ast.Constant) and isinstance(key.value, str) and _is_row(owner_node, owner):
        _amended(machine, owner_node, owner, COLUMNS, key.value, target, scope, value)
        return
    if isinstance(owner, Pairs):
        return
    if isinstance(owner, Items):
        return
    at = machine.evaluate(key, scope) if not isinstance(key, ast.Slice) else Known(value="")
    column(machine, owner_node, at.text, value, target, scope)


def _is_row(node: ast.expr, owner: Value) -> bool:
    """Whether a name stands for one row: rows are in it, and it is no table in memory and no list."""
    if not isinstance(node, ast.Name) or not owner.origins or is_frame(owner):
        return False
    return isinstance(owner, Pairs) or (isinstance(owner, Thing) and not FRAMES.match(owner.path))


def distinct(machine: Machine, node: ast.Call, scope: Scope) -> Value | None:
    """``{row.key: row for row in rows}.values()``: one row a key; None for any other call."""
    match node.func:
        case ast.Attribute(
            attr="values",
            value=ast.DictComp(
                key=ast.Attribute() | ast.Subscript() | ast.Tuple() as key,
                value=ast.Name(id=kept),
                generators=[ast.comprehension(target=ast.Name(id=each))],
            ) as rows,
        ) if kept == each:
            value = machine.evaluate(rows, scope)
            if not origins_of([value]):
                return None
            step = machine.step(Part.TRANSFORM, "deduplicate", node, origins_of([value]))
            step.tell(f"one a {ast.unparse(key).replace(each + '.', '')}"[:70])
            return Items(frozenset({step.number}), (Thing(frozenset({step.number}), "?row"),))
        case _:
            return None


def skipped(machine: Machine, node: ast.If, value: Value) -> None:
    """``if is_bot(event): return``: rows of which a question is true are left out."""
    match node:
        case ast.If(
            test=ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)),
            body=[ast.Continue() | ast.Return(value=None)],
        ) if value.origins and ASKS.match(name):
            step = machine.step(Part.TRANSFORM, "filter", node, value.origins)
            step.tell(f"not {' '.join(ast.unparse(node.test).split())}"[:70])


ASKS = re.compile(r"_*(is|has|should|skip|ignore)_")


def column(machine: Machine, owner_node: ast.expr, name: str, value: Value, node: ast.expr, scope: Scope) -> None:
    """A column of a table gets values. Columns that follow each other are one step."""
    owner = machine.evaluate(owner_node, scope)
    if not is_frame(owner) or name in ("columns", "index", "name"):
        if is_frame(owner) and name == "columns":
            _amended(machine, owner_node, owner, "rename", "columns", node, scope, value)
        elif isinstance(owner, Thing) and owner.origins and isinstance(owner_node, ast.Name):
            _kept(scope, owner_node, with_origins(owner, value.origins))
        return
    _amended(machine, owner_node, owner, COLUMNS, name, node, scope, value)


def _amended(
    machine: Machine,
    owner_node: ast.expr,
    owner: Value,
    what: str,
    name: str,
    node: ast.expr,
    scope: Scope,
    value: Value,
) -> None:
    items = machine.blocks[-1].items
    last = next((one for one in reversed(items) if not (isinstance(one, Step) and one.part is Part.LOG)), None)
    inputs = owner.origins | value.origins
    if isinstance(last, Step) and last.what == what and (last.number in owner.origins or not owner.origins):
        if len(last.detail) < 8:
            last.tell(name)
        last.inputs |= inputs - {last.number}
        return
    step = machine.step(Part.TRANSFORM, what, node, inputs)
    step.tell(name)
    _kept(scope, owner_node, replace(owner, origins=frozenset({step.number})))
    if isinstance(owner_node, ast.Attribute):
        holder = machine.evaluate(owner_node.value, scope)
        if isinstance(holder, Instance):
            holder.attributes[owner_node.attr] = replace(owner, origins=frozenset({step.number}))


def _kept(scope: Scope, node: ast.expr, value: Value) -> None:
    if isinstance(node, ast.Name):
        scope.env[node.id] = value


def asserted(machine: Machine, node: ast.Assert, scope: Scope) -> None:
    value = machine.evaluate(node.test, scope)
    if value.origins:
        step = machine.step(Part.VALIDATE, "assert", node, value.origins)
        step.tell(condition(node.test))
