"""Calls: into functions and classes of the project, or out of it, where the vocabulary says what they mean."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from headgate.diagrams.source import builtin, options, rows
from headgate.diagrams.source.flow import Call, Choice, Stop
from headgate.diagrams.source.modules import FunctionNode
from headgate.diagrams.source.names import part_of
from headgate.diagrams.source.retries import retry_of
from headgate.diagrams.source.values import (
    NOTHING,
    Called,
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
    merged,
    origins_of,
    with_origins,
)

if TYPE_CHECKING:
    from headgate.diagrams.source.machine import Machine, Scope
    from headgate.diagrams.source.modules import ClassInfo

ENTERING = frozenset({"map", "submit", "apply_async", "run_in_executor", "imap", "starmap", "Thread", "Process", "run"})


def call(machine: Machine, node: ast.Call, scope: Scope) -> Value:
    distinct = rows.distinct(machine, node, scope)
    if distinct is not None:
        return distinct
    if isinstance(node.func, ast.Name) and node.func.id == "super":
        return SuperRef(NOTHING, scope.owner and _info(scope), scope.owner, scope.this)
    function = machine.evaluate(node.func, scope)
    args, kwargs = _arguments(machine, node, scope)
    if isinstance(node.func, ast.Attribute):
        receiver = function if isinstance(function, Function | Class | Instance) else None
        if receiver is None:
            found = _own_method(machine, node, scope, Called(node.func.attr, args, kwargs))
            if found is not None:
                return found
    return apply(machine, function, args, kwargs, node, scope)


def _info(scope: Scope) -> ClassInfo | None:
    return scope.this.info if isinstance(scope.this, Instance | Class) else scope.owner


def _own_method(machine: Machine, node: ast.Call, scope: Scope, called: Called) -> Value | None:
    """A method of a text, list or mapping that is known; ``rows.append(x)`` makes the list longer."""
    assert isinstance(node.func, ast.Attribute)
    target = node.func.value
    if not isinstance(target, ast.Name | ast.Attribute | ast.Constant | ast.Call | ast.JoinedStr | ast.BinOp):
        return None
    if isinstance(target, ast.Call):
        return None
    value = machine.evaluate(target, scope)
    if isinstance(value, Items) and called.name in ("append", "extend", "add", "insert") and called.args:
        given = called.args[-1]
        added = given.items if called.name == "extend" and isinstance(given, Items) else (given,)
        longer = Items(origins_of([value, given]), (*value.items, *added)[:200])
        store(machine, target, longer, scope)
        return Known(value=None)
    return builtin.method(value, called)


def store(machine: Machine, target: ast.expr, value: Value, scope: Scope) -> None:
    """What a name or an attribute stands for was changed in place."""
    if isinstance(target, ast.Name):
        around = target.id not in scope.env and target.id in scope.outer and isinstance(scope.outer, dict)
        (scope.outer if around else scope.env)[target.id] = value  # type: ignore[index]
    elif isinstance(target, ast.Attribute):
        owner = machine.evaluate(target.value, scope)
        if isinstance(owner, Instance):
            owner.attributes[target.attr] = value


def _arguments(machine: Machine, node: ast.Call, scope: Scope) -> tuple[tuple[Value, ...], dict[str, Value]]:
    args: list[Value] = []
    for one in node.args:
        value = machine.evaluate(one, scope)
        if isinstance(one, ast.Starred) and isinstance(value, Items):
            args += value.items
        else:
            args.append(value)
    kwargs: dict[str, Value] = {}
    for keyword in node.keywords:
        value = machine.evaluate(keyword.value, scope)
        if keyword.arg is not None:
            kwargs[keyword.arg] = value
        elif isinstance(value, Pairs):
            kwargs.update(value.pairs)
    return tuple(args), kwargs


def apply(
    machine: Machine,
    function: Value,
    args: Sequence[Value],
    kwargs: Mapping[str, Value],
    node: ast.Call,
    scope: Scope,
) -> Value:
    match function:
        case Function():
            return enter(machine, function, args, kwargs, node, scope)
        case Class():
            return instance(machine, function, args, kwargs, node, scope)
        case Instance():
            method = machine.attribute(function, "__call__")
            if isinstance(method, Function):
                return enter(machine, method, args, kwargs, node, scope)
        case Either() if all(isinstance(one, Thing) for one in function.options):
            origins = origins_of(function.options)
            likely = max(function.options, key=lambda one: isinstance(one, Thing) and rows.is_frame(one))
            return apply(machine, with_origins(likely, origins), args, kwargs, node, scope)  # one call, one step
        case Either():
            found = [apply(machine, one, args, kwargs, node, scope) for one in function.options[:3]]
            result = found[0]
            for other in found[1:]:
                result = merged(result, other)
            return result
        case ModuleRef() | Known() | Items() | Pairs():
            pass
        case Thing():
            return outside(machine, function, tuple(args), kwargs, node, scope)
    return Thing(origins_of([*args, *kwargs.values()]), "?")


def outside(
    machine: Machine,
    function: Thing,
    args: tuple[Value, ...],
    kwargs: Mapping[str, Value],
    node: ast.Call,
    scope: Scope,
) -> Value:
    """A call that leaves the project: what the vocabulary makes of it, else something with the same rows in it."""
    called = Called(function.path.rpartition(".")[2].removeprefix("?"), args, kwargs)
    found = machine.vocabulary.called(machine, function, called, node, scope)
    if found is not None:
        return found
    if function.path.startswith("builtins."):
        result = builtin.function(called.name, args)
        if result is not None:
            return result
    given = [*args, *kwargs.values()]
    origins = function.origins | origins_of(given)
    for value in given:
        if isinstance(value, Function) and (called.name in ENTERING or value.this is not None):
            rest = [one for one in args if one is not value]
            rest = [element for one in rest for element in (one.items if isinstance(one, Items) else (one,))]
            inner = enter(machine, value, rest, {}, node, scope)
            origins |= inner.origins
    return Thing(origins, f"{function.path}()", (*function.calls, called)[-12:])


def instance(
    machine: Machine, class_: Class, args: Sequence[Value], kwargs: Mapping[str, Value], node: ast.AST, scope: Scope
) -> Value:
    """An object, made by following ``__init__``."""
    info = class_.info
    assert info is not None
    special = machine.vocabulary.made_by(machine, class_, Called(info.name, tuple(args), kwargs), node, scope)
    if special is not None:
        return special
    made = Instance(NOTHING, info, {}, (*args, *kwargs.values()))
    init = machine.attribute(made, "__init__")
    if isinstance(init, Function):
        enter(machine, init, args, kwargs, node, scope)
    else:
        made.attributes.update(kwargs)  # a dataclass, or a model
        names = [n.target.id for n in info.node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
        made.attributes.update(zip(names, args, strict=False))
    origins = origins_of([*args, *kwargs.values()])
    return with_origins(made, origins)


def enter(
    machine: Machine,
    function: Function,
    args: Sequence[Value],
    kwargs: Mapping[str, Value],
    node: ast.AST,
    scope: Scope,
) -> Value:
    """Follow a function of the project with these arguments."""
    from headgate.diagrams.source.machine import DEEPEST

    body = function.node
    assert body is not None
    assert function.module is not None
    if isinstance(body, ast.Lambda):
        return _lambda(machine, function, body, args, kwargs)
    called = Called(body.name, tuple(args), kwargs)
    replaced = machine.vocabulary.entered(machine, function, called, node, scope)
    given = origins_of([*args, *kwargs.values()])
    if replaced is not None:
        machine.entered.setdefault(body, set()).add(machine.active[-1] if machine.active else None)
        return replaced
    if body in machine.active or len(machine.active) >= DEEPEST:
        return Thing(given, f"?{body.name}()")
    machine.entered.setdefault(body, set()).add(machine.active[-1] if machine.active else None)
    with machine.block() as block:
        result = follow(machine, function, args, kwargs)
    told = machine.vocabulary.left(machine, function, called, block, result, node)
    result = told if told is not None else result
    if block:
        where = function.owner
        if isinstance(function.this, Instance) and function.this.info is not None:
            where = function.this.info
        machine.emit(
            Call(
                where.name if where else function.module.stem,
                body.name,
                part_of(body.name),
                block,
                retry_of(body),
                ", ".join(_shown(one) for one in [*args, *kwargs.values()])[:80],
                set(given),
                getattr(node, "lineno", 0),
            )
        )
    return result


def _shown(value: Value) -> str:
    match value:
        case Known():
            text = value.text
            return text if len(text) <= 40 and "\n" not in text else "…"
        case Thing() if value.shown:
            return value.shown.strip("{}")
        case Thing() if value.path.startswith("?"):
            return value.path.removeprefix("?")
        case _:
            return "rows" if value.origins else "…"


def follow(machine: Machine, function: Function, args: Sequence[Value], kwargs: Mapping[str, Value]) -> Value:
    """The result of a function's body."""
    from headgate.diagrams.source.machine import Scope

    node, module = function.node, function.module
    assert isinstance(node, FunctionNode)
    assert module is not None
    machine.environment(module)
    scope = Scope(module, {}, function.env, function.owner, function.this, node.name)
    machine.active.append(node)
    machine.where.append(module)
    try:
        bind(machine, function, node.args, args, kwargs, scope)
        machine.execute(node.body, scope)
    finally:
        machine.active.pop()
        machine.where.pop()
    _settle(machine)
    if not scope.returns:
        return Known(value=None)
    result = scope.returns[0]
    for other in scope.returns[1:]:
        result = merged(result, other)
    return (
        Items(origins_of([result]), (result,)) if scope.yields and "contextmanager" not in _decorated(node) else result
    )


def _settle(machine: Machine) -> None:
    """A return at the very end of a function leaves nothing early."""
    block = machine.blocks[-1]
    while block.items and isinstance(block.items[-1], Stop) and block.items[-1].kind == "return":
        block.items.pop()
    if block.items and isinstance(block.items[-1], Choice):
        last = block.items[-1]
        if not last.yes and not last.no:
            block.items.pop()


def _decorated(node: FunctionNode) -> str:
    return " ".join(ast.unparse(one) for one in node.decorator_list)


def _lambda(
    machine: Machine, function: Function, node: ast.Lambda, args: Sequence[Value], kwargs: Mapping[str, Value]
) -> Value:
    from headgate.diagrams.source.machine import Scope

    assert function.module is not None
    if node in machine.active:
        return Thing(origins_of(args), "?")
    scope = Scope(function.module, {}, function.env, function.owner, function.this)
    machine.active.append(node)
    try:
        bind(machine, function, node.args, args, kwargs, scope)
        return machine.evaluate(node.body, scope)
    finally:
        machine.active.pop()


def bind(
    machine: Machine,
    function: Function,
    spec: ast.arguments,
    args: Sequence[Value],
    kwargs: Mapping[str, Value],
    scope: Scope,
) -> None:
    """Give parameters their values: what was given, else the default, else what the annotation says."""
    given = [*([function.this] if function.this is not None else []), *args]
    names = [*spec.posonlyargs, *spec.args]
    defaults = dict(zip([one.arg for one in names[len(names) - len(spec.defaults) :]], spec.defaults, strict=True))
    defaults |= {one.arg: node for one, node in zip(spec.kwonlyargs, spec.kw_defaults, strict=True) if node}
    for number, parameter in enumerate([*names, *spec.kwonlyargs]):
        name = parameter.arg
        if number < len(given) and number < len(names):
            scope.env[name] = given[number]
        elif name in kwargs:
            scope.env[name] = kwargs[name]
        elif name in function.bound:
            scope.env[name] = function.bound[name]
        else:
            scope.env[name] = _default(machine, function, parameter, defaults.get(name), scope)
    if spec.vararg:
        scope.env[spec.vararg.arg] = Items(origins_of(given), tuple(given[len(names) :]))
    if spec.kwarg:
        known = {one.arg for one in [*names, *spec.kwonlyargs]}
        scope.env[spec.kwarg.arg] = Pairs(NOTHING, {key: one for key, one in kwargs.items() if key not in known})


def _default(machine: Machine, function: Function, parameter: ast.arg, default: ast.expr | None, scope: Scope) -> Value:
    told = options.default(machine, function, parameter.arg, scope)
    if told is not None and not (isinstance(told, Known) and told.value is None):
        return told
    if default is not None:
        value = options.unwrapped(machine.evaluate(default, scope))
        if isinstance(value, Known) and isinstance(value.value, str):
            return value
    typed = _typed(machine, parameter, scope)
    if typed is not None:
        return typed
    if default is not None and value is not None and not (isinstance(value, Known) and value.value is None):
        return value
    return Thing(NOTHING, f"?{parameter.arg}", shown="{" + parameter.arg + "}")


def _typed(machine: Machine, parameter: ast.arg, scope: Scope) -> Value | None:
    """What an annotation says of a parameter that nobody gave: an object of the project, or a known library's."""
    node = parameter.annotation
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            node = ast.parse(node.value, mode="eval").body
        except (SyntaxError, ValueError):
            return None
    if isinstance(node, ast.BinOp):  # X | None
        node = node.left
    if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("Optional"):
        node = node.slice
    if not isinstance(node, ast.Name | ast.Attribute):
        return None
    value = machine.evaluate(node, scope)
    if isinstance(value, Class) and value.info is not None:
        if not machine.method(value.info, "__init__"):
            return Instance(NOTHING, value.info)
        if value.info.node in machine.active:
            return None
        machine.active.append(value.info.node)
        try:
            with machine.block():
                return instance(machine, value, (), {}, value.info.node, scope)
        finally:
            machine.active.pop()
    if isinstance(value, Thing) and "." in value.path and not value.path.startswith("?"):
        return replace(value, shown="{" + parameter.arg + "}")
    return None


def is_property(function: Function) -> bool:
    return isinstance(function.node, FunctionNode) and any(
        text.endswith("property") for text in (ast.unparse(one) for one in function.node.decorator_list)
    )
