"""What rules that are broken do: how many rows may break them, what their severity means, what is held and refused."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.often import whole_runs
from tests.plan.projects import SmallProject
from tests.tables import COLUMNS, NAMES, TABLES, Row, arrow, keys

from headgate.commands.handle import handle
from headgate.commands.models import ValidateData
from headgate.core.results import Result
from headgate.core.runs import Receipt
from headgate.execute.workspace import Workspace

Way = Literal["run", "run_that_only_warns", "validate"]
ON_FAIL = {"error": "fail", "warning": "warn", "info": "record"}


def places(rows: list[Row], breaks: Callable[[Row], bool]) -> set[int]:
    return {number for number, row in enumerate(rows) if breaks(row)}


def lacking(names: list[str]) -> Callable[[list[Row]], set[int]]:
    return lambda rows: {number for number, found in enumerate(keys(rows, names)) if None in found}


def repeated(names: list[str]) -> Callable[[list[Row]], set[int]]:
    def found(rows: list[Row]) -> set[int]:
        listed = keys(rows, names)
        times = Counter(listed)
        return {number for number, one in enumerate(listed) if None not in one and times[one] > 1}

    return found


def single(column: str, breaks: Callable[[Any], bool]) -> Callable[[list[Row]], set[int]]:
    place = list(COLUMNS).index(column)
    return lambda rows: places(rows, lambda row: row[place] is not None and breaks(row[place]))


@dataclass(frozen=True)
class Rule:
    """A rule and the rows that break it, of those that it looks at."""

    options: dict[str, Any]
    broken_by: Callable[[list[Row]], set[int]]

    @property
    def of_all_rows(self) -> bool:
        return self.options["type"] in ("unique", "sql")

    @property
    def on_fail(self) -> str:
        return str(self.options.get("on_fail") or ON_FAIL[self.options.get("severity", "error")])

    def allowed(self, judged: int) -> Fraction:
        """So many rows may break it."""
        match self.options.get("max_failed"):
            case None:
                return Fraction(0)
            case str(text):
                return Fraction(text.rstrip("%").strip()) * judged / 100
            case number:
                return Fraction(number)


KINDS: list[Rule] = [
    Rule({"type": "range", "column": "i", "min": -1, "max": 2}, single("i", lambda i: not -1 <= i <= 2)),
    Rule({"type": "range", "column": "d", "max": 0}, single("d", lambda d: d > 0)),
    Rule({"type": "date_range", "column": "day", "min": date(1970, 1, 1)}, single("day", lambda d: d.year < 1970)),
    Rule(
        {"type": "accepted_values", "column": "t", "values": ["", "ä", "💧"]},
        single("t", lambda t: t not in ("", "ä", "💧")),
    ),
    Rule({"type": "expression", "condition": "f = 0"}, single("f", lambda f: f != 0)),
    Rule(
        {"type": "sql", "query": "SELECT * FROM input WHERE d > 0 AND i IS NOT NULL"},
        lambda rows: places(rows, lambda row: row[3] is not None and row[3] > 0 and row[0] is not None),
    ),
]
SHARES = st.one_of(
    st.sampled_from(["0%", "100%", "0.5%", "12.5%", "33.3%", "33.4%", "50 %", "66.6%"]),
    st.tuples(st.integers(0, 8), st.integers(1, 8)).map(lambda part: f"{round(100 * part[0] / part[1], 1):g}%"),
)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    kind = draw(
        st.one_of(
            st.sampled_from(KINDS),
            NAMES.map(lambda names: Rule({"type": "not_null", "columns": names}, lacking(names))),
            NAMES.map(lambda names: Rule({"type": "unique", "columns": names}, repeated(names))),
        )
    )
    actions = ["fail", "warn", "record", *([] if kind.options["type"] == "sql" else ["quarantine"])]
    said = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "severity": st.sampled_from([*ON_FAIL]),
                "on_fail": st.sampled_from(actions),
                "max_failed": st.one_of(st.integers(0, 8), SHARES.filter(lambda text: float(text.rstrip("% ")) <= 100)),
                "enabled": st.sampled_from([True, True, False]),
            },
        )
    )
    return Rule({**kind.options, **said}, kind.broken_by)


@dataclass
class Expected:
    """What a receipt must say."""

    failed: list[tuple[set[int], int]]
    """Of each rule the rows that break it, and how many it looks at."""
    held: set[int]


def judgements(rows: list[Row], chosen: Sequence[Rule]) -> Expected:
    """Rules about single rows look at all rows, a ``unique`` that holds rows back at those that none of them holds, and
    other rules about all rows at those that nothing holds."""

    def by_rows(rule: Rule) -> set[int]:
        return rule.broken_by(rows)

    def among(rule: Rule, out: set[int]) -> set[int]:
        left = [number for number in range(len(rows)) if number not in out]
        return {left[place] for place in rule.broken_by([rows[number] for number in left])}

    active = [rule for rule in chosen if rule.options.get("enabled", True)]
    held: set[int] = set()
    for rule in active:
        if rule.on_fail == "quarantine" and not rule.of_all_rows:
            held |= by_rows(rule)
    single_held = set(held)
    for rule in active:
        if rule.on_fail == "quarantine" and rule.of_all_rows:
            held |= among(rule, single_held)
    failed = []
    for rule in chosen:
        if rule not in active:
            failed.append((set[int](), 0))
        elif not rule.of_all_rows:
            failed.append((by_rows(rule), len(rows)))
        else:
            out = single_held if rule.on_fail == "quarantine" else held
            failed.append((among(rule, out), len(rows) - len(out)))
    return Expected(failed, held)


def judged(root: Path, way: Way, rows: list[Row], chosen: Sequence[Rule]) -> Result[Receipt]:
    project = SmallProject(root)
    (root / "inbox").mkdir()
    pq.write_table(arrow(rows), root / "inbox" / "rows.parquet")
    listed = [{**rule.options, "name": f"r{number}"} for number, rule in enumerate(chosen)]
    if way == "validate":
        project.define()
        with Workspace.load(root) as workspace:
            result: Result[Receipt] = handle(ValidateData(dataset="inbox/rows.parquet", rules=listed), workspace)
            return result
    target = {"connection": "inbox", "table": "out", "mode": "overwrite", "allow_empty": True}
    handling = {"validation": "warn" if way == "run_that_only_warns" else "enforce"}
    source = {"connection": "inbox", "path": "rows.parquet"}
    return project.define(source=source, rules=listed, target=target, error_handling=handling).attempt()


@whole_runs
@for_all(st.sampled_from(["run", "run_that_only_warns", "validate"]), TABLES, st.lists(rules(), min_size=1, max_size=6))
def test_what_is_refused_held_and_counted_goes_by_how_many_rows_break_which_rules(
    tmp_path_factory: pytest.TempPathFactory, way: Way, rows: list[Row], chosen: list[Rule]
) -> None:
    with tempfile.TemporaryDirectory(dir=tmp_path_factory.getbasetemp()) as root:
        result = judged(Path(root), way, rows, chosen)
    receipt, wanted = result.value, judgements(rows, chosen)
    assert receipt is not None, result.error
    quality = receipt.quality
    assert quality is not None
    broken = [len(found) > rule.allowed(seen) for rule, (found, seen) in zip(chosen, wanted.failed, strict=True)]
    refusing = [
        broke and (rule.on_fail == "fail" or (rule.on_fail == "quarantine" and "max_failed" in rule.options))
        for rule, broke in zip(chosen, broken, strict=True)
    ]
    refused = any(refusing) and way != "run_that_only_warns"
    assert result.is_failure == refused, result.error
    said = [(check.rule, check.passed, check.failed_rows, check.judged) for check in receipt.checks]
    assert said == [
        (f"r{number}", not broke, len(found), seen)
        for number, (broke, (found, seen)) in enumerate(zip(broken, wanted.failed, strict=True))
    ]
    for check, rule in zip(receipt.checks, chosen, strict=True):
        assert check.severity == rule.options.get("severity", "error")
        assert check.skipped != rule.options.get("enabled", True)
    severities = {check.severity for check, broke in zip(receipt.checks, broken, strict=True) if broke}
    status = "failed" if "error" in severities else "warning" if "warning" in severities else "passed"
    failing = set[int]().union(*(found for found, _ in wanted.failed))
    assert (quality["status"], quality["total_records"], quality["passed_records"], quality["failed_records"]) == (
        status, len(rows), len(rows) - len(failing), len(failing),
    )  # fmt: skip
    assert receipt.rows.quarantined == len(wanted.held)
    if way != "validate":
        assert receipt.published != refused
