"""A plan as data and in words: what each stage does, in the order in which it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, assert_never

from headgate.core.values import counted, plain
from headgate.plan.stages import (
    Acknowledge,
    Audit,
    Check,
    Claim,
    Clean,
    Fetch,
    Keep,
    Move,
    Plan,
    Publish,
    Scan,
    Stage,
    Transform,
    Write,
)


def document(plan: Plan) -> dict[str, Any]:
    """The plan in the shape that ``plan -o json`` prints."""
    return {
        "pipeline": plan.pipeline,
        "hash": plan.hash,
        "stages": [
            {"stage": type(stage).__name__.lower(), "summary": words(stage), **_fields(stage)} for stage in plan.stages
        ],
        "sql": plan.sql,
        "schema": [{"name": column.name, "type": column.type} for column in plan.columns],
        "lineage": {name: list(origins) for name, origins in plan.lineage.items()},
        "placement": asdict(plan.placement),
        "scans": plan.scans,
        "reads": [_read(stage) for stage in plan.stages if isinstance(stage, Scan)],
        "writes": [_written(stage) for stage in plan.stages if isinstance(stage, Write)],
        "notes": [*plan.notes, *plan.warnings],
    }


def words(stage: Stage) -> str:  # noqa: C901 - one case a stage
    """One line that says what a stage does."""
    match stage:
        case Claim():
            return f"claim the next epoch of {stage.pipeline} in {stage.store}"
        case Scan():
            return _scan(stage)
        case Move():
            return _move(stage)
        case Fetch():
            after = f" after {counted(len(stage.where), 'filter')}" if stage.where else ""
            made = f"made by the source's server of {stage.reads}{after}"
            return f"fetch the groups of {stage.relation}, {made}; if that cannot be done, as follows"
        case Transform():
            return _transform(stage)
        case Check():
            return _check(stage)
        case Keep():
            return f"keep {counted(len(stage.columns), 'column')} of {stage.relation} for later"
        case Write():
            return _write(stage)
        case Audit():
            return _audit(stage)
        case Publish():
            after = f", then roll {', '.join(stage.followers)} forward" if stage.followers else ""
            return f"publish data, watermark and run record in one commit of {stage.store}{after}"
        case Acknowledge():
            return f"tell {counted(len(stage.sources), 'source')} how far was read"
        case Clean():
            return f"remove what the run left in {', '.join(stage.stores)}"
        case _:
            assert_never(stage)


def _write(stage: Write) -> str:
    """What becomes of the table, and by what."""
    keys = f" by {', '.join(stage.keys)}" if stage.keys else ""
    where = f"{stage.relation} to {stage.table} in {stage.store}{keys}, where no reader sees it"
    details = [
        f"only the partitions of the rows ({', '.join(stage.partition)})" if stage.partition else "",
        f"only the run's interval of {stage.between}" if stage.between else "",
        f"under the run's date in {stage.dated}" if stage.dated else "",
        f"since {stage.effective or 'the time of the run'}" if stage.history else "",
        "some rows delete their key" if stage.marker else "",
        "keys that are missing are deleted" if stage.delete_missing else "",
        f"rows that a constraint rejects go to {stage.dead_letter}" if stage.dead_letter else "",
        f"rows with values in {', '.join(stage.omitted)} are held back" if stage.omitted else "",
    ]
    told = "; ".join(detail for detail in details if detail)
    return f"{stage.mode} {where}" + (f": {told}" if told else "")


def _scan(stage: Scan) -> str:
    read = f"{len(stage.reads)} of " if stage.reads else ""
    text = f"scan {stage.object} of {stage.connection} ({read}{counted(len(stage.columns), 'column')}, {stage.mode})"
    if stage.side is not None:
        text += f" to look rows up as {stage.relation}"
    if stage.unique:
        text += f"; {', '.join(stage.unique)} must be unique there"
    if stage.latest:
        text += f"; of several changes the last of each {', '.join(stage.latest)} counts"
    if stage.keeps:
        text += f"; the source leaves out all but {' AND '.join(stage.keeps)}"
    if stage.unsifted:
        text += f"; {stage.unsifted}"
    if stage.affected is not None:
        keys, asked = ", ".join(stage.affected.keys), ", ".join(stage.affected.pushed)
        told = f", asked of the source by {asked} if they are few" if asked else ""
        text += f"; then again, all rows whose {keys} is that of a new one{told}"
    return text


def _move(stage: Move) -> str:
    match stage.place:
        case "relay":
            how = "pass its bytes from server to server"
        case "server":
            how = "INSERT … SELECT within the one database"
        case _:
            how = "one SELECT in the source's server, its bytes passed on"
    checks = len(stage.checking) + len(stage.sets)
    checked = f", then {counted(checks, 'rule')} in SQL over what arrived" if checks else ""
    return f"move {stage.reads} into {stage.relation} undecoded: {how}{checked}; if a row must be held back, as follows"


def _transform(stage: Transform) -> str:
    if stage.call is not None:
        return f"transform {stage.reads} by {stage.call.function} into {stage.relation}"
    steps = " → ".join(stage.steps) or "as it is"
    return f"transform {stage.reads} into {stage.relation}: {steps}"


def _check(stage: Check) -> str:
    parts = [f"{rule.name} ({rule.action})" for rule in stage.rules]
    rules = ", ".join(parts) if parts else "no rules"
    return f"check each row of {stage.relation}: {rules}; a row that cannot be converted: {stage.on_row_error}"


def _audit(stage: Audit) -> str:
    parts = ["every row is accounted for"]
    judged = [*(check.rule for check in stage.sets), *(check.rule for check in stage.measures)]
    judged += [*(check.rule for check in stage.counts), *(check.rule for check in stage.calls)]
    for rule in sorted(judged, key=lambda rule: rule.place):
        at = " of the table as it will be" if rule.gate == "load" else ""
        parts.append(f"{rule.name}{at} ({rule.action})")
    parts += [f"{rule.name} is skipped" for rule in stage.skipped]
    parts += [f"{check.rule.name} in the table as it will be ({check.rule.action})" for check in stage.tables]
    if stage.max_error_percentage is not None:
        parts.append(f"at most {stage.max_error_percentage:g} % of the rows held back")
    return "audit the run: " + ", ".join(parts)


def _read(stage: Scan) -> dict[str, Any]:
    return {
        "relation": stage.relation,
        "connection": stage.connection,
        "object": stage.object,
        "mode": stage.mode,
        "columns": [column.name for column in stage.columns],
    }


def _written(stage: Write) -> dict[str, Any]:
    return {"table": stage.table, "store": stage.store, "mode": stage.mode, "keys": list(stage.keys)}


def _fields(stage: Stage) -> Mapping[str, Any]:
    fields: dict[str, Any] = plain(asdict(stage))
    return fields
