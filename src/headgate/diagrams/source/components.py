"""Which classes and modules a project has, in which layer, and how they hang together."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping

from headgate.diagrams.source.flow import Call, Component, Entry, Item, Layer, Part, Step, inner
from headgate.diagrams.source.machine import Machine
from headgate.diagrams.source.modules import ClassInfo, Module

FOLDERS: tuple[tuple[Layer, str], ...] = (
    ("extract", r"extract(ors?|ion)?|sources?|readers?|ingest(ion|ors?)?|crawlers?|scrapers?|collectors?"),
    ("transform", r"transform(ers?|s|ations?)?|processors?|processing|cleaners?|enrich(ers?|ment)?"),
    ("load", r"load(ers?|ing)?|sinks?|writers?|targets?|destinations?"),
    ("orchestration", r"pipelines?|orchestrat(ion|ors?)|jobs?|dags?|flows?|workflows?|main"),
    (
        "utilities",
        r"utils?|helpers?|common|lib|core|tools|shared|validators?|validation|quality|monitoring|alerts?|logging|logger",
    ),
    ("configuration", r"conf|configs?|configuration|settings|constants"),
)
NAMES: tuple[tuple[Layer, str], ...] = (
    (
        "extract",
        r"extractor|reader|source|ingest(or|er|ion)|fetcher|crawler|scraper|downloader|collector|consumer|extract",
    ),
    ("load", r"loader|writer|sink|uploader|exporter|publisher|load"),
    ("orchestration", r"pipeline|job|workflow|orchestrator|etl|runner|flow|dag|main|app"),
    (
        "utilities",
        r"validator|checker|logger|pool|notifier|alert(er)?|client|connection|manager|helper|utils?|mailer|monitor|metrics?",
    ),
    (
        "transform",
        r"transformer|cleaner|processor|enricher|aggregator|mapper|normalizer|parser|converter|transform(ation)?",
    ),
    ("configuration", r"config(uration)?|settings|constants"),
)
ERRORS = re.compile(r"(Error|Exception|Warning)$")
_BY_PART: dict[Part, Layer] = {
    Part.EXTRACT: "extract",
    Part.TRANSFORM: "transform",
    Part.LOAD: "load",
    Part.VALIDATE: "utilities",
    Part.NOTIFY: "utilities",
    Part.CONFIG: "configuration",
}


def components(machine: Machine, modules: list[Module], entries: list[Entry]) -> list[Component]:
    """Classes, and modules whose functions work on data or stand in a layer's folder."""
    work, configs, used_by = _work(entries)
    starts = {entry.component for entry in entries}
    found = []
    for module in modules:
        used = False
        for info in module.classes.values():
            if ERRORS.search(info.name) or any(ERRORS.search(base) or base == "Exception" for base in info.bases):
                continue
            found.append(_class(machine, info, work, configs, starts))
            used = True
        own = work.get(module.stem)
        if own or (module.functions and not used and _folder(module)):
            directs = module.stem in starts and len(used_by.get(module.stem, ())) > 1
            named = "orchestration" if directs else _named(module.stem, NAMES)
            layer = _folder(module) or named or _majority(own or Counter(), module.stem in starts)
            kept = tuple(name for name in module.functions if not name.startswith("_"))
            if own or layer in ("utilities", "configuration"):
                found.append(
                    Component(
                        module.stem,
                        layer,
                        module.file,
                        1,
                        "module",
                        configs=tuple(configs.get(module.stem, ())),
                        methods=kept,
                    )
                )
    return _joined(found)


def _work(
    entries: list[Entry],
) -> tuple[dict[str, Counter[Part]], dict[str, dict[str, None]], dict[str, set[str]]]:
    """Per component: parts of its own steps, configuration files that it reads, and whom it calls."""
    called: dict[str, set[str]] = {}
    work: dict[str, Counter[Part]] = {}
    configs: dict[str, dict[str, None]] = {}

    def visit(items: list[Item], owner: str) -> None:
        for item in items:
            if isinstance(item, Step):
                work.setdefault(owner, Counter())[item.part] += 1
                if item.part is Part.CONFIG:
                    configs.setdefault(owner, {}).update({place.name: None for place in item.reads})
            here = item.component if isinstance(item, Call) else owner
            if isinstance(item, Call):
                work.setdefault(here, Counter())
                called.setdefault(owner, set()).update({here} - {owner})
            for block in inner(item):
                visit(block.items, here)

    for entry in entries:
        visit(entry.body.items, entry.component)
    return work, configs, called


def _class(
    machine: Machine,
    info: ClassInfo,
    work: dict[str, Counter[Part]],
    configs: dict[str, dict[str, None]],
    starts: set[str],
) -> Component:
    bases = machine.bases(info)
    layer = _named(info.name, NAMES) or next((one for base in bases if (one := _named(base.name, NAMES))), None)
    layer = _folder(info.module) or layer or _majority(work.get(info.name, Counter()), info.name in starts)
    abstract = any(
        "abstractmethod" in ast.unparse(one) for node in info.methods.values() for one in node.decorator_list
    )
    component = Component(
        info.name,
        layer,
        info.module.file,
        info.node.lineno,
        bases=tuple(base.name for base in bases),
        abstract=abstract or any(base.rpartition(".")[2] == "ABC" for base in info.bases),
        configs=tuple(configs.get(info.name, ())),
        methods=tuple(name for name in info.methods if not name.startswith("_")),
    )
    for attribute, value in _attributes(machine, info).items():
        component.parts[attribute] = value
    return component


def _attributes(machine: Machine, info: ClassInfo) -> dict[str, str]:
    """``self.extractor = PostgresExtractor(…)``: parts that the class makes, or is given by annotation."""
    found: dict[str, str] = {}
    env = machine.environment(info.module)
    for node in info.methods.values():
        annotations = {one.arg: one.annotation for one in [*node.args.args, *node.args.kwonlyargs] if one.annotation}
        for statement in ast.walk(node):
            match statement:
                case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=attribute)], value=given):
                    pass
                case ast.AnnAssign(
                    target=ast.Attribute(value=ast.Name(id="self"), attr=attribute), value=ast.expr() as given
                ):
                    pass
                case _:
                    continue
            for name in _made(given, annotations):
                value = env.get(name)
                owner = getattr(value, "info", None)
                if owner is not None and not ERRORS.search(owner.name):
                    found.setdefault(f"{attribute}:{owner.name}", owner.name)
    return found


def _made(node: ast.expr, annotations: Mapping[str, ast.expr | None]) -> list[str]:
    """Names of the classes that an expression makes objects of, or that annotate the parameter it hands on."""
    found = []
    for one in ast.walk(node):
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Name | ast.Attribute):
            found.append(one.func.id if isinstance(one.func, ast.Name) else one.func.attr)
        elif isinstance(one, ast.Name) and (annotation := annotations.get(one.id)) is not None:
            text = ast.unparse(annotation).strip("'\"")
            found += re.findall(r"\w+", text)
    return found


def _folder(module: Module) -> Layer | None:
    for part in reversed(module.parts[:-1]):
        layer = next((layer for layer, words in FOLDERS if re.fullmatch(words, part.lower())), None)
        if layer:
            return layer
    return None


def _named(name: str, table: tuple[tuple[Layer, str], ...]) -> Layer | None:
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    words = snake.split("_")
    for word in (words[-1], words[0]):
        layer = next((layer for layer, pattern in table if re.fullmatch(f"(?:{pattern})s?", word)), None)
        if layer:
            return layer
    return None


def _majority(parts: Counter[Part], starts: bool) -> Layer:
    data = {part: count for part, count in parts.items() if part in _BY_PART}
    if starts and len({part for part in data if part in (Part.EXTRACT, Part.TRANSFORM, Part.LOAD)}) != 1:
        return "orchestration"
    if not data:
        return "orchestration" if starts else "utilities"
    return _BY_PART[max(data, key=lambda part: data[part])]


def _joined(found: list[Component]) -> list[Component]:
    """One component a name: where modules of one name occur twice, the first stands for both."""
    kept: dict[str, Component] = {}
    for one in found:
        kept.setdefault(one.name, one)
    return list(kept.values())
