"""Follows a program without running it: names to values, calls to what they do, both ways of every decision."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from headgate.diagrams.source import expressions, statements
from headgate.diagrams.source.flow import Block, Item, Part, Step
from headgate.diagrams.source.modules import ClassInfo, FunctionNode, Module, Program
from headgate.diagrams.source.values import (
    NOTHING,
    Called,
    Class,
    Function,
    Instance,
    ModuleRef,
    SuperRef,
    Thing,
    Value,
)

DEEPEST = 24
"""Calls within calls that are followed."""
BUDGET = 200_000
"""Expressions that are looked at for one entry, so that no source can keep us busy for ever."""


class Exhausted(Exception):  # noqa: N818 - it ends the evaluation of one entry, and is told as a problem
    pass


class Vocabulary(Protocol):
    """What calls from outside of the project mean."""

    def called(self, machine: Machine, thing: Thing, call: Called, node: ast.Call, scope: Scope, /) -> Value | None:
        """The result of a call that is understood; None for one that is not."""

    def operated(self, machine: Machine, operator: str, left: Value, right: Value, /) -> Value | None:
        """The result of an operator that means something of its own, such as ``>>`` between tasks."""

    def entered(
        self, machine: Machine, function: Function, call: Called, node: ast.AST, scope: Scope, /
    ) -> Value | None:
        """The result of a call of the project's own function, where it is not to be entered."""

    def left(
        self, machine: Machine, function: Function, call: Called, block: Block, result: Value, node: ast.AST, /
    ) -> Value | None:
        """The result of a function that was followed, where it is more than what its body gave."""

    def made_by(self, machine: Machine, class_: Class, call: Called, node: ast.AST, scope: Scope, /) -> Value | None:
        """What an object of a class of the project is, where it is more than its attributes."""

    unrolls: bool
    """Whether loops over known lists are followed round by round."""

    def decorated(self, machine: Machine, function: Value, decorator: ast.expr, scope: Scope, /) -> Value:
        """What a decorated function is called as."""

    def used(self, machine: Machine, value: Value, node: ast.With | ast.AsyncWith, begins: bool, /) -> None:
        """A ``with`` block around the statements that follow begins, or ends."""


@dataclass
class Scope:
    """The names of one function, class or module while it is followed."""

    module: Module
    env: dict[str, Value]
    outer: Mapping[str, Value] = field(default_factory=dict)
    owner: ClassInfo | None = None
    this: Value | None = None
    function: str = ""
    returns: list[Value] = field(default_factory=list)
    yields: bool = False
    local: frozenset[str] = frozenset()


class Machine:
    """One walk through a program. Steps are numbered across all that it follows."""

    def __init__(self, program: Program, vocabulary: Vocabulary) -> None:
        self.program, self.vocabulary = program, vocabulary
        self.steps: list[Step] = []
        self.blocks: list[Block] = [Block()]
        self.active: list[ast.AST] = []
        self.entered: dict[ast.AST, set[ast.AST | None]] = {}
        self.environments: dict[str, dict[str, Value]] = {}
        self.bodies: dict[str, Block] = {}
        self.class_environments: dict[int, dict[str, Value]] = {}
        self.spent = 0
        self.broken: dict[str, str] = {}
        self.where: list[Module] = []

    def runs_main(self, scope: Scope) -> bool:
        """Whether ``if __name__ == "__main__"`` holds: modules that others import are followed as scripts, too."""
        return not scope.function

    # ------------------------------------------------------------------------------------------------- steps

    def step(self, part: Part, what: str, node: ast.AST, inputs: frozenset[int] = NOTHING) -> Step:
        """A new step at the place where the walk is."""
        file = self.where[-1].file if self.where else ""
        step = Step(len(self.steps), part, what, inputs=set(inputs), file=file, line=getattr(node, "lineno", 0))
        self.steps.append(step)
        self.emit(step)
        return step

    def emit(self, item: Item) -> None:
        self.blocks[-1].items.append(item)

    @contextmanager
    def block(self) -> Iterator[Block]:
        """What is met meanwhile goes into a block of its own."""
        block = Block()
        self.blocks.append(block)
        try:
            yield block
        finally:
            self.blocks.pop()

    # --------------------------------------------------------------------------------------------- following

    def evaluate(self, node: ast.expr, scope: Scope) -> Value:
        self.spent += 1
        if self.spent > BUDGET:
            raise Exhausted
        return expressions.evaluate(self, node, scope)

    def execute(self, body: Sequence[ast.stmt], scope: Scope) -> None:
        for statement in body:
            statements.execute(self, statement, scope)

    def environment(self, module: Module) -> dict[str, Value]:
        """The names of a module; its body is followed when it is first asked for."""
        if module.file not in self.environments:
            env: dict[str, Value] = {}
            self.environments[module.file] = env
            self._run_body(module, env)
        return self.environments[module.file]

    def _run_body(self, module: Module, env: dict[str, Value]) -> None:
        depth, active = len(self.blocks), len(self.active)
        self.where.append(module)
        try:
            with self.block() as block:
                self.bodies[module.file] = block
                self.active.append(module.tree)
                self.execute(module.tree.body, Scope(module, env))
        except RecursionError:
            self.broken[module.file] = "its expressions are nested too deeply to be followed"
        finally:
            del self.blocks[depth:]
            del self.active[active:]
            self.where.pop()

    def names(self, info: ClassInfo) -> dict[str, Value]:
        """What stands in the body of a class, beside its methods."""
        key = id(info.node)
        if key not in self.class_environments:
            env: dict[str, Value] = {}
            self.class_environments[key] = env
            self.environment(info.module)
            self.where.append(info.module)
            with self.block():
                body = [one for one in info.node.body if not isinstance(one, FunctionNode)]
                self.execute(body, Scope(info.module, env, owner=info, outer=self.environments[info.module.file]))
            self.where.pop()
        return self.class_environments[key]

    # ----------------------------------------------------------------------------------------------- classes

    def bases(self, info: ClassInfo) -> list[ClassInfo]:
        """The bases that the project has itself."""
        found = []
        env = self.environment(info.module)
        for base in info.node.bases:
            node = base.value if isinstance(base, ast.Subscript) else base
            value: Value | None = None
            if isinstance(node, ast.Name):
                value = env.get(node.id)
            elif isinstance(node, ast.Attribute):
                value = self.evaluate(node, Scope(info.module, {}, outer=env))
            if isinstance(value, Class) and value.info and value.info is not info:
                found.append(value.info)
        return found

    def lineage(self, info: ClassInfo) -> list[ClassInfo]:
        """The class, then its bases, nearest first."""
        found, rest = [], [info]
        while rest:
            here = rest.pop(0)
            if here not in found:
                found.append(here)
                rest += self.bases(here)
        return found

    def method(
        self, info: ClassInfo, name: str, after: ClassInfo | None = None
    ) -> tuple[ClassInfo, FunctionNode] | None:
        """Whose method that is; ``after``: looked for only behind that class, as ``super()`` does."""
        line = self.lineage(info)
        if after in line:
            line = line[line.index(after) + 1 :]
        return next(((one, one.methods[name]) for one in line if name in one.methods), None)

    def attribute(self, value: Instance | Class | SuperRef, name: str) -> Value | None:
        """What the classes say of an attribute: a method, bound, or a value."""
        info = value.info
        if info is None:
            return None
        this = value.this if isinstance(value, SuperRef) else value
        after = value.after if isinstance(value, SuperRef) else None
        found = self.method(info, name, after)
        if found:
            owner, node = found
            bound = None if isinstance(this, Class) and not _for_class(node) else this
            return Function(NOTHING, node, owner.module, owner, None if _static(node) else bound)
        for one in self.lineage(info):
            names = self.names(one)
            if name in names:
                return names[name]
        return None

    def module_value(self, name: str) -> Value:
        """What ``import name`` gives: a module of the project, or something from outside."""
        module = self.program.find(name)
        return ModuleRef(NOTHING, module) if module else Thing(NOTHING, name)

    def imported(self, module_name: str, name: str) -> Value:
        """What ``from module_name import name`` gives."""
        module = self.program.find(module_name)
        if module is not None:
            env = self.environment(module)
            if name in env:
                return env[name]
        inner = self.program.find(f"{module_name}.{name}" if module_name else name)
        if inner is not None:
            return ModuleRef(NOTHING, inner)
        if module is not None and name in module.classes:
            return Class(NOTHING, module.classes[name])
        if module is not None and name in module.functions:
            return Function(NOTHING, module.functions[name], module)
        return Thing(NOTHING, f"{module_name}.{name}" if module_name else name)


def with_this(function: Function, this: Value) -> Function:
    return replace(function, this=this)


def decorators(node: FunctionNode) -> list[str]:
    return [ast.unparse(one.func if isinstance(one, ast.Call) else one) for one in node.decorator_list]


def _static(node: FunctionNode) -> bool:
    return "staticmethod" in decorators(node)


def _for_class(node: FunctionNode) -> bool:
    return "classmethod" in decorators(node)
