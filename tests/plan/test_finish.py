"""Names that repeat get numbers; held rows can be replayed unless rows are grouped after them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.plan.projects import SmallProject

from headgate.plan.finish import fingerprint, unique_names
from headgate.plan.stages import Claim, Clean, Scan

AGGREGATE: dict[str, Any] = {"type": "aggregate", "group_by": ["city"], "metrics": {"n": "COUNT(*)"}}
FIRST: dict[str, Any] = {"type": "filter", "name": "first", "condition": "id > 1"}
NAMES = st.lists(st.sampled_from(["a", "a_2", "a_3", "b"]), max_size=8)


@given(NAMES, st.sets(st.sampled_from(["a", "b_2"])))
def test_names_are_unique_and_the_first_of_each_keeps_its_own(names: list[str], taken: set[str]) -> None:
    found = unique_names(names, taken)
    assert len(set(found)) == len(names)
    assert not set(found) & taken
    assert all(new == old or new.startswith(f"{old}_") for old, new in zip(names, found, strict=True))
    assert unique_names(["b", "b", "c"], set()) == ["b", "b_2", "c"]


def test_notes_for_people_are_no_part_of_a_fingerprint() -> None:
    scan = Scan("source", "shop", "orders", ())
    noted = Scan("source", "shop", "orders", (), note="rows after 5")
    assert fingerprint([scan]) == fingerprint([noted])
    assert fingerprint([scan]) != fingerprint([Scan("source", "shop", "others", ())])
    assert fingerprint([scan, Clean(("goal",))]) != fingerprint([Clean(("goal",)), scan])
    assert fingerprint([Claim("a", "goal")]) != fingerprint([Claim("b", "goal")])


def replayable(project: SmallProject, *steps: dict[str, Any], **others: Any) -> list[bool]:
    return [stage.replayable for stage in project.define(steps=steps, **others).passes()]


def test_held_rows_can_be_replayed_unless_rows_are_grouped_after_them(project: SmallProject) -> None:
    (project.root / "mine.py").write_text("def same(rows):\n    return rows\n")
    rule = {"type": "not_null", "column": "id", "step": "first"}
    late = {"type": "filter", "condition": "id > 2"}
    assert replayable(project, FIRST) == [True]
    assert replayable(project, FIRST, late, rules=[rule]) == [True, True]
    assert replayable(project, FIRST, AGGREGATE) == [False, True]
    assert replayable(project, FIRST, late, AGGREGATE, rules=[rule]) == [False, False, True]
    assert replayable(project, FIRST, {"type": "sql", "query": "SELECT city FROM input"}) == [False, True]
    assert replayable(project, FIRST, {"type": "python", "function": "mine:same"}) == [False, True, True]
