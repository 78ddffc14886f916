"""A loaded project with its open connections: the one place where names become connectors.

It stands below commands and queries because both need it (docs/adr/0002).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from headgate.config.load import load_project
from headgate.config.models import Endpoint, Pipeline, Project
from headgate.core.contracts import Registry, Source, Store
from headgate.core.engines import Engine, TypeBinder
from headgate.core.errors import Code, FatalError, nearest
from headgate.core.events import Clock, Listener, utc_now
from headgate.core.models import ReadOptions
from headgate.core.registry import PackageRegistry
from headgate.core.runs import PipelineKey
from headgate.runs.history import History

LAKE = "lake"


@dataclass
class Workspace:
    """A project and what is open of it. Use it as a context manager: leaving closes every connection."""

    project: Project
    registry: Registry
    listeners: tuple[Listener, ...] = ()
    clock: Clock = utc_now
    _sources: dict[tuple[str, str], Source] = field(default_factory=dict)
    _stores: dict[tuple[str, str], Store] = field(default_factory=dict)
    _history: History | None = None
    _binder: TypeBinder | None = None

    @classmethod
    def load(
        cls,
        root: Path,
        *,
        environment: Mapping[str, str] | None = None,
        overrides: Mapping[str, Any] | None = None,
        variables: Mapping[str, str] | None = None,
        listeners: tuple[Listener, ...] = (),
        clock: Clock = utc_now,
        deep: bool = False,
        set_aside: bool = False,
    ) -> Workspace:
        """Load the project in ``root``. Raises CONFIG_INVALID with every problem found.

        ``deep``: steps and rules of all pipelines too; without it those of a pipeline are made when it is planned, so
        that a run with nothing to do does not import what makes them. ``set_aside``: pipelines that cannot be read are
        no error.
        """
        registry = PackageRegistry()
        project = load_project(
            root,
            registry,
            environment=os.environ if environment is None else environment,
            overrides=overrides or {},
            variables=variables or {},
            deep=deep,
            set_aside=set_aside,
        )
        return cls(project, registry, listeners, clock)

    @property
    def state(self) -> Path:
        """The folder for what is local: history, evidence, work."""
        return self.project.root / ".headgate"

    @property
    def history(self) -> History:
        if self._history is None:
            self._history = History(self.project.state.url.reveal(), self.project.root)
        return self._history

    def key(self, pipeline: str) -> PipelineKey:
        return PipelineKey(self.project.name, pipeline)

    def source(self, endpoint: Endpoint) -> Source:
        """The source behind an endpoint, opened once."""
        key = (endpoint.kind, endpoint.name)
        if key not in self._sources:
            group = "lake" if endpoint.name == LAKE else "sources"
            module = self.registry.module(group, endpoint.kind)
            self._sources[key] = module.open_source(endpoint.connection, self.project.root)
        return self._sources[key]

    def store(self, endpoint: Endpoint) -> Store:
        """The store behind an endpoint, opened once."""
        key = (endpoint.kind, endpoint.name)
        if key not in self._stores:
            if endpoint.connection.read_only:
                raise FatalError(
                    Code.CONFIG_INVALID,
                    "the connection is read_only",
                    operation="open",
                    object=endpoint.name,
                    hint="choose another connection for the target",
                )
            group = "lake" if endpoint.name == LAKE else "targets"
            module = self.registry.module(group, endpoint.kind)
            self._stores[key] = module.open_store(endpoint.name, endpoint.connection, self.project.root)
        return self._stores[key]

    def lake(self) -> Endpoint:
        return Endpoint(self.project.lake.type, self.project.lake, LAKE)

    def connection(self, name: str) -> Endpoint:
        """The endpoint of a named connection. Raises NOT_FOUND with the nearest name."""
        if name == LAKE:
            return self.lake()
        if name not in self.project.connections:
            raise FatalError(
                Code.NOT_FOUND,
                f'there is no connection "{name}"',
                operation="connections",
                object=name,
                hint=nearest(name, [*self.project.connections, LAKE]),
            )
        connection = self.project.connections[name]
        return Endpoint(connection.type, connection, name)

    def endpoint(self, *, connection: str | None, path: str | None) -> Endpoint:
        """Where a table or path is read from: a named connection, the project's folder, or the lake."""
        if connection:
            return self.connection(connection)
        if path:
            return Endpoint("local", self.registry.connection("local")(type="local"), "")
        return self.lake()

    def read_options(self, endpoint: Endpoint, **options: Any) -> ReadOptions:
        group = "lake" if endpoint.name == LAKE else "sources"
        read: ReadOptions = self.registry.module(group, endpoint.kind).Read(**options)
        return read

    def stores_of(self, pipeline: Pipeline) -> list[Store]:
        """The store of each target, in order; the first is authoritative."""
        return [self.store(pipeline.target_endpoint(i)) for i in range(len(pipeline.targets))]

    def engine(self) -> Engine:
        """The engine that runs the passes."""
        from headgate.engines.duckdb import open_engine

        return open_engine()

    def binder(self) -> TypeBinder:
        """What finds types on empty tables: one for all plans and passes, because opening one takes some 20 ms."""
        if self._binder is None:
            self._binder = self.engine().binder()
        return self._binder

    def close(self) -> None:
        if self._binder is not None:
            self._binder.close()
            self._binder = None
        for source in self._sources.values():
            source.close()
        for store in self._stores.values():
            store.close()
        self._sources.clear()
        self._stores.clear()
        if self._history is not None:
            self._history.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
