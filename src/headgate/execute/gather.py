"""Reads what a plan must know before it is compiled: schemas of sources and of the other sides of joins."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headgate.config.models import Endpoint, Pipeline
from headgate.core.contracts import BASIC, ReadContext, SourceSchema, Window
from headgate.core.engines import Column, TypeBinder
from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.core.grounds import Ground
from headgate.core.ledger import PipelineState
from headgate.core.models import ReadOptions
from headgate.core.sites import ForeseeingStore, Site, SitedSource, SitedStore
from headgate.execute.loads import history_fields
from headgate.execute.parameters import parameters_told
from headgate.execute.workspace import LAKE, Workspace
from headgate.plan.checks import CallCheck, CountCheck, MeasureCheck, SetCheck
from headgate.plan.compile import compile_plan
from headgate.plan.inputs import Inputs, Resume
from headgate.plan.placement import Sites
from headgate.plan.places import located
from headgate.plan.stages import Audit, Plan, Scan, Write

if TYPE_CHECKING:
    from headgate.sql.shapes import Call, SideRead

MAIN = "source"


@dataclass(frozen=True)
class Relation:
    """One thing a plan reads: where, what, and as which relation."""

    name: str
    endpoint: Endpoint
    read: ReadOptions
    source: int | None = None
    side: int | None = None
    unique: tuple[str, ...] = ()
    place: tuple[str, int] | None = None


@dataclass
class Gathered:
    """A compiled plan with what is needed to run it."""

    plan: Plan
    relations: Mapping[str, Relation]
    schemas: Mapping[str, SourceSchema] = field(default_factory=dict)
    mending: str = ""
    """SQL that mends the rows of a replay; their own columns are then ``held``."""
    held: tuple[str, ...] = ()


def relations_of(workspace: Workspace, pipeline: Pipeline) -> list[Relation]:
    """Everything the pipeline reads, the main source first."""
    found = []
    for index, read in enumerate(pipeline.sources):
        name = read.name or (MAIN if index == 0 else f"{MAIN}_{index + 1}")
        found.append(Relation(name, pipeline.source_endpoint(index), read, source=index))
    names = {relation.name for relation in found}
    for place, wanted in _looked_up(workspace, pipeline):
        if wanted.name in names:
            continue
        endpoint = workspace.endpoint(connection=wanted.connection, path=wanted.path)
        options: dict[str, Any] = {"table": wanted.table, "path": wanted.path, "columns": wanted.columns or None}
        options["types"] = dict(wanted.types) or None
        read = workspace.read_options(endpoint, **{key: value for key, value in options.items() if value is not None})
        found.append(Relation(wanted.name, endpoint, read, side=place[1], unique=wanted.unique, place=place))
        names.add(wanted.name)
    return found


def check_tables(workspace: Workspace, pipeline: Pipeline) -> None:
    """Refuse tables that a target says beforehand it cannot write, with their place in the file."""
    for number, (target, store) in enumerate(zip(pipeline.targets, workspace.stores_of(pipeline), strict=True)):
        try:
            if isinstance(store, ForeseeingStore):
                store.foresee(target.table, create=target.create)
            elif not target.create and store.describe(target.table) is None:
                raise FatalError(
                    Code.TABLE_NOT_FOUND,
                    f'there is no table "{target.table}", and create: false forbids to make it',
                    operation="stage",
                    object=target.table,
                    hint="create it, or let headgate: create: true",
                )
        except HeadgateError as error:
            raise located(error, pipeline, ("targets", number, "table")) from None


def _check_targets(workspace: Workspace, pipeline: Pipeline, plan: Plan, binder: TypeBinder) -> None:
    """Refuse columns that a target cannot hold exactly, with the place of the target in the file."""
    import pyarrow as pa

    for stage in plan.stages:
        if not isinstance(stage, Write):
            continue
        endpoint = pipeline.target_endpoint(stage.target)
        module = workspace.registry.module("lake" if endpoint.name == LAKE else "targets", endpoint.kind)
        columns, options = binder.arrow(stage.columns), pipeline.targets[stage.target]
        rows = pa.schema([*columns, *history_fields(stage, columns)])
        try:
            if hasattr(module, "check_write"):  # what is kept hangs on the target's options
                module.check_write(rows, options)
            elif hasattr(module, "check_target"):  # … or on the database that is connected
                module.check_target(rows, options, endpoint.connection, workspace.project.root)
            elif hasattr(module, "check_types"):
                module.check_types(rows)
        except HeadgateError as error:
            if stage.history is not None and error.object == stage.history.valid_from and not stage.effective:
                error.hint = _NO_MOMENTS  # no step makes this column, so none can cast it
            raise located(error, pipeline, ("targets", stage.target)) from None
        _check_previews(pipeline, plan, stage, getattr(module, "MODES", BASIC))


_NO_MOMENTS = "say effective: a column of the rows that is a date, or a time without a zone, since when they hold"


def _check_previews(pipeline: Pipeline, plan: Plan, write: Write, able: Collection[str]) -> None:
    """Refuse rules about a table as it will be, where the target cannot show it before the commit."""
    audit = next(stage for stage in plan.stages if isinstance(stage, Audit))
    spools = {preview.relation for preview in audit.previews if preview.target == write.target}
    checks: tuple[SetCheck | MeasureCheck | CountCheck | CallCheck, ...]
    checks = (*audit.sets, *audit.measures, *audit.counts, *audit.calls)
    for check in checks if "preview" not in able else ():
        if check.spool in spools:
            error = FatalError(
                Code.UNSUPPORTED,
                "this target cannot show its table before the commit, so a rule of stage: load cannot be checked",
                operation="plan",
                object=check.rule.name,
                hint="use stage: transform; unique with scope: table works with every target",
            )
            raise located(error, pipeline, ("quality_rules", check.rule.place))


def _looked_up(workspace: Workspace, pipeline: Pipeline) -> Iterator[tuple[tuple[str, int], SideRead]]:
    """What steps and rules read beside the sources, each with its place in the pipeline."""
    for index, step in enumerate(pipeline.transformations):
        module = workspace.registry.module("transforms", step.type)
        wanted = module.side(step) if hasattr(module, "side") else None
        if wanted is not None:
            yield ("transformations", index), wanted
    if pipeline.error_handling.validation == "off":
        return
    for index, rule in enumerate(pipeline.quality_rules):
        module = workspace.registry.module("quality", rule.type)
        if rule.enabled and hasattr(module, "sides"):
            for wanted in module.sides(rule):
                yield ("quality_rules", index), wanted


def gather(
    workspace: Workspace,
    pipeline: Pipeline,
    context: ReadContext,
    state: PipelineState,
    *,
    window: Window | None = None,
    resume: Resume | None = None,
    held: Sequence[Column] = (),
    casts: Mapping[str, str] | None = None,
) -> Gathered:
    """Read the schemas and compile. ``held``: a replay reads rows with these columns instead of the main source."""
    relations = relations_of(workspace, pipeline)
    binder = workspace.binder()
    schemas: dict[str, SourceSchema] = {}
    scans = []
    for relation in relations:
        if resume is not None and relation.source == 0:
            scans.append(Scan(relation.name, "quarantine", "held rows", tuple(held), source=None))
            continue
        try:
            with parameters_told(relation.read):
                scan, schema = _scan(workspace, relation, context, state, binder, window)
        except HeadgateError as error:
            raise (located(error, pipeline, relation.place) if relation.place else error) from error.__cause__
        schemas[relation.name] = schema
        scans.append(scan)
    main = relations[0].name
    inputs = Inputs(
        tuple(scans),
        casts if casts is not None else schemas[main].casts if main in schemas else {},
        schemas[main].keys if main in schemas else (),
        tuple(store.name for store in workspace.stores_of(pipeline)),
        context.variables,
        resume,
        _sites(workspace, pipeline, context, state, schemas[main].ground) if resume is None else Sites(),
        _tables(workspace, pipeline),
        schemas[main].certain if main in schemas else frozenset(),
    )

    def probe(call: Call, columns: Sequence[Column]) -> tuple[tuple[Column, ...], str]:
        from headgate.execute.calls import probe_call

        return probe_call(call, columns, binder, workspace.project.root)

    plan = compile_plan(workspace.project.name, pipeline, inputs, workspace.registry, binder, probe)
    _check_targets(workspace, pipeline, plan, binder)
    return Gathered(plan, {relation.name: relation for relation in relations}, schemas)


def _sites(
    workspace: Workspace, pipeline: Pipeline, context: ReadContext, state: PipelineState, ground: Ground
) -> Sites:
    """What the systems say of themselves; nothing where they can only be read and written."""
    if pipeline.engine == "duckdb":
        return Sites()
    source, read = workspace.source(pipeline.source_endpoint(0)), pipeline.sources[0]
    stores = workspace.stores_of(pipeline)
    sited = all(isinstance(store, SitedStore) for store in stores)
    grouped = any(step.type == "aggregate" for step in pipeline.transformations)
    if not isinstance(source, SitedSource) or not (sited or grouped):
        sitting = isinstance(source, SitedSource)
        here = Site(obstacle="the target is not a server that moves rows by itself" if sitting else "")
        return Sites(here, tuple(Site() for _ in stores), ground)
    mark = state.watermarks.get(source.identity(read)[0])
    here = source.site(read, context, mark.position if mark else None)
    there = tuple(store.site() if isinstance(store, SitedStore) else Site() for store in stores)
    return Sites(here, there, ground)


def _scan(
    workspace: Workspace,
    relation: Relation,
    context: ReadContext,
    state: PipelineState,
    binder: TypeBinder,
    window: Window | None,
) -> tuple[Scan, SourceSchema]:
    source, read = workspace.source(relation.endpoint), relation.read
    since = None
    if relation.source is not None:
        name, _ = source.identity(read)
        known = state.watermarks.get(name)
        since = known.position if known else None
    schema = source.schema(read, context, since)
    columns = binder.columns(schema.raw)
    if relation.side is not None:
        columns = tuple(Column(c.name, schema.casts.get(c.name, c.type)) for c in columns)
    scan = Scan(
        relation.name,
        relation.endpoint.name or relation.endpoint.kind,
        described(read),
        columns,
        read.mode,
        relation.source,
        relation.side,
        relation.unique,
        repeatable=relation.source != 0,
        options=_digest(read),
        note=window.note if window is not None and relation.source == 0 else "",
    )
    return scan, schema


def _tables(workspace: Workspace, pipeline: Pipeline) -> dict[int, frozenset[str]]:
    """The columns of tables that are to stay as they are, so that rows with others are held back."""
    found = {}
    for number, (target, store) in enumerate(zip(pipeline.targets, workspace.stores_of(pipeline), strict=True)):
        if target.evolve == "quarantine" and (info := store.describe(target.table)) is not None:
            found[number] = frozenset(name.lower() for name in info.schema.names)
    return found


def _digest(read: ReadOptions) -> str:
    """Names what is read, however long the query and wherever the condition stands."""
    chosen = read.model_dump(mode="json", exclude={"name", "batch_size"})
    return hashlib.sha256(json.dumps(chosen, sort_keys=True, default=str).encode()).hexdigest()[:16]


def described(read: ReadOptions) -> str:
    """What is read, in a word for people."""
    match read.table, read.query, getattr(read, "path", None), getattr(read, "function", None):
        case str(table), _, _, _:
            return table
        case _, str(query), _, _:
            return " ".join(query.split())[:80]
        case _, _, str(path), _:
            return path
        case _, _, _, str(function):
            return function
        case _:
            return read.connection or ""
