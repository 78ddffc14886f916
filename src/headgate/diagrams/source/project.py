"""A tree of Python files as facts: components by layer, and entries with what they do to data."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable
from functools import partial

from headgate.diagrams.source.calls import enter, instance
from headgate.diagrams.source.components import components
from headgate.diagrams.source.etl import Etl
from headgate.diagrams.source.flow import Block, Call, Entry, Part, Source
from headgate.diagrams.source.machine import Exhausted, Machine, Scope
from headgate.diagrams.source.modules import ClassInfo, FunctionNode, Module, program
from headgate.diagrams.source.retries import retry_of
from headgate.diagrams.source.values import NOTHING, Class, Function, Instance
from headgate.diagrams.tree import Tree

RUNS = (
    "run",
    "execute",
    "main",
    "process",
    "start",
    "run_pipeline",
    "run_etl",
    "etl",
    "pipeline",
    "orchestrate",
    "__call__",
)
TESTS = re.compile(r"(^|/)(tests?|testing)/|(^|/)(test_[^/]*|[^/]*_test|conftest|setup)\.py$")
DATA = (Part.EXTRACT, Part.TRANSFORM, Part.LOAD, Part.VALIDATE)


def source(tree: Tree) -> Source:
    """Follow every module, then whatever nobody calls."""
    return tree.once("source", lambda: _Following(tree).source())


class _Following:
    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.program = program(tree)
        self.machine = Machine(self.program, Etl())
        self.entries: list[Entry] = []
        self.starts: dict[int, ast.AST] = {}
        self.callbacks: frozenset[str] = frozenset()
        self.modules = [one for one in self.program.modules if not TESTS.search(one.file)]

    def source(self) -> Source:
        for module in self.modules:
            self._guarded(module, partial(self.machine.environment, module))
            self._module(module)
        mentioned = _mentioned(self.modules)
        self.callbacks = _callbacks(self.modules)
        for first in (True, False):
            for module in self.modules:
                self._functions(module, mentioned, first)
        for file, message in self.machine.broken.items():
            self.tree.note(message, file)
        entries = [one for one in self.entries if not self._reached(one)]
        found = Source(self.tree.name, entries=sorted(entries, key=lambda one: -one.weight))
        found.components = components(self.machine, self.modules, self.entries)
        return found

    def _guarded(self, module: Module, follow: Callable[[], object]) -> None:
        self.machine.spent = 0
        depth, active, where = len(self.machine.blocks), len(self.machine.active), len(self.machine.where)
        try:
            follow()
        except Exhausted:
            self.tree.note("it does more than could be followed; the picture is not whole", module.file)
        except RecursionError:
            self.tree.note("its expressions are nested too deeply to be followed", module.file)
        finally:
            del self.machine.blocks[depth:], self.machine.active[active:], self.machine.where[where:]

    def _module(self, module: Module) -> None:
        body = self.machine.bodies.get(module.file, Block())
        if _works(body):
            self._add(Entry(module.stem, module.stem, module.file, 1, body), module.tree)

    def _functions(self, module: Module, mentioned: Counter[str], first: bool) -> None:
        """Functions that nobody calls; at first those whose names nobody even mentions."""
        for info in module.classes.values():
            for name, node in info.methods.items():
                if name.startswith("_") or not _is_start(name, mentioned, first) or node in self.machine.entered:
                    continue
                self._guarded(module, partial(self._method, info, node))
            for name in RUNS:
                if name not in info.methods and first and self._inherits_run(info, name):
                    self._guarded(module, partial(self._inherited, info, name))
        for name, node in module.functions.items():
            if node not in self.machine.entered and (not first or not mentioned[name]):
                self._guarded(module, partial(self._function, module, node))

    def _inherits_run(self, info: ClassInfo, name: str) -> bool:
        found = self.machine.method(info, name) if info.node.bases else None
        return found is not None and not _is_abstract(info)

    def _inherited(self, info: ClassInfo, name: str) -> None:
        found = self.machine.method(info, name)
        assert found is not None
        if not any(one.component == info.name for one in self.entries):
            self._method(info, found[1])

    def _method(self, info: ClassInfo, node: FunctionNode) -> None:
        if _is_abstract(info) and _has_children(self.machine, info, self.modules):
            return
        scope = Scope(info.module, {})
        self.machine.where.append(info.module)
        with self.machine.block():
            made = instance(self.machine, Class(NOTHING, info), (), {}, info.node, scope)
        assert isinstance(made, Instance)
        owner = self.machine.method(info, node.name)
        assert owner is not None
        self._follow(
            f"{info.name}.{node.name}",
            info.name,
            owner[0].module,
            Function(NOTHING, node, owner[0].module, owner[0], made),
            info,
        )

    def _function(self, module: Module, node: FunctionNode) -> None:
        self._follow(node.name, module.stem, module, Function(NOTHING, node, module))

    def _follow(
        self,
        name: str,
        component: str,
        module: Module,
        function: Function,
        info: ClassInfo | None = None,
    ) -> None:
        node = function.node
        assert isinstance(node, FunctionNode)
        with self.machine.block() as block:
            enter(self.machine, function, (), {}, node, Scope(module, {}))
        body = block
        if len(block.items) == 1 and isinstance(block.items[0], Call):
            body = block.items[0].body
        if _works(body) or (node.name in self.callbacks and any(body.steps())):
            file = info.module.file if info else module.file
            self._add(Entry(name, component, file, node.lineno, body, retry_of(node)), node)

    def _add(self, entry: Entry, start: ast.AST) -> None:
        self.starts[id(entry)] = start
        self.entries.append(entry)

    def _reached(self, entry: Entry) -> bool:
        """Whether another entry calls this one, so that it is drawn there."""
        callers = self.machine.entered.get(self.starts[id(entry)], set())
        return any(caller is not None for caller in callers)


def _works(block: Block) -> bool:
    return any(step.part in DATA for step in block.steps())


def _mentioned(modules: list[Module]) -> Counter[str]:
    """How often each name is called or handed on, anywhere."""
    found: Counter[str] = Counter()
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                found[node.id] += 1
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                found[node.attr] += 1
    return found


_CALLBACK = re.compile(r"on_\w+|\w+_callback")


def _callbacks(modules: list[Module]) -> frozenset[str]:
    """Functions that are called when something happened: ``on_failure_callback=tell``."""
    found: set[str] = set()
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.keyword) and node.arg and _CALLBACK.fullmatch(node.arg):
                found |= _names_of(node.value)
            elif isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(key.value, str) and _CALLBACK.fullmatch(key.value):
                        found |= _names_of(value)
    return frozenset(found)


def _names_of(node: ast.expr) -> set[str]:
    nodes = node.elts if isinstance(node, ast.List | ast.Tuple) else [node]
    return {one.id for one in nodes if isinstance(one, ast.Name)}


def _is_start(name: str, mentioned: Counter[str], first: bool) -> bool:
    return name in RUNS or (not first) or not mentioned[name]


def _is_abstract(info: ClassInfo) -> bool:
    return any(
        "abstractmethod" in ast.unparse(one) for node in info.methods.values() for one in node.decorator_list
    ) or any(base.rpartition(".")[2] in ("ABC", "Protocol") for base in info.bases)


def _has_children(machine: Machine, info: ClassInfo, modules: list[Module]) -> bool:
    return any(info in machine.bases(other) for module in modules for other in module.classes.values())
