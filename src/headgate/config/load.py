"""Loads a project: every file, every pipeline, every problem at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from headgate.config.addresses import Surroundings
from headgate.config.build import build
from headgate.config.environment import override, read_env
from headgate.config.files import NAME, find_root, read_files
from headgate.config.models import (
    LAKE,
    Address,
    Alert,
    Alerts,
    Broken,
    Connections,
    Defaults,
    Deferred,
    Endpoint,
    Pipeline,
    Project,
    State,
    refuse,
)
from headgate.config.outline import check_outline, is_name
from headgate.config.pipelines import Made, Maker
from headgate.config.references import References, asks, referring
from headgate.config.report import Path as Place
from headgate.config.report import Report
from headgate.config.spellings import canonical_connection
from headgate.config.yaml import RefusedError, Section
from headgate.core.contracts import Registry
from headgate.core.errors import Code, FatalError, Problem, nearest
from headgate.core.models import ConnectionOptions, Model

__all__ = ["find_root", "load_project", "project_problems"]

M = TypeVar("M", bound=Model)


def load_project(
    root: Path,
    registry: Registry,
    *,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    variables: Mapping[str, str] | None = None,
    deep: bool = True,
    set_aside: bool = False,
    instead: Mapping[str, str] | None = None,
) -> Project:
    """Load the project in ``root``.

    Args:
        root: the folder of ``headgate.yml``.
        registry: finds the models of connectors, steps and rules.
        environment: variables; default those of the process. They win over ``.env``.
        overrides: what flags say, such as ``{"defaults.batch_size": 1000}``; it wins over everything.
        variables: values of ``{{ var.NAME }}``; they win over the pipelines' own.
        deep: also make steps and rules. Without it they are made, and can be refused, when they are asked for.
        set_aside: pipelines that cannot be read are no error, and stand in ``Project.broken`` with what is wrong.
        instead: texts by file name that are read in place of the files, or beside them.

    References without a value are no error here: asking for what needs them is one. ``Project.problems`` has all.

    Raises:
        FatalError: CONFIG_INVALID with every problem of every file and pipeline.
    """
    loading = _Loading(
        root, registry, os.environ if environment is None else environment, overrides or {}, instead or {}
    )
    return loading.project(variables or {}, deep, set_aside=set_aside)


def project_problems(
    root: Path,
    registry: Registry,
    *,
    environment: Mapping[str, str] | None = None,
    instead: Mapping[str, str] | None = None,
) -> tuple[Problem, ...]:
    """All that is wrong in a project, references without a value included; empty when all is well.

    ``instead``: texts by file name that are read in place of the files.
    """
    environment = os.environ if environment is None else environment
    try:
        return _Loading(root, registry, environment, {}, instead or {}).project({}, deep=True).problems()
    except FatalError as error:
        if error.code is not Code.CONFIG_INVALID or not error.problems:
            raise
        return error.problems


class _Loading:
    def __init__(
        self,
        root: Path,
        registry: Registry,
        environment: Mapping[str, str],
        overrides: Mapping[str, Any],
        instead: Mapping[str, str],
    ) -> None:
        self.root, self.registry = root.resolve(), registry
        files = read_files(self.root, instead)
        problems = files.problems
        try:
            environment = {**read_env(self.root), **environment}
        except RefusedError as refused:
            problems += refused.problems
        self.document = files.document
        self.report = Report(self.document, NAME, problems=problems)
        check_outline(files, self.report)
        self.files = files
        problems += override(self.document, environment, overrides)
        self.references = References(environment, self.root)

    def project(self, variables: Mapping[str, str], deep: bool, *, set_aside: bool = False) -> Project:
        connections = self._connections()
        lake, known = self._lake()
        state = self._deferred(State, "state")
        alerts = self._alerts()
        defaults = self._defaults()
        made = self._pipelines(connections, lake, variables, lake_known=known)
        self._check_dependencies(made)
        broken = {one.name: _broken(one) for one in made if one.problems}
        problems = list(self.report.problems)
        if problems or not set_aside:
            deep = deep or set_aside
            problems += [problem for one in made for problem in one.problems]
        if deep:
            problems += [problem for one in made for problem in one.body.problems]
        if problems:
            problems += [problem for name in connections for problem in connections.problems(name)]
            problems += [problem for one in made for problem in one.unresolved]
            if deep:
                problems += [problem for one in made for problem in one.body.all_problems]
        refuse(tuple(dict.fromkeys(problems)), str(self.root))
        assert defaults is not None
        pipelines: dict[str, Pipeline] = {one.name: one.pipeline for one in made if one.pipeline is not None}
        name = str(self.document["project"])
        return Project(self.root, name, connections, defaults, pipelines, lake, state, alerts, broken)

    def _connections(self) -> Connections:
        deferred: dict[str, Deferred[ConnectionOptions]] = {}
        kinds: dict[str, str] = {}
        for name, section in (self.document.get("connections") or {}).items():
            path: Place = ("connections", name)
            if name == LAKE or not is_name(name):
                hint = "the lake stands under lake:" if name == LAKE else "letters, digits, _ . and -, at most 100"
                self.report.note(f'"{name}" cannot be the name of a connection', path, hint)
            elif not isinstance(section, Section):
                self.report.note("expected: a mapping of options", path, "such as {type: local, path: data}")
            else:
                kind = self._kind(section, path)
                if kind is not None:
                    canonical_connection(section, self.registry.connection(kind), self.report, path)
                    kinds[name] = kind
                    deferred[name] = self._options(self.registry.connection(kind), section, path)
        return Connections(deferred, kinds)

    def _kind(self, section: Section, path: Place) -> str | None:
        kind = section.get("type")
        known = {*self.registry.kinds("sources"), *self.registry.kinds("targets")}
        if isinstance(kind, str) and kind in known:
            return kind
        what = '"type" is missing' if kind is None else f'unknown kind of connection "{kind}"'
        self.report.note(what, (*path, "type"), nearest(str(kind or ""), known))
        return None

    def _lake(self) -> tuple[Deferred[ConnectionOptions], bool]:
        """The lake, and whether its kind is known: nothing is said of the options of one that nobody knows."""
        section = self.document.get("lake")
        section = section if isinstance(section, Section) else Section(NAME, 1)
        if "type" not in section:
            section.put("type", "iceberg")
        try:
            model = self.registry.module("lake", str(section["type"])).Connection
        except FatalError as error:
            self.report.note_error(error, ("lake", "type"))
            return self._options(ConnectionOptions, _only_type(section), ("lake",)), False
        return self._options(model, section, ("lake",)), True

    def _deferred(self, model: type[M], key: str) -> Deferred[M]:
        section = self.document.get(key)
        return self._options(model, section if isinstance(section, Section) else Section(NAME, 1), (key,))

    def _options(self, model: type[M], section: Section, path: Place) -> Deferred[M]:
        """The options, checked now and made when they are asked for."""
        section = _without_nulls(section)
        data, missing = self.references.substitute(section, "later")
        apart = Report(self.document, NAME)
        for one in missing:
            apart.note(one.message, (*path, *one.path), one.hint)
        unresolved = [one.path for one in missing]
        made = build(model, data, self.report, path, unresolved=unresolved, hidden=referring(section))

        def make() -> M:
            if asks(section):
                return model(**self.references.substitute(section, "ask")[0])
            assert made is not None, "a project with problems is not given out"
            return made

        return Deferred(".".join(str(part) for part in path), make, apart.problems, made)

    def _alerts(self) -> Deferred[tuple[Alert, ...]]:
        section = Section(NAME, 1)
        if self.document.get("alerts") is not None:
            section.put("alerts", self.document["alerts"], self.document.line_of("alerts"))
        deferred = self._options(Alerts, section, ())
        outline = deferred.outline.alerts if deferred.outline is not None else None
        return Deferred("alerts", lambda: deferred.value.alerts, deferred.problems, outline)

    def _defaults(self) -> Defaults | None:
        section = self.document.get("defaults")
        section = _without_nulls(section) if isinstance(section, Section) else Section(NAME, 1)
        data, missing = self.references.substitute(section)
        for one in missing:
            self.report.note(one.message, ("defaults", *one.path), one.hint)
        unresolved = [one.path for one in missing]
        return build(Defaults, data, self.report, ("defaults",), unresolved=unresolved, hidden=referring(section))

    def _pipelines(
        self,
        connections: Connections,
        lake: Deferred[ConnectionOptions],
        variables: Mapping[str, str],
        *,
        lake_known: bool,
    ) -> list[Made]:
        raw = self.document.get("connections") or {}
        read_only = frozenset(
            name for name, section in raw.items() if isinstance(section, Section) and section.get("read_only") is True
        )
        lake_section = self.document.get("lake")
        kind = str(lake_section["type"]) if isinstance(lake_section, Section) else "iceberg"
        wrong = frozenset(name for name in raw if name not in connections.kinds)
        wrong |= frozenset() if lake_known else {LAKE}
        around = Surroundings(connections.kinds, read_only, kind, wrong)

        def endpoint(address: Address) -> Endpoint:
            match address.name:
                case "":
                    return Endpoint(address.kind, self.registry.connection(address.kind)(type=address.kind), "")
                case name if name == LAKE:
                    return Endpoint(address.kind, lake.value, LAKE)
                case name:
                    return Endpoint(address.kind, connections[name], name)

        maker = Maker(self.registry, self.references, around, endpoint, variables)
        return [maker.make(name, section, file) for name, (section, file) in self.files.pipelines.items()]

    def _check_dependencies(self, made: list[Made]) -> None:
        """``depends_on`` names pipelines, and nobody waits for itself."""
        wanted: dict[str, list[str]] = {}
        for one in made:
            named = one.document.get("depends_on")
            wanted[one.name] = [name for name in named if isinstance(name, str)] if isinstance(named, list) else []
        for one in made:
            of_steps = one.body.report
            report = Report(of_steps.document, of_steps.file, of_steps.prefix, one.problems)
            for index, name in enumerate(wanted[one.name]):
                path: Place = ("depends_on", index)
                if name not in wanted:
                    report.note(f'there is no pipeline "{name}"', path, nearest(name, wanted))
                elif one.name in _reached(name, wanted):
                    report.note(f'"{one.name}" would wait for itself through "{name}"', path, "break the circle")


def _broken(made: Made) -> Broken:
    """What is wrong with a pipeline that cannot be read, its steps included, and the tables that it was to write."""
    problems = dict.fromkeys((*made.problems, *made.unresolved, *made.body.all_problems))
    target, targets = made.document.get("target"), made.document.get("targets")
    written = [target, *(targets if isinstance(targets, list) else ())]
    tables = [one["table"] for one in written if isinstance(one, Section) and isinstance(one.get("table"), str)]
    return Broken(tuple(problems), tuple(tables))


def _reached(name: str, wanted: Mapping[str, list[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting += wanted.get(current, [])
    return found


def _only_type(section: Section) -> Section:
    found = Section(section.file, section.line)
    found.put("type", str(section["type"]), section.line_of("type"))
    return found


def _without_nulls(section: Section) -> Section:
    found = Section(section.file, section.line)
    for key, value in section.items():
        if value is not None:
            found.put(key, value, section.line_of(key))
    return found
