"""The grammar of a project, as frozen models; connectors, steps and rules bring models of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from headgate.config.sections import (
    Alert,
    Alerts,
    Defaults,
    ErrorHandling,
    Header,
    Monitoring,
    PipelineType,
    Retry,
    Sla,
    State,
)
from headgate.config.yaml import Section, place, plain
from headgate.core.errors import Code, FatalError, Problem, nearest
from headgate.core.models import ConnectionOptions, ReadOptions, RuleOptions, StepOptions, WriteOptions

__all__ = [
    "LAKE", "Address", "Alert", "Alerts", "Connections", "Defaults", "Deferred", "Endpoint", "ErrorHandling", "Header",
    "Lazy", "Monitoring", "Pipeline", "Project", "Retry", "Sla", "State", "refuse",
]  # fmt: skip
T = TypeVar("T")
LAKE = "lake"


@dataclass(frozen=True)
class Endpoint:
    """Where a source or target lies: kind and options of its connection; ``name`` is "" when it has none."""

    kind: str
    connection: ConnectionOptions
    name: str


@dataclass(frozen=True)
class Address:
    """An endpoint before its references are read: the registry group and kind, and the connection's name."""

    group: Literal["sources", "targets", "lake"]
    kind: str
    name: str


class Deferred(Generic[T]):
    """A value whose references are read when it is asked for.

    Args:
        problems: references that have no value now.
        outline: the value with marks in place of those, for who looks at everything else.
    """

    def __init__(
        self, name: str, make: Callable[[], T], problems: Sequence[Problem] = (), outline: T | None = None
    ) -> None:
        self.name, self.problems, self.outline = name, tuple(problems), outline
        self._make = make

    @cached_property
    def value(self) -> T:
        """The value. Raises FatalError CONFIG_INVALID with :attr:`problems` when there are any."""
        refuse(self.problems, self.name)
        return self._make()


class Connections(Mapping[str, ConnectionOptions]):
    """Connections by name; the references of one are read when it is asked for, and raise then if they have no value.

    Args:
        deferred: the options.
        kinds: the ``type`` of each, which needs no reference.
    """

    def __init__(self, deferred: Mapping[str, Deferred[ConnectionOptions]], kinds: Mapping[str, str]) -> None:
        self._deferred, self.kinds = deferred, kinds

    def problems(self, name: str) -> tuple[Problem, ...]:
        """What keeps a connection from being used now."""
        return self._deferred[name].problems if name in self._deferred else ()

    def __getitem__(self, name: str) -> ConnectionOptions:
        return self._deferred[name].value

    def __contains__(self, name: object) -> bool:
        return name in self._deferred

    def __iter__(self) -> Iterator[str]:
        return iter(self._deferred)

    def __len__(self) -> int:
        return len(self._deferred)


@dataclass(frozen=True)
class Lazy:
    """Steps and rules of a pipeline, made when they are first asked for: their modules cost time to import."""

    steps: Callable[[], tuple[StepOptions, ...]]
    rules: Callable[[], tuple[RuleOptions, ...]]
    problems: Callable[[], tuple[Problem, ...]]
    """Of steps and rules, and of names between them; empty when all is well."""
    faults: Callable[[], tuple[Problem, ...]] = tuple
    """Those that are there whatever the environment: without references that have no value now."""


@dataclass(frozen=True, eq=False)
class Pipeline:
    """What to move, how to change it, what must hold, where it goes."""

    name: str
    header: Header
    sources: tuple[ReadOptions, ...]
    targets: tuple[WriteOptions, ...]
    source_addresses: tuple[Address, ...]
    target_addresses: tuple[Address, ...]
    variables: Mapping[str, Any]
    file: str
    document: Section = field(repr=False)
    lazy: Lazy = field(repr=False)
    endpoint: Callable[[Address], Endpoint] = field(repr=False)
    unresolved: tuple[Problem, ...] = field(default=(), repr=False)

    @cached_property
    def transformations(self) -> tuple[StepOptions, ...]:
        """The steps. Raises FatalError CONFIG_INVALID with every problem of steps and rules."""
        refuse(self.lazy.problems(), self.name)
        return self.lazy.steps()

    @cached_property
    def quality_rules(self) -> tuple[RuleOptions, ...]:
        """The rules. Raises FatalError CONFIG_INVALID with every problem of steps and rules."""
        refuse(self.lazy.problems(), self.name)
        return self.lazy.rules()

    def outline(self) -> tuple[tuple[StepOptions, ...], tuple[RuleOptions, ...]]:
        """Steps and rules with marks in place of references that have no value now, for who looks at everything else.

        Raises FatalError CONFIG_INVALID with every problem of them, if one of them cannot be read without such a value.
        """
        steps, rules = self.lazy.steps(), self.lazy.rules()
        written = [len(self.document.get(part) or ()) for part in ("transformations", "quality_rules")]
        if self.lazy.faults() or written != [len(steps), len(rules)]:
            refuse(self.lazy.problems(), self.name)
        return steps, rules

    @property
    def type(self) -> PipelineType:
        return self.header.type

    @property
    def description(self) -> str | None:
        return self.header.description

    @property
    def owner(self) -> str | None:
        return self.header.owner

    @property
    def schedule(self) -> str | None:
        return self.header.schedule

    @property
    def timezone(self) -> str | None:
        return self.header.timezone

    @property
    def tags(self) -> tuple[str, ...]:
        return self.header.tags

    @property
    def depends_on(self) -> tuple[str, ...]:
        return self.header.depends_on

    @property
    def engine(self) -> str:
        return self.header.engine

    @property
    def delivery(self) -> Literal["exactly_once", "at_least_once"]:
        return self.header.delivery

    @property
    def error_handling(self) -> ErrorHandling:
        return self.header.error_handling

    @property
    def monitoring(self) -> Monitoring:
        return self.header.monitoring

    def source_endpoint(self, index: int) -> Endpoint:
        """Where a source is read. Raises FatalError CONFIG_INVALID when a reference of its connection has no value."""
        refuse(self.unresolved, self.name)
        return self.endpoint(self.source_addresses[index])

    def target_endpoint(self, index: int) -> Endpoint:
        """Where a target is written. Raises as :meth:`source_endpoint`."""
        refuse(self.unresolved, self.name)
        return self.endpoint(self.target_addresses[index])

    def where(self, path: Sequence[str | int]) -> tuple[str, int]:
        """File and line of a place such as ("transformations", 2, "condition"), or of what surrounds it."""
        return self.file, place(self.document, self._written(tuple(path)))

    def reads(self, step: int) -> tuple[str, ...]:
        """Columns that a record of a step says it reads, where no option of the step says so."""
        written = self.document.get("transformations")
        found = written[step] if isinstance(written, list) else None
        return found.reads if isinstance(found, Section) else ()

    def _written(self, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
        """The path as this file spells it: ``source:`` for the one of ``sources:``, and the other way round."""
        for one, many in (("source", "sources"), ("target", "targets")):
            if path[:1] == (many,) and many not in self.document:
                return (one, *path[2:])
            if path[:1] == (one,) and one not in self.document:
                return (many, 0, *path[1:])
        return path

    def canonical(self) -> dict[str, Any]:
        """The pipeline in the one spelling, references as they were written. Loading it gives an equal pipeline."""
        document: dict[str, Any] = plain(self.document)
        return document

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pipeline) and self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash(self.name)

    def _compared(self) -> tuple[object, ...]:
        return (
            self.name, self.header, self.sources, self.targets, self.source_addresses, self.target_addresses,
            dict(self.variables), self.transformations, self.quality_rules,
        )  # fmt: skip


@dataclass(frozen=True)
class Broken:
    """A pipeline that cannot be read: what is wrong, and the tables that it names as its targets."""

    problems: tuple[Problem, ...]
    tables: tuple[str, ...]


@dataclass(frozen=True)
class Project:
    """A folder with ``headgate.yml``: connections, the lake, defaults, pipelines."""

    root: Path
    name: str
    connections: Connections
    defaults: Defaults
    pipelines: Mapping[str, Pipeline]
    deferred_lake: Deferred[ConnectionOptions] = field(repr=False)
    deferred_state: Deferred[State] = field(repr=False)
    deferred_alerts: Deferred[tuple[Alert, ...]] = field(repr=False)
    broken: Mapping[str, Broken] = field(default_factory=dict, repr=False)
    """Pipelines that cannot be read, where the project was loaded without refusing them."""

    @property
    def lake(self) -> ConnectionOptions:
        """The lake's options. Raises FatalError CONFIG_INVALID when a reference in them has no value."""
        return self.deferred_lake.value

    @property
    def state(self) -> State:
        """Where the history is kept. Raises as :attr:`lake`."""
        return self.deferred_state.value

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Who is told of every pipeline. Raises as :attr:`lake`."""
        return self.deferred_alerts.value

    def pipeline(self, name: str) -> Pipeline:
        """The pipeline of that name.

        Raises:
            FatalError: NOT_FOUND with the nearest name; CONFIG_INVALID when references that it needs have no value.
        """
        found = self._named(name)
        refuse(self._missing(found), name)
        return found

    def problems_of(self, name: str) -> tuple[Problem, ...]:
        """All that is wrong with one pipeline: steps, rules, and references that it or its connections need."""
        if name in self.broken:
            return self.broken[name].problems
        found = self._named(name)
        return tuple(dict.fromkeys((*found.lazy.problems(), *self._missing(found))))

    def problems(self) -> tuple[Problem, ...]:
        """All that is wrong anywhere in the project, unused connections included."""
        found = [problem for name in (*self.broken, *self.pipelines) for problem in self.problems_of(name)]
        found += [problem for name in self.connections for problem in self.connections.problems(name)]
        for deferred in (self.deferred_lake, self.deferred_state, self.deferred_alerts):
            found += deferred.problems
        return tuple(dict.fromkeys(found))

    def _named(self, name: str) -> Pipeline:
        if name not in self.pipelines:
            raise FatalError(
                Code.NOT_FOUND,
                f'there is no pipeline "{name}"',
                operation="configuration",
                object=name,
                hint=nearest(name, self.pipelines) or "write one to pipelines/, see the reference",
            )
        return self.pipelines[name]

    def _missing(self, pipeline: Pipeline) -> tuple[Problem, ...]:
        used = {address.name for address in (*pipeline.source_addresses, *pipeline.target_addresses)}
        used |= set(_sides(pipeline.document))
        found = [problem for name in sorted(used) for problem in self.connections.problems(name)]
        if LAKE in used:
            found += self.deferred_lake.problems
        return (*pipeline.unresolved, *found)


def _sides(document: Section) -> Iterator[str]:
    """Names of the connections that steps read the other side of a join from."""
    steps = document.get("transformations")
    for step in steps if isinstance(steps, list) else ():
        if isinstance(step, Section) and "connection" in step:
            yield str(step["connection"])
        elif isinstance(step, Section) and "table" in step:
            yield LAKE


def refuse(problems: Sequence[Problem], name: str) -> None:
    """Raise FatalError CONFIG_INVALID with all of ``problems``, if there are any."""
    if problems:
        count = f"{len(problems)} problems, the first: " if len(problems) > 1 else ""
        raise FatalError(
            Code.CONFIG_INVALID,
            f"{count}{problems[0]}",
            operation="configuration",
            object=name,
            problems=problems,
        )
