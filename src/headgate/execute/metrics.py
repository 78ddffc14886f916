"""Scores of one run's data, from what its passes and rules counted: no further scan. The quality guide has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headgate.core.runs import CheckResult
from headgate.execute.context import Run
from headgate.execute.distinct import ruled

DIMENSIONS: Mapping[str, tuple[str, ...]] = {
    "accuracy": (
        *("range", "accepted_values", "regex", "format", "date_range", "expression", "schema", "aggregate", "drift"),
        *("sql", "python"),
    ),
    "consistency": ("unique", "referential", "compare"),
    "timeliness": ("freshness",),
}
"""What the kinds of rules say of the data; completeness is measured on every run."""
_DIGITS = 6


def metrics(run: Run) -> dict[str, Any]:
    """The data quality metrics of a run, each score from 0 to 1; None where nothing measured it."""
    done = [each for each in run.passes if not each.transform.branch]
    measured = done[-1].tally.measured
    rows = done[-1].tally.judged
    held, failing = sum(ruled(each) for each in done), run.failing
    cells = rows * len(done[-1].transform.columns)
    nulls = sum(done[-1].tally.nulls.values())
    checks = [check for check in run.checks if check.evaluated]
    scores = {
        "completeness": None if not measured else 1 - nulls / cells if cells else 1.0,
        **{name: score([check for check in checks if check.kind in kinds]) for name, kinds in DIMENSIONS.items()},
    }
    known = [value for value in scores.values() if value is not None]
    repeated = max((1 - _share(check) for check in checks if check.kind == "unique"), default=None)
    return {
        "dataset_name": run.pipeline.name,
        "timestamp": run.started_at.isoformat().replace("+00:00", "Z"),
        "status": status(run.checks),
        "record_count": rows,
        "total_records": rows + held,
        "passed_records": None if failing is None else rows + held - failing,
        "failed_records": failing,
        **{f"{name}_score": _rounded(value) for name, value in scores.items()},
        "overall_score": _rounded(sum(known) / len(known)) if known else None,
        "null_percentage": _rounded(100 * nulls / cells if cells else 0.0) if measured else None,
        "duplicate_percentage": None if repeated is None else _rounded(100 * repeated),
        "schema_violations": sum(check.failed_rows for check in run.checks if check.kind == "schema"),
    }


def score(checks: Sequence[CheckResult]) -> float | None:
    """The mean of what share of its rows each rule found in order; None without a rule."""
    if not checks:
        return None
    return sum(_share(check) for check in checks) / len(checks)


def _share(check: CheckResult) -> float:
    if check.score is not None:
        return min(1.0, max(0.0, check.score))
    if not check.judged:
        return float(check.passed)
    return 1 - min(1.0, check.failed_rows / check.judged)


def status(checks: Sequence[CheckResult]) -> str:
    """failed if a rule of severity error is broken, else warning if one of severity warning is, else passed."""
    broken = {check.severity for check in checks if not check.passed}
    return "failed" if "error" in broken else "warning" if "warning" in broken else "passed"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
