"""What pipelines mean, in plain Python: random ones, and what becomes of each row."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

Row = dict[str, Any]
LABELS = [("a", "first"), ("b", "second"), (None, "nothing")]
"""One row a key; a NULL key matches nothing."""
TAGS = [("a", "x"), ("a", "y"), ("c", "z")]
"""Several rows a key: a join with them multiplies."""

KEYS = st.sampled_from(["a", "b", "c", None])
TEXTS = st.sampled_from(["1", "-3", "x", "", None])
NUMBERS = st.sampled_from([None, -2, 0, 1, 5])
ROWS = st.lists(st.tuples(KEYS, TEXTS, NUMBERS), max_size=9).map(
    lambda rows: [{"id": number, "k": k, "v": v, "w": w} for number, (k, v, w) in enumerate(rows, start=1)]
)

FILTER = {"type": "filter", "condition": "w > -1"}
CAST = {"type": "cast", "columns": {"v": "BIGINT"}}
CALCULATE = {"type": "calculate", "columns": {"u": "w * 2"}}
AGGREGATE = {
    "type": "aggregate",
    "group_by": ["k"],
    "metrics": {"n": "COUNT(*)", "low": "MIN(w)", "top": "MAX(id)"},
}
LARGE = {"type": "filter", "condition": "n > 1"}
STEPS = st.permutations(["filter", "cast", "calculate", "first", "last", "left", "inner", "tags"]).flatmap(
    lambda order: st.integers(0, 4).map(lambda count: order[:count])
)


def _deduplicate(keep: str) -> dict[str, Any]:
    return {"type": "deduplicate", "keys": ["k"], "order_by": ["id"], "keep": keep}


def _join(how: str, table: str, column: str, **others: Any) -> dict[str, Any]:
    return {
        "type": "join",
        "connection": "shop",
        "table": table,
        "on": ["k"],
        "how": how,
        "columns": [column],
        **others,
    }


WRITTEN: dict[str, dict[str, Any]] = {
    "filter": FILTER,
    "cast": CAST,
    "calculate": CALCULATE,
    "first": _deduplicate("first"),
    "last": _deduplicate("last"),
    "left": _join("left", "labels", "label"),
    "inner": _join("inner", "labels", "label", suffix="_again"),
    "tags": _join("inner", "tags", "tag", many=True),
    "aggregate": AGGREGATE,
    "large": LARGE,
}


@dataclass
class Outcome:
    """What became of the rows. ``broken``: rows that did not pass, by rule."""

    rows: list[Row]
    counts: Counter[str] = field(default_factory=Counter)
    held: list[Row] = field(default_factory=list)
    broken: dict[str, int] = field(default_factory=dict)

    def keep(self, holds: Callable[[Row], bool], reason: str) -> None:
        self.counts[reason] += sum(not holds(row) for row in self.rows)
        self.rows = [row for row in self.rows if holds(row)]


def step(outcome: Outcome, kind: str) -> None:
    """Apply one step."""
    match kind:
        case "filter":
            outcome.keep(lambda row: row["w"] is not None and row["w"] > -1, "filtered")
        case "cast":
            _cast(outcome)
        case "calculate":
            outcome.rows = [{**row, "u": None if row["w"] is None else row["w"] * 2} for row in outcome.rows]
        case "first" | "last":
            _one_a_key(outcome, last=kind == "last")
        case "left" | "inner":
            _look_up(outcome, "label_again" if outcome.rows and "label" in outcome.rows[0] else "label", kind)
        case "tags":
            _multiply(outcome)
        case "aggregate":
            _group(outcome)
        case _:
            outcome.keep(lambda row: row["n"] > 1, "filtered")


def _cast(outcome: Outcome) -> None:
    good = []
    for row in outcome.rows:
        if row["v"] is None or re.fullmatch("-?[0-9]+", row["v"]):
            good.append({**row, "v": None if row["v"] is None else int(row["v"])})
        else:
            outcome.held.append(row)
    outcome.counts["quarantined"] += len(outcome.rows) - len(good)
    outcome.rows = good


def _one_a_key(outcome: Outcome, *, last: bool) -> None:
    def place(row: Row) -> list[tuple[bool, Any]]:
        values = [row["id"], *(value for name, value in row.items() if name != "k")]
        return [(((value is not None) if last else (value is None)), 0 if value is None else value) for value in values]

    best: dict[Any, Row] = {}
    for row in outcome.rows:
        other = best.get(row["k"])
        if other is None or ((place(row) > place(other)) if last else (place(row) < place(other))):
            best[row["k"]] = row
    outcome.counts["deduplicated"] += len(outcome.rows) - len(best)
    outcome.rows = list(best.values())


def _look_up(outcome: Outcome, name: str, how: str) -> None:
    labels = {key: label for key, label in LABELS if key is not None}
    if how == "inner":
        outcome.keep(lambda row: row["k"] in labels, "unmatched")
    outcome.rows = [{**row, name: labels.get(row["k"])} for row in outcome.rows]


def _multiply(outcome: Outcome) -> None:
    outcome.keep(lambda row: any(key == row["k"] for key, _ in TAGS), "unmatched")
    before = len(outcome.rows)
    outcome.rows = [{**row, "tag": tag} for row in outcome.rows for key, tag in TAGS if key == row["k"]]
    outcome.counts["expanded"] += len(outcome.rows) - before


def _group(outcome: Outcome) -> None:
    groups: dict[Any, list[Row]] = {}
    for row in outcome.rows:
        groups.setdefault(row["k"], []).append(row)
    outcome.counts["aggregated"] += len(outcome.rows) - len(groups)
    outcome.rows = [
        {
            "k": key,
            "n": len(members),
            "low": min((row["w"] for row in members if row["w"] is not None), default=None),
            "top": max(row["id"] for row in members),
        }
        for key, members in groups.items()
    ]


Test = Callable[[Row, Sequence[Row]], bool]
RULES: dict[str, tuple[dict[str, Any], Test]] = {
    "positive": (
        {"type": "range", "column": "w", "min": 0, "on_fail": "quarantine"},
        lambda row, _: row["w"] is None or row["w"] >= 0,
    ),
    "alone": (
        {"type": "unique", "columns": ["k"], "on_fail": "quarantine"},
        lambda row, rows: row["k"] is None or sum(other["k"] == row["k"] for other in rows) == 1,
    ),
    "there": ({"type": "not_null", "column": "w", "on_fail": "warn"}, lambda row, _: row["w"] is not None),
    "few": (
        {"type": "range", "column": "n", "max": 2, "on_fail": "quarantine"},
        lambda row, _: row["n"] <= 2,
    ),
}


def judge(outcome: Outcome, rules: Mapping[str, str]) -> None:
    """Apply rules (name as written to kind) to the rows that are good now, all at once; uniqueness to those that no
    other rule holds back."""
    held: list[Row] = []
    good = outcome.rows
    for among in (False, True):
        rows, good = good, []
        for row in rows:
            asked = [(name, *RULES[kind]) for name, kind in rules.items() if (kind == "alone") == among]
            broken = [(name, options) for name, options, holds in asked if not holds(row, rows)]
            for name, _ in broken:
                outcome.broken[name] += 1
            (held if any(options["on_fail"] == "quarantine" for _, options in broken) else good).append(row)
    outcome.counts["quarantined"] += len(held)
    outcome.held += held
    outcome.rows = good


@dataclass(frozen=True)
class Case:
    """One pipeline: ``middle`` rules stand after the step of that index, ``end`` rules after the last one."""

    steps: tuple[str, ...]
    middle: tuple[str, ...]
    after: int
    end: tuple[str, ...]

    def written(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        steps = [{**WRITTEN[kind], "name": f"s{index}"} for index, kind in enumerate(self.steps)]
        if "left" in self.steps and "inner" in self.steps:
            second = max(self.steps.index("left"), self.steps.index("inner"))
            steps[second] = {**steps[second], "suffix": "_again"}
        rules = [{**RULES[name][0], "name": f"{name}_middle", "step": f"s{self.after}"} for name in self.middle]
        rules += [{**RULES[name][0], "name": f"{name}_end"} for name in self.end]
        return steps, rules

    def expected(self, rows: Sequence[Row]) -> Outcome:
        """Rules of the last step that name it are judged together with those that name none."""
        outcome = Outcome(list(rows))
        middle, end = (
            {f"{kind}_{at}": kind for kind in kinds} for kinds, at in ((self.middle, "middle"), (self.end, "end"))
        )
        outcome.broken = dict.fromkeys([*middle, *end], 0)
        last = self.after >= len(self.steps) - 1
        for index, kind in enumerate(self.steps):
            step(outcome, kind)
            if index == self.after and not last:
                judge(outcome, middle)
        judge(outcome, {**middle, **end} if last else end)
        return outcome


@st.composite
def cases(draw: st.DrawFn) -> Case:
    steps = draw(STEPS)
    after = draw(st.integers(0, len(steps) - 1)) if steps else 0
    middle = draw(st.lists(st.sampled_from(["positive", "alone", "there"]), unique=True)) if steps else []
    ending = draw(st.sampled_from([[], ["aggregate"], ["aggregate", "large"]]))
    end = draw(st.lists(st.sampled_from(["few"] if ending else ["positive", "alone", "there"]), unique=True))
    return Case((*steps, *ending), tuple(middle), after, tuple(end))
