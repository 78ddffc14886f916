"""A pipeline as the chain that pictures follow: sources, steps, the rules after each, targets."""

from __future__ import annotations

from dataclasses import dataclass

from headgate.config.models import LAKE, Alert, Pipeline, Project
from headgate.core.models import ReadOptions, RuleOptions, StepOptions, WriteOptions
from headgate.plan.finish import unique_names

EXTRACTED = "extracted"
"""The name of the rows of a pipeline without steps."""


@dataclass(frozen=True)
class Source:
    """``name``: that of the relation, as plans call it; ``system``: connection and kind."""

    name: str
    system: str
    read: ReadOptions


@dataclass(frozen=True)
class Side:
    """The other side of a join: which step looks up what, where."""

    step: str
    system: str
    place: str


@dataclass(frozen=True)
class Link:
    """A step with the rules that judge its rows and the targets written from it; ``options`` None: no step at all.

    ``beside``: it is the second output of that step, which the chain does not go on from.
    """

    name: str
    options: StepOptions | None
    rules: tuple[RuleOptions, ...]
    targets: tuple[int, ...]
    beside: str = ""


@dataclass(frozen=True)
class Target:
    system: str
    write: WriteOptions


@dataclass(frozen=True)
class Chain:
    pipeline: Pipeline
    sources: tuple[Source, ...]
    sides: tuple[Side, ...]
    links: tuple[Link, ...]
    targets: tuple[Target, ...]
    alerts: tuple[Alert, ...] = ()
    outputs: tuple[Link, ...] = ()

    @property
    def name(self) -> str:
        return self.pipeline.name

    @property
    def rules(self) -> tuple[RuleOptions, ...]:
        return tuple(rule for link in (*self.links, *self.outputs) for rule in link.rules)

    @property
    def holds_rows(self) -> bool:
        """Whether the configuration has anything that holds rows back."""
        held = any(rule.action == "quarantine" for rule in self.rules)
        return held or self.pipeline.error_handling.on_row_error == "quarantine"

    def told(self, event: str) -> tuple[Alert, ...]:
        """Who is told of an event, such as failed."""
        return tuple(alert for alert in self.alerts if event in alert.on)


def chain_of(project: Project, name: str) -> Chain:
    """The chain of one pipeline, drawn of the configuration alone: connections need no secrets for that.

    Raises NOT_FOUND, and CONFIG_INVALID for steps or rules that are wrong.
    """
    pipeline = project.pipelines.get(name)
    if pipeline is None or pipeline.unresolved:
        pipeline = project.pipeline(name)  # which says what is wrong
    sources = []
    for index, (read, address) in enumerate(zip(pipeline.sources, pipeline.source_addresses, strict=True)):
        named = read.name or ("source" if index == 0 else f"source_{index + 1}")
        sources.append(Source(named, system(address.name, address.kind), read))
    steps, rules = pipeline.outline()
    names = unique_names([step.name or step.type for step in steps], {s.name for s in sources})
    pairs: list[tuple[str, StepOptions | None]] = list(zip(names, steps, strict=True))
    pairs = pairs or [(EXTRACTED, None)]
    last = pairs[-1][0]
    links = tuple(_link(pipeline, rules, named, options, named == last) for named, options in pairs)
    outputs = tuple(
        _link(pipeline, rules, named, None, False, step) for named, step in _outputs(pipeline, rules, pairs).items()
    )
    targets = tuple(
        Target(system(address.name, address.kind), write)
        for write, address in zip(pipeline.targets, pipeline.target_addresses, strict=True)
    )
    alerts = (*(project.deferred_alerts.outline or ()), *pipeline.monitoring.alerts)
    return Chain(pipeline, tuple(sources), _sides(project, pairs), links, targets, alerts, outputs)


def _link(
    pipeline: Pipeline,
    rules: tuple[RuleOptions, ...],
    name: str,
    options: StepOptions | None,
    last: bool,
    beside: str = "",
) -> Link:
    return Link(
        name,
        options,
        tuple(rule for rule in rules if rule.step == name or (last and not rule.step)),
        tuple(i for i, target in enumerate(pipeline.targets) if target.from_ == name or (last and not target.from_)),
        beside,
    )


def _outputs(
    pipeline: Pipeline, rules: tuple[RuleOptions, ...], pairs: list[tuple[str, StepOptions | None]]
) -> dict[str, str]:
    """Second outputs that somebody reads, and the step that gives each: one of its options names it."""
    names = {name for name, _ in pairs}
    read = [target.from_ for target in pipeline.targets] + [rule.step for rule in rules]
    found = {}
    for output in (name for name in read if name and name not in names):
        for name, options in pairs:
            if options is not None and output in options.model_dump().values():
                found[output] = name
    return found


def system(name: str, kind: str) -> str:
    """A connection as people know it: ``shop_db (postgres)``."""
    return f"{name} ({kind})" if name else kind


def _sides(project: Project, pairs: list[tuple[str, StepOptions | None]]) -> tuple[Side, ...]:
    """Steps that look rows up: whatever has keys to join on and a table or a path."""
    found = []
    for name, options in pairs:
        table, path = getattr(options, "table", None), getattr(options, "path", None)
        if options is None or not getattr(options, "on", None) or not (table or path):
            continue
        connection = getattr(options, "connection", None)
        if connection:
            where = system(connection, project.connections.kinds.get(connection, ""))
        else:
            where = "files of the project" if path else system(LAKE, project.lake.type)
        found.append(Side(name, where, str(table or path)))
    return tuple(found)
