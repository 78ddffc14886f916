"""Receipts for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from headgate.cli.face import Color, Face

if TYPE_CHECKING:
    from headgate.core.runs import CheckResult, Receipt, TableCommit

HISTORY_LOST = "the history could not be written"
"""How the warning of a receipt begins that is in no history, so that nothing can show it again."""
COLORS: dict[str, Color] = {
    "success": "green",
    "skipped": "cyan",
    "staged": "cyan",
    "degraded": "yellow",
    "refused": "red",
    "failed": "red",
    "unknown": "red",
}
SHORT = 12
"""Characters of a run's id that people see; commands take them too."""


def show(face: Face, receipt: Receipt, *, error: bool = True) -> None:
    """Print a receipt as a small table: what happened, what was counted, what was published, where to look next.

    Without its ``error`` where that is told beside it on the same terminal.
    """
    status = receipt.status.value
    run = f"run {receipt.run_id[:SHORT]}"
    face.line(f"{receipt.pipeline}: {status}  {run}  {receipt.duration_seconds:.1f} s", COLORS.get(status))
    for label, text in _lines(receipt):
        if label == "error" and not error:
            continue
        face.line(f"  {label:<12}{text}".rstrip())


def listed(face: Face, receipts: Sequence[Receipt]) -> None:
    """Print receipts as a table, a line each."""
    columns = ("run", "pipeline", "status", "started", "seconds", "extracted", "loaded", "quarantined", "message")
    rows: list[tuple[Any, ...]] = []
    for receipt in receipts:
        message = receipt.error["message"] if receipt.error else receipt.message
        rows.append(
            (
                receipt.run_id[:SHORT],
                receipt.pipeline,
                receipt.status.value,
                f"{receipt.started_at:%Y-%m-%d %H:%M:%S}Z",
                f"{receipt.duration_seconds:.1f}",
                f"{receipt.rows.extracted:,}",
                f"{receipt.rows.loaded if receipt.published else 0:,}",
                f"{receipt.rows.quarantined:,}",
                message if len(message) <= 60 else message[:57] + "...",
            )
        )
    face.table(columns, rows)


def _lines(receipt: Receipt) -> Iterator[tuple[str, str]]:
    if receipt.message:
        yield "message", receipt.message
    if receipt.rows.extracted or receipt.rows.loaded:
        yield "rows", counts(receipt)
    for number, target in enumerate(receipt.targets):
        yield ("" if number else "targets"), _target(target, published=receipt.published)
    if receipt.watermark is not None and receipt.watermark.after is not None:
        mark = receipt.watermark
        yield "watermark", f"{mark.column}: {_value(mark.before)} → {_value(mark.after)}"
    yield from _checks(receipt.checks)
    for number, entry in enumerate(receipt.quarantine):
        yield ("" if number else "quarantine"), f"headgate quarantine show {entry}"
    for number, warning in enumerate(text for text in receipt.warnings if text != receipt.message):
        yield ("" if number else "warnings"), warning
    if receipt.error:
        error = receipt.error
        about = error["object"] if error["object"] and error["object"] not in error["message"] else ""
        yield "error", f"{error['code']}: {error['message']}" + (f" ({error['operation']} {about})" if about else "")
    yield from _next(receipt)


def counts(receipt: Receipt) -> str:
    """Row accounting in one line: what came, what became of it."""
    rows = receipt.rows
    parts = [f"{rows.extracted:,} extracted"]
    gone = {
        "expanded": rows.expanded,
        "filtered": rows.filtered,
        "unmatched": rows.unmatched,
        "quarantined": rows.quarantined,
        "deduplicated": rows.deduplicated,
        "aggregated": rows.aggregated,
        "rejected": rows.rejected,
    }
    parts += [f"{count:,} {name}" for name, count in gone.items() if count]
    unpublished = {"staged": "staged", "unknown": "perhaps loaded"}.get(receipt.status.value, "not loaded")
    return ", ".join([*parts, f"{rows.loaded:,} {'loaded' if receipt.published else unpublished}"])


def _target(target: TableCommit, *, published: bool) -> str:
    changes = [
        f"{count:,} {name}"
        for name, count in (
            ("inserted", target.inserted),
            ("updated", target.updated),
            ("deleted", target.deleted),
            ("unchanged", target.unchanged),
            ("rejected", target.rejected),
        )
        if count
    ]
    where = f"{target.connection}.{target.table}" if target.connection else target.table
    commit = f"  commit {target.commit}" if target.commit else ""
    told = ", ".join(changes) or "unchanged"
    return f"{where}: {told}{commit if published else ', if it is published'}"


def _checks(checks: Sequence[CheckResult]) -> Iterator[tuple[str, str]]:
    if not checks:
        return
    broken = [check for check in checks if not check.passed]
    told = [f"{len(checks) - len(broken)} of {len(checks)} passed"]
    skipped = sum(check.skipped for check in checks)
    early = sum(not check.evaluated and not check.skipped and check.passed for check in checks)
    told += [f"{skipped} of them skipped"] if skipped else []
    told += [f"{early} not judged yet, or not by these rows"] if early else []
    yield "checks", ", ".join(told)
    for check in broken:
        outcome = {"fail": "failed", "quarantine": "held back", "warn": "warning"}.get(check.on_fail, "recorded")
        rows = "1 row; " if check.failed_rows == 1 else f"{check.failed_rows:,} rows; "
        yield "", f"{outcome}: {check.rule}: {rows if check.counts else ''}{check.message}"


def _next(receipt: Receipt) -> Iterator[tuple[str, str]]:
    """Where to look next."""
    if receipt.status.value == "staged":
        run = receipt.run_id[:SHORT]
        yield "next", f"headgate publish {run}, or headgate discard {run}"
    elif receipt.published and receipt.targets:
        target = receipt.targets[0]
        connection = f" --connection {target.connection}" if target.connection not in ("", "lake") else ""
        yield "next", f'headgate query "SELECT * FROM {target.table} LIMIT 10"{connection}'
    elif receipt.error and not any(text.startswith(HISTORY_LOST) for text in receipt.warnings):
        yield "next", f"headgate show {receipt.run_id[:SHORT]}"


def _value(value: Any) -> str:
    return "the beginning" if value is None else str(value)
