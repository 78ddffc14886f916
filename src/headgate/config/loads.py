"""What the options of a target must say for its mode, and what they may not say for others."""

from __future__ import annotations

from collections.abc import Collection

from headgate.config.report import Path, Report
from headgate.core.models import HistoryColumns, WriteOptions

_KEYED = ("upsert", "merge", "scd2")
_ONLY = {
    "delete_when": ("merge", "scd2"),
    "delete_missing": ("merge", "scd2"),
    "track": ("scd2",),
    "effective": ("scd2",),
    "partition_by": ("overwrite",),
    "interval_column": ("overwrite",),
    "dead_letter": ("append",),
}
"""Options that mean something in some modes only."""


def capability(options: WriteOptions) -> str:
    """What the store must be able to do."""
    if options.mode == "snapshot":
        return "overwrite interval"
    if options.mode == "overwrite" and options.scope != "table":
        return f"overwrite {options.scope}"
    return options.mode


def check_load(options: WriteOptions, modes: Collection[str], report: Report, path: Path) -> None:
    """Note what is missing, what cannot be together, and a mode that the store lacks."""
    mode = options.mode
    if capability(options) not in modes:
        hint = f"modes that it has: {', '.join(sorted(modes))}"
        report.note(f"this kind of target cannot do {capability(options)}", (*path, "mode"), hint)
    if options.partitioning and "partition tables" not in modes:
        report.note(
            "parts of a table are made on demand in PostgreSQL only", (*path, "partitioning"),
            "without partitioning: scope: partition replaces partitions of rows in a table of any database",
        )  # fmt: skip
    if options.partitioning and mode in _KEYED and options.keys and options.partitioning.column not in options.keys:
        hint = f"keys: [{', '.join((*options.keys, options.partitioning.column))}]"
        report.note("the keys of a partitioned table hold the column of its parts", (*path, "keys"), hint)
    if options.dead_letter and "rescue" not in modes:
        report.note(
            "this kind of target does not catch rows that a constraint rejects", (*path, "dead_letter"),
            "hold bad rows back with rules: on_fail: quarantine",
        )  # fmt: skip
    if options.dead_letter and options.dead_letter.lower() == options.table.lower():
        report.note("rows that the table rejects cannot go into it", (*path, "dead_letter"), "name another table")
    if mode in _KEYED and not options.keys:
        report.note(f"{mode} needs keys", (*path, "mode"), "keys: [NAME], the columns that identify a row")
    for name, where in _ONLY.items():
        if getattr(options, name) and mode not in where:
            report.note(f"{name} means nothing in mode {mode}", (*path, name), f"it is for {' and '.join(where)}")
    _check_scope(options, report, path)
    _check_history(options, report, path)


def _check_scope(options: WriteOptions, report: Report, path: Path) -> None:
    if options.mode != "overwrite":
        if options.scope != "table":
            report.note(f"scope means nothing in mode {options.mode}", (*path, "scope"), "it is for overwrite")
        return
    for scope, name in (("partition", "partition_by"), ("interval", "interval_column")):
        given = getattr(options, name) is not None
        if options.scope == scope and not given:
            report.note(f"scope {scope} needs {name}", (*path, "scope"), f"{name}: NAME, a column of the rows")
        elif given and options.scope != scope:
            report.note(f"{name} is given, but the scope is {options.scope}", (*path, name), f"scope: {scope}")


def _check_history(options: WriteOptions, report: Report, path: Path) -> None:
    if options.mode != "scd2":
        if options.history != HistoryColumns():
            report.note(f"history means nothing in mode {options.mode}", (*path, "history"), "it is for scd2")
        return
    found = [name.lower() for name in options.history.model_dump().values()]
    if len(set(found)) < len(found):
        report.note("two columns of the history have one name", (*path, "history"), "give each its own")
