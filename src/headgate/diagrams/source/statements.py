"""Statements: names get values, and the control flow around steps is kept."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from headgate.diagrams.source import builtin, rows, settings
from headgate.diagrams.source.flow import Attempt, Block, Choice, Loop, Step, Stop
from headgate.diagrams.source.modules import absolute
from headgate.diagrams.source.retries import looped
from headgate.diagrams.source.values import (
    NOTHING,
    Class,
    Function,
    Instance,
    Items,
    Known,
    Pairs,
    Thing,
    Value,
    known,
    merged,
    origins_of,
    with_origins,
)

if TYPE_CHECKING:
    from headgate.diagrams.source.machine import Machine, Scope

LONGEST = 90
UNROLLED = 100


def execute(machine: Machine, node: ast.stmt, scope: Scope) -> None:  # noqa: C901 - one case a kind of node
    match node:
        case ast.Expr():
            machine.evaluate(node.value, scope)
        case ast.Assign():
            before = len(machine.steps)
            value = rows.assigned(machine, node, scope)
            value = settings.named(machine, node, value, before)
            for target in node.targets:
                assign(machine, target, value, scope)
        case ast.AnnAssign():
            if node.value is not None:
                assign(machine, node.target, machine.evaluate(node.value, scope), scope)
        case ast.AugAssign():
            _augmented(machine, node, scope)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            _function(machine, node, scope)
        case ast.ClassDef():
            info = scope.module.classes.get(node.name)
            if info is not None and info.node is node:
                scope.env[node.name] = Class(NOTHING, info)
        case ast.Import() | ast.ImportFrom():
            _import(machine, node, scope)
        case ast.Return():
            _return(machine, node, scope)
        case ast.Raise():
            _raise(machine, node, scope)
        case ast.If():
            _if(machine, node, scope)
        case ast.For() | ast.AsyncFor():
            _for(machine, node, scope)
        case ast.While():
            _while(machine, node, scope)
        case ast.Try() | ast.TryStar():
            _try(machine, node, scope)
        case ast.With() | ast.AsyncWith():
            _with(machine, node, scope)
        case ast.Match():
            _match(machine, node, scope)
        case ast.Assert():
            rows.asserted(machine, node, scope)
        case _:
            pass


def assign(machine: Machine, target: ast.expr, value: Value, scope: Scope) -> None:
    match target:
        case ast.Name():
            scope.env[target.id] = value
        case ast.Attribute():
            owner = machine.evaluate(target.value, scope)
            if isinstance(owner, Instance):
                owner.attributes[target.attr] = value
            elif isinstance(owner, Class) and owner.info is not None:
                machine.names(owner.info)[target.attr] = value
            else:
                rows.column(machine, target.value, target.attr, value, target, scope)
        case ast.Tuple() | ast.List():
            _unpack(machine, target.elts, value, scope)
        case ast.Starred():
            assign(machine, target.value, value, scope)
        case ast.Subscript():
            rows.stored(machine, target, value, scope)
        case _:
            pass


def _unpack(machine: Machine, targets: list[ast.expr], value: Value, scope: Scope) -> None:
    items = value.items if isinstance(value, Items) else ()
    for number, one in enumerate(targets):
        if len(items) == len(targets):
            part = items[number]
        else:
            part = Thing(value.origins, f"{value.path}[]" if isinstance(value, Thing) else "?")
        assign(machine, one, part, scope)


def _augmented(machine: Machine, node: ast.AugAssign, scope: Scope) -> None:
    from headgate.diagrams.source.expressions import OPERATORS

    value = machine.evaluate(node.value, scope)
    if isinstance(node.target, ast.Name | ast.Attribute):
        before = machine.evaluate(node.target, scope)
        operator = OPERATORS.get(type(node.op), "")
        if isinstance(before, Items) and operator == "+":
            added = value.items if isinstance(value, Items) else (value,)
            result: Value = Items(origins_of([before, value]), (*before.items, *added)[:200])
        else:
            result = builtin.operated(operator, before, value)
        assign(machine, node.target, result, scope)


def _function(machine: Machine, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> None:
    inner = bool(scope.function)
    env = {**scope.outer, **scope.env} if inner else {}
    function = Function(NOTHING, node, scope.module, scope.owner if inner else None, None, scope.env if inner else env)
    value: Value = function
    for decorator in reversed(node.decorator_list):
        if isinstance(decorator, ast.Call | ast.Name | ast.Attribute):
            value = machine.vocabulary.decorated(machine, value, decorator, scope)
    scope.env[node.name] = value


def _import(machine: Machine, node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.asname:
                scope.env[alias.asname] = machine.module_value(alias.name)
            else:
                top = alias.name.split(".")[0]
                scope.env[top] = machine.module_value(top)
        return
    name = absolute(scope.module, node.module, node.level)
    for alias in node.names:
        if alias.name == "*":
            module = machine.program.find(name)
            if module is not None:
                scope.env.update(machine.environment(module))
            continue
        scope.env[alias.asname or alias.name] = machine.imported(name, alias.name)


def _return(machine: Machine, node: ast.Return, scope: Scope) -> None:
    value = machine.evaluate(node.value, scope) if node.value else Known(value=None)
    scope.returns.append(value)
    machine.emit(Stop("return", short(node.value) if node.value else "", node.lineno))


def _raise(machine: Machine, node: ast.Raise, scope: Scope) -> None:
    text = "again"
    if node.exc is not None:
        value = machine.evaluate(node.exc, scope)
        name = ast.unparse(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
        message = value.made_with[0].text if isinstance(value, Instance) and value.made_with else ""
        if isinstance(value, Thing) and value.calls and value.calls[-1].args:
            message = value.calls[-1].args[0].text
        text = f"{name.rpartition('.')[2]}: {message}" if message else name.rpartition(".")[2]
    machine.emit(Stop("raise", text[:LONGEST], node.lineno))


def short(node: ast.AST) -> str:
    try:
        text = " ".join(ast.unparse(node).split())
    except RecursionError:
        return "…"
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _if(machine: Machine, node: ast.If, scope: Scope) -> None:
    if _is_main(node.test):
        if machine.runs_main(scope):
            machine.execute(node.body, scope)
        return
    if short(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        machine.execute(node.body, scope)
        return
    value = machine.evaluate(node.test, scope)
    rows.skipped(machine, node, value)
    constant = known(value) if isinstance(node.test, ast.Constant) else None
    if constant is not None:
        machine.execute(node.body if constant else node.orelse, scope)
        return
    before = dict(scope.env)
    yes = _way(machine, node.body, scope)
    first, scope.env = scope.env, dict(before)
    no = _way(machine, node.orelse, scope)
    _meet(first, yes, no, scope)
    if worth(yes) or worth(no):
        machine.emit(Choice(short(node.test), yes, no, node.lineno))


def _way(machine: Machine, body: list[ast.stmt], scope: Scope) -> Block:
    with machine.block() as block:
        machine.execute(body, scope)
    return block


def _meet(first: dict[str, Value], yes: Block, no: Block, scope: Scope) -> None:
    """The names after two ways; a way that left says nothing of what comes after."""
    second = scope.env
    if ends(no) and not ends(yes):
        scope.env = first
        return
    if ends(yes) and not ends(no):
        return
    scope.env = {
        key: merged(first[key], second[key]) if key in first and key in second else first.get(key, second.get(key))  # type: ignore[misc]
        for key in {**first, **second}
    }


def ends(block: Block) -> bool:
    return bool(block.items) and isinstance(block.items[-1], Stop)


def worth(block: Block) -> bool:
    """Whether anything in it is worth drawing."""
    return any(isinstance(item, Stop | Step) for item in block.walk())


def _is_main(test: ast.expr) -> bool:
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Name)
        and test.left.id == "__name__"
        and isinstance(test.ops[0], ast.Eq)
    )


def _for(machine: Machine, node: ast.For | ast.AsyncFor, scope: Scope) -> None:
    value = machine.evaluate(node.iter, scope)
    rounds: list[Value] = [builtin.element(value)]
    if machine.vocabulary.unrolls and isinstance(value, Items | Pairs):
        listed = value.items if isinstance(value, Items) else tuple(Known(value=key) for key in value.pairs)
        rounds = list(listed[:UNROLLED])
    elif isinstance(value, Items) and not value.items:
        rounds = [Thing(value.origins, "?")]
    with machine.block() as block:
        for one in rounds:
            assign(machine, node.target, one, scope)
            machine.execute(node.body, scope)
    _amended(node, rounds, value, scope)
    if worth(block):
        if machine.vocabulary.unrolls:
            machine.blocks[-1].items += block.items
        else:
            machine.emit(Loop(_each(node, value), block, node.lineno, looped(node)))
    machine.execute(node.orelse, scope)


def _amended(node: ast.For | ast.AsyncFor, rounds: list[Value], value: Value, scope: Scope) -> None:
    """Rows that were changed one by one are, together, what the loop made of them."""
    if not (isinstance(node.iter, ast.Name) and isinstance(node.target, ast.Name) and rounds):
        return
    after = scope.env.get(node.target.id)
    if after is not None and after.origins - rounds[-1].origins:
        scope.env[node.iter.id] = with_origins(value, after.origins)


def _each(node: ast.For | ast.AsyncFor, value: Value) -> str:
    shown = short(node.iter)
    if isinstance(value, Items) and value.items and all(isinstance(one, Known) for one in value.items):
        texts = [one.text for one in value.items]
        shown = ", ".join(texts[:6]) + (" …" if len(texts) > 6 else "")
    return f"each {short(node.target)} in {shown}"[:LONGEST]


def _while(machine: Machine, node: ast.While, scope: Scope) -> None:
    machine.evaluate(node.test, scope)
    with machine.block() as block:
        machine.execute(node.body, scope)
    if worth(block):
        endless = isinstance(node.test, ast.Constant) and node.test.value
        machine.emit(Loop("for ever" if endless else f"while {short(node.test)}", block, node.lineno, looped(node)))


def _try(machine: Machine, node: ast.Try | ast.TryStar, scope: Scope) -> None:
    before = dict(scope.env)
    with machine.block() as body:
        machine.execute(node.body, scope)
        machine.execute(node.orelse, scope)
    after = scope.env
    handlers = []
    for handler in node.handlers:
        scope.env = {**before, **after}
        if handler.name:
            scope.env[handler.name] = Thing(NOTHING, f"?{handler.name}", shown="{" + handler.name + "}")
        with machine.block() as block:
            machine.execute(handler.body, scope)
        handlers.append((short(handler.type) if handler.type else "any exception", block))
        if not ends(block):
            after = {**scope.env, **{key: merged(after[key], scope.env.get(key, after[key])) for key in after}}
    scope.env = after
    with machine.block() as final:
        machine.execute(node.finalbody, scope)
    handled = [(name, block) for name, block in handlers if block]
    if worth(body) or worth(final) or any(worth(block) for _, block in handled):
        machine.emit(Attempt(body, handled, final, node.lineno))


def _with(machine: Machine, node: ast.With | ast.AsyncWith, scope: Scope) -> None:
    used = []
    for item in node.items:
        value = machine.evaluate(item.context_expr, scope)
        if isinstance(value, Instance):
            entered = machine.attribute(value, "__enter__") or machine.attribute(value, "__aenter__")
            if isinstance(entered, Function):
                from headgate.diagrams.source.calls import enter

                inner = enter(machine, entered, (), {}, node, scope)
                given: Value = value if isinstance(inner, Known) else inner
            else:
                given = value
        else:
            given = value
        if item.optional_vars is not None:
            assign(machine, item.optional_vars, given, scope)
        used.append(value)
        machine.vocabulary.used(machine, value, node, True)
    machine.execute(node.body, scope)
    for value in reversed(used):
        machine.vocabulary.used(machine, value, node, False)


def _match(machine: Machine, node: ast.Match, scope: Scope) -> None:
    machine.evaluate(node.subject, scope)
    subject = short(node.subject)
    before, after = dict(scope.env), scope.env
    ways = []
    for case in node.cases:
        scope.env = dict(before)
        ways.append((short(case.pattern), _way(machine, case.body, scope)))
        after = {**after, **scope.env}
    scope.env = after
    tail = Block()
    for pattern, block in reversed(ways):
        tail = block if pattern == "_" else Block([Choice(f"{subject} is {pattern}", block, tail, node.lineno)])
    if worth(tail):
        machine.blocks[-1].items += tail.items
