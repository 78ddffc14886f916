"""Expressions to values."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from headgate.diagrams.source import builtin, calls, orm, paths, rows
from headgate.diagrams.source.values import (
    NOTHING,
    Class,
    Either,
    Function,
    Instance,
    Items,
    Known,
    ModuleRef,
    Pairs,
    SuperRef,
    Thing,
    Value,
    joined,
    known,
    merged,
    origins_of,
)

if TYPE_CHECKING:
    from headgate.diagrams.source.machine import Machine, Scope

OPERATORS: dict[type[ast.operator], str] = {
    ast.RShift: ">>", ast.LShift: "<<", ast.Add: "+", ast.Mod: "%", ast.Div: "/", ast.BitOr: "|", ast.Mult: "*",
    ast.Sub: "-", ast.FloorDiv: "//", ast.Pow: "**",
}  # fmt: skip


def evaluate(machine: Machine, node: ast.expr, scope: Scope) -> Value:  # noqa: C901 - one case a kind of node
    match node:
        case ast.Constant():
            return Known(NOTHING, node.value)
        case ast.Name():
            return name(machine, node.id, scope)
        case ast.Attribute():
            return attribute(machine, machine.evaluate(node.value, scope), node.attr, node, scope)
        case ast.Call():
            return calls.call(machine, node, scope)
        case ast.JoinedStr():
            return joined([machine.evaluate(part, scope) for part in node.values])
        case ast.FormattedValue():
            return machine.evaluate(node.value, scope)
        case ast.List() | ast.Tuple() | ast.Set():
            return Items(NOTHING, tuple(_elements(machine, node.elts, scope)))
        case ast.Dict():
            return _dict(machine, node, scope)
        case ast.BinOp():
            return _binary(machine, node, scope)
        case ast.Subscript():
            return rows.subscript(machine, node, scope)
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            return rows.comprehension(machine, node, scope)
        case _:
            return _other(machine, node, scope)


def _other(machine: Machine, node: ast.expr, scope: Scope) -> Value:  # noqa: C901 - one case a kind of node
    match node:
        case ast.Await():
            return machine.evaluate(node.value, scope)
        case ast.Yield():
            scope.yields = True
            if node.value:
                scope.returns.append(machine.evaluate(node.value, scope))
            return Thing(NOTHING, "?sent")
        case ast.YieldFrom():
            scope.yields = True
            scope.returns.append(machine.evaluate(node.value, scope))
            return Thing(NOTHING, "?sent")
        case ast.IfExp():
            machine.evaluate(node.test, scope)
            return merged(machine.evaluate(node.body, scope), machine.evaluate(node.orelse, scope))
        case ast.BoolOp():
            values = [machine.evaluate(one, scope) for one in node.values]
            if isinstance(node.op, ast.Or) and not (isinstance(values[0], Known)):
                return _first(values)
            return merged(values[0], values[-1])
        case ast.NamedExpr():
            value = machine.evaluate(node.value, scope)
            scope.env[node.target.id] = value
            return value
        case ast.Lambda():
            return Function(NOTHING, node, scope.module, scope.owner, None, scope.env)
        case ast.UnaryOp():
            return _unary(node, machine.evaluate(node.operand, scope))
        case ast.Compare():
            values = [machine.evaluate(one, scope) for one in (node.left, *node.comparators)]
            return Thing(origins_of(values), "?comparison")
        case ast.Starred():
            return machine.evaluate(node.value, scope)
        case _:
            inner = [one for one in ast.iter_child_nodes(node) if isinstance(one, ast.expr)]
            return Thing(origins_of([machine.evaluate(one, scope) for one in inner]), "?")


def _first(values: list[Value]) -> Value:
    """``a or b``: a where it is known, with b where it may be empty."""
    chosen = values[0]
    for value in values[1:]:
        chosen = merged(chosen, value)
    return chosen


def _unary(node: ast.UnaryOp, value: Value) -> Value:
    constant = known(value)
    if isinstance(node.op, ast.USub) and isinstance(constant, int | float):
        return Known(value.origins, -constant)
    if isinstance(node.op, ast.Not) and isinstance(constant, bool):
        return Known(value.origins, not constant)
    return Thing(value.origins, "?")


def name(machine: Machine, id_: str, scope: Scope) -> Value:
    """What a name stands for: in the function, around it, in the module, or from outside."""
    for env in (scope.env, scope.outer, machine.environments.get(scope.module.file, {})):
        if id_ in env:
            return env[id_]
    if id_ in scope.module.classes and scope.owner is None:
        return Class(NOTHING, scope.module.classes[id_])
    if id_ in scope.module.functions:
        return Function(NOTHING, scope.module.functions[id_], scope.module)
    if id_ in scope.module.classes:
        return Class(NOTHING, scope.module.classes[id_])
    if id_ == "super" and scope.owner is not None:
        return Thing(NOTHING, "super")
    if id_ in scope.module.imports:  # the module is not followed yet: it waits for one that waits for it
        origin, inner = scope.module.imports[id_]
        return machine.imported(origin, inner) if inner else machine.module_value(origin)
    return Thing(NOTHING, f"builtins.{id_}" if id_ in builtin.NAMES else f"?{id_}", shown="{" + id_ + "}")


def attribute(  # noqa: C901 - one case a kind of value
    machine: Machine, value: Value, attr: str, node: ast.AST, scope: Scope
) -> Value:
    """What ``value.attr`` is."""
    match value:
        case Instance():
            if attr in value.attributes:
                return value.attributes[attr]
            found = machine.attribute(value, attr)
            if isinstance(found, Function) and calls.is_property(found):
                return calls.enter(machine, found, (), {}, node, scope)
            return found or Thing(value.origins, f"?self.{attr}", shown="{" + attr + "}")
        case Class():
            found = machine.attribute(value, attr)
            if value.info is not None and not isinstance(found, Function):
                found = orm.column(machine, value.info, attr) or found
            return found or _outer_base(machine, value, attr)
        case SuperRef():
            return machine.attribute(value, attr) or Thing(NOTHING, f"?super.{attr}")
        case ModuleRef():
            assert value.module is not None
            env = machine.environment(value.module)
            if attr in env:
                return env[attr]
            inner = machine.program.find(f"{value.module.names[0]}.{attr}")
            return ModuleRef(NOTHING, inner) if inner else Thing(NOTHING, f"?{value.module.stem}.{attr}")
        case Either() if (found := paths.handle(value, attr)) is not None:
            return found
        case Either():
            options = [attribute(machine, option, attr, node, scope) for option in value.options[:4]]
            result = options[0]
            for option in options[1:]:
                result = merged(result, option)
            return result
        case Thing() if attr == "__name__":
            return Known(value.origins, value.path.rpartition(".")[2], whole=False)
        case Thing():
            plain = not value.calls and "(" not in value.path
            shown = "{" + f"{value.path.removeprefix('?')}.{attr}" + "}" if plain else ""
            return Thing(value.origins, f"{value.path}.{attr}", value.calls, shown)
        case _:
            return paths.part(value, attr) or paths.handle(value, attr) or Thing(value.origins, f"?.{attr}")


def _outer_base(machine: Machine, value: Class, attr: str) -> Value:
    """An attribute that a class has from a base outside of the project."""
    assert value.info is not None
    bases = [base for one in machine.lineage(value.info) for base in one.bases]
    return Thing(
        NOTHING, f"?{bases[0] if bases else value.info.name}.{attr}", shown="{" + f"{value.info.name}.{attr}}}"
    )


def _elements(machine: Machine, nodes: list[ast.expr], scope: Scope) -> list[Value]:
    found: list[Value] = []
    for node in nodes:
        value = machine.evaluate(node, scope)
        if isinstance(node, ast.Starred) and isinstance(value, Items):
            found += value.items
        else:
            found.append(value)
    return found


def _dict(machine: Machine, node: ast.Dict, scope: Scope) -> Value:
    pairs: dict[str, Value] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        given = machine.evaluate(value, scope)
        if key is not None:
            pairs[machine.evaluate(key, scope).text] = given
        elif isinstance(given, Pairs):
            pairs.update(given.pairs)
    return Pairs(NOTHING, pairs)


def _binary(machine: Machine, node: ast.BinOp, scope: Scope) -> Value:
    operator = OPERATORS.get(type(node.op), "")
    left, right = machine.evaluate(node.left, scope), machine.evaluate(node.right, scope)
    found = machine.vocabulary.operated(machine, operator, left, right) if operator else None
    if found is not None:
        return found
    return builtin.operated(operator, left, right)
