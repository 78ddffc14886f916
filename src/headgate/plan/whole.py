"""The stages of a whole run, around those that steps and rules give: claim, reading, audit, publication."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from headgate.config.models import Pipeline
from headgate.plan.changes import followed
from headgate.plan.inputs import Inputs
from headgate.plan.passes import Bind
from headgate.plan.placement import place
from headgate.plan.reading import narrowed_scan
from headgate.plan.rules import RuleBook
from headgate.plan.sifting import sifted_scan
from headgate.plan.stages import Acknowledge, Affected, Claim, Clean, Move, Placement, Publish, Stage
from headgate.plan.trail import Trail


def whole_run(
    pipeline: Pipeline,
    inputs: Inputs,
    compiled: Sequence[Stage],
    rules: RuleBook,
    trails: Mapping[str, Trail],
    affected: Affected | None,
    bind: Bind,
) -> tuple[Placement, tuple[Stage, ...]]:
    """Where the work is done, and every stage in its order. A replay is done by the engine, and reads what was held."""
    stores = tuple(dict.fromkeys(inputs.stores))
    replayed = inputs.resume is not None
    latest = inputs.keys if not replayed and followed(pipeline) else ()
    main = replace(inputs.main, affected=affected, latest=latest)
    work: tuple[Stage, ...] = (main, *inputs.scans[1:], *compiled)
    audit = rules.audits.stage(pipeline.error_handling.max_error_percentage)
    if affected is None and not replayed:
        work = narrowed_scan(work, audit, pipeline.sources[0], bind)
    placement, move = place(work, audit, trails, inputs.sites, "duckdb" if replayed else pipeline.engine, bind)
    if move is not None and affected is not None:
        placement, move = Placement("duckdb", "groups are read again, which only the engine does"), None
    if not isinstance(move, Move) and affected is None and not replayed:
        work = sifted_scan(work, trails, inputs.sites.ground, bind)
    return placement, (
        Claim(pipeline.name, stores[0]),
        *([move] if move else []),
        *work,
        audit,
        Publish(stores[0], stores[1:]),
        Acknowledge(tuple(scan.source for scan in inputs.scans if scan.source is not None)),
        Clean(stores),
    )
