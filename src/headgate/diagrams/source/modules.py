"""The modules of a tree: what each defines, and what the names of each stand for."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from headgate.diagrams.source.mending import parsed
from headgate.diagrams.source.table import TABLE
from headgate.diagrams.tree import Tree

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
OUTSIDE = sys.stdlib_module_names | {one.pattern.split(".")[0] for one in TABLE}
"""What an import means from outside, though a file deep in the project may have the same name."""


@dataclass(eq=False)
class ClassInfo:
    name: str
    module: Module
    node: ast.ClassDef
    methods: dict[str, FunctionNode] = field(default_factory=dict)

    @property
    def bases(self) -> list[str]:
        return [ast.unparse(base).split("[")[0] for base in self.node.bases]


@dataclass(eq=False)
class Module:
    """One file. ``names``: dotted ways by which others may import it."""

    file: str
    tree: ast.Module
    names: tuple[str, ...]
    package: str
    classes: dict[str, ClassInfo] = field(default_factory=dict)
    functions: dict[str, FunctionNode] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)  # name -> module, name in it ("": the module)

    @property
    def stem(self) -> str:
        path = PurePosixPath(self.file)
        return path.parent.name or path.stem if path.stem == "__init__" else path.stem

    @property
    def parts(self) -> tuple[str, ...]:
        return PurePosixPath(self.file).parts


@dataclass(eq=False)
class Program:
    """All modules, found by any name that an import may use; the shortest path wins where several fit."""

    modules: list[Module] = field(default_factory=list)
    by_name: dict[str, Module] = field(default_factory=dict)

    def find(self, name: str) -> Module | None:
        return self.by_name.get(name)


def program(tree: Tree) -> Program:
    """The Python files of a tree, parsed once."""
    return tree.once("program", lambda: _program(tree))


def _program(tree: Tree) -> Program:
    found = Program()
    for file in tree.files:
        if not file.endswith((".py", ".pyw")):
            continue
        text = tree.text(file)
        if text is None:
            continue
        node = parsed(text, lambda message, line, file=file: tree.note(message, file, line))  # type: ignore[misc]
        if node is not None:
            found.modules.append(_module(file, node, tree.name))
    for module in sorted(found.modules, key=lambda one: len(one.parts)):
        for name in module.names:
            found.by_name.setdefault(name, module)
    return found


def _module(file: str, node: ast.Module, top: str) -> Module:
    parts = list(PurePosixPath(file).with_suffix("").parts)
    package = parts[:-1]
    if parts[-1] == "__init__":
        parts = parts[:-1]
    names = [".".join(parts), ".".join([top, *parts])]
    names += [".".join(parts[start:]) for start in range(1, len(parts)) if parts[start] not in OUTSIDE]
    module = Module(file, node, tuple(dict.fromkeys(name for name in names if name)), ".".join(package))
    for statement in _top(node.body):
        match statement:
            case ast.ClassDef():
                module.classes[statement.name] = _class(statement, module)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                module.functions[statement.name] = statement
            case ast.Import():
                for one in statement.names:
                    module.imports[one.asname or one.name.split(".")[0]] = (
                        one.name if one.asname else one.name.split(".")[0],
                        "",
                    )
            case ast.ImportFrom():
                origin = absolute(module, statement.module, statement.level)
                module.imports.update({one.asname or one.name: (origin, one.name) for one in statement.names})
    return module


def _class(node: ast.ClassDef, module: Module) -> ClassInfo:
    info = ClassInfo(node.name, module, node)
    for statement in _top(node.body):
        if isinstance(statement, FunctionNode):
            info.methods[statement.name] = statement
    return info


def _top(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a body, those within ``if`` and ``try`` included."""
    for statement in body:
        yield statement
        match statement:
            case ast.If():
                yield from _top([*statement.body, *statement.orelse])
            case ast.Try():
                yield from _top([*statement.body, *statement.orelse, *statement.finalbody])
                for handler in statement.handlers:
                    yield from _top(handler.body)
            case ast.With():
                yield from _top(statement.body)


def absolute(module: Module, name: str | None, level: int) -> str:
    """The dotted name of ``from ..name import``."""
    if not level:
        return name or ""
    parts = module.package.split(".") if module.package else []
    parts = parts[: len(parts) - (level - 1)] if level > 1 else parts
    return ".".join([*parts, *([name] if name else [])])


def dotted(node: ast.expr) -> str:
    """``a.b.c`` of names and attributes, else ""."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""
