"""Held rows go on at the step that held them back, through the pipeline as it is now, and only once."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plan.projects import FILES, NAME, SmallProject

from headgate.commands.handle import handle
from headgate.commands.models import MendQuarantine, ReplayQuarantine
from headgate.core.errors import Code, FatalError
from headgate.core.events import Event
from headgate.core.runs import Receipt, Status
from headgate.execute.workspace import Workspace

HOLD = {"on_row_error": "quarantine"}
RENAME: dict[str, Any] = {"type": "rename", "columns": {"note": "remark"}}
CAST: dict[str, Any] = {"type": "cast", "name": "typed", "columns": {"remark": "BIGINT"}}
MENDED: dict[str, Any] = {
    "type": "calculate",
    "name": "typed",
    "columns": {"remark": "CAST(CASE WHEN remark = 'x' THEN '0' ELSE remark END AS BIGINT)"},
}
PRICED: dict[str, Any] = {"type": "not_null", "column": "total", "on_fail": "quarantine"}
AGGREGATE: dict[str, Any] = {"type": "aggregate", "group_by": ["city"], "metrics": {"n": "COUNT(*)"}}


def only_entry(receipt: Receipt) -> str:
    (entry,) = receipt.quarantine
    return entry


def status(project: SmallProject, entry: str) -> str:
    return next(str(found["status"]) for found in project.entries() if found["id"] == entry)


def test_a_row_that_a_cast_held_goes_on_at_the_mended_step(project: SmallProject) -> None:
    late = {"type": "calculate", "columns": {"twice": "remark * 2"}}
    entry = only_entry(project.define(steps=[RENAME, CAST, late], error_handling=HOLD).run())
    project.define(steps=[RENAME, MENDED, late], error_handling=HOLD)
    receipt = project.replay(entry).unwrap()
    assert (receipt.rows.extracted, receipt.rows.loaded, receipt.published) == (1, 1, True)
    assert (2, "Bonn", 20, 0, 0) in project.out()
    assert len(project.out()) == 5


@pytest.mark.parametrize("limit", [None, 50], ids=["no limit", "more than the limit of a delivery"])
def test_a_row_that_is_still_wrong_is_held_again(project: SmallProject, limit: int | None) -> None:
    handling = {**HOLD, "max_error_percentage": limit} if limit else HOLD
    entry = only_entry(project.define(steps=[RENAME, CAST], error_handling=handling).run())
    receipt = project.replay(entry).unwrap()
    assert (receipt.rows.loaded, receipt.rows.quarantined) == (0, 1)
    again = only_entry(receipt)
    assert [status(project, one) for one in (entry, again)] == ["replayed", "held"]
    assert [row["id"] for row in project.held(again)] == [2]


def test_how_many_rows_a_rule_may_hold_back_is_about_deliveries(project: SmallProject) -> None:
    entry = only_entry(project.define(rules=[{**PRICED, "max_failed": "50%"}]).run())
    receipt = project.replay(entry).unwrap()
    assert (receipt.published, receipt.rows.quarantined) == (True, 1)


def test_a_row_that_a_rule_held_meets_the_mended_rule(project: SmallProject) -> None:
    entry = only_entry(project.define(rules=[PRICED]).run())
    project.define(rules=[{**PRICED, "column": "id"}])
    assert project.replay(entry).unwrap().rows.loaded == 1
    assert sorted(row[0] for row in project.out()) == [1, 2, 3, 4, 5]


def test_a_row_that_a_rule_held_in_the_middle_goes_through_the_later_steps(project: SmallProject) -> None:
    first = {"type": "calculate", "name": "first", "columns": {"more": "id + 100"}}
    late = {"type": "calculate", "columns": {"more": "more + 1000"}}
    rule = {**PRICED, "step": "first"}
    targets = [{"table": "out"}, {"table": "early", "from": "first"}]
    entry = only_entry(project.define(steps=[first, late], rules=[rule], targets=targets).run())
    (held,) = project.held(entry)
    assert held["more"] == 104
    project.define(steps=[first, late], targets=targets)
    assert project.replay(entry).unwrap().rows.loaded == 1
    assert project.out("SELECT id, more FROM out WHERE id = 4") == [(4, 1104)]
    assert project.out("SELECT id, more FROM early WHERE id = 4") == [(4, 104)]


DOUBLED: dict[str, Any] = {"type": "calculate", "columns": {"total": "total * 2"}}
NEGATIVE: dict[str, Any] = {"type": "range", "column": "total", "min": 0, "on_fail": "quarantine"}
APPEND: dict[str, Any] = {"table": "out", "mode": "append"}


def held_again(project: SmallProject, entry: str, **values: str) -> str:
    with Workspace.load(project.root) as workspace:
        return only_entry(handle(MendQuarantine(entry_id=entry, values=values), workspace).unwrap())


@pytest.mark.parametrize("behind", [[DOUBLED], [DOUBLED, {"type": "filter", "condition": "id > 0"}]])
def test_a_row_that_is_held_again_does_not_go_through_the_steps_behind_it_again(
    project: SmallProject, behind: list[dict[str, Any]]
) -> None:
    entry = only_entry(project.define(steps=behind, rules=[NEGATIVE], target=APPEND).run())
    for _ in range(2):
        entry = held_again(project, entry, note="'looked at'")
        assert [row["total"] for row in project.held(entry)] == [-10]
    project.change(quality_rules=[])
    project.replay(entry).unwrap()
    assert project.out("SELECT total FROM out WHERE id = 5") == [(-10,)]


def test_a_row_goes_on_at_its_step_wherever_that_stands_now(project: SmallProject) -> None:
    named = {**DOUBLED, "name": "doubled"}
    late = {"type": "calculate", "name": "late", "columns": {"total": "total + 1"}}
    strict = {**NEGATIVE, "step": "doubled"}
    entry = only_entry(project.define(steps=[named, late], rules=[strict], target=APPEND).run())
    before = {"type": "clean", "trim": True}
    project.define(steps=[before, named, late], target=APPEND).replay(entry).unwrap()
    assert project.out("SELECT total FROM out WHERE id = 5") == [(-9,)]


@pytest.mark.parametrize(
    ("now", "why"),
    [
        ([{"type": "clean", "trim": True}, {**DOUBLED, "name": "other"}], "has no such step now"),
        ([{"type": "calculate", "columns": {"city": "upper(city)"}}, DOUBLED], "several steps of that kind"),
    ],
)
def test_a_row_whose_step_cannot_be_told_is_not_replayed(
    project: SmallProject, now: list[dict[str, Any]], why: str
) -> None:
    """Where the place alone were counted, a step would be done twice, or left out."""
    entry = only_entry(project.define(steps=[DOUBLED], rules=[NEGATIVE], target=APPEND).run())
    refused = project.define(steps=now, target=APPEND).replay(entry)
    assert refused.error_code is Code.PLAN_CHANGED
    assert why in str(refused.error)
    project.define(steps=[DOUBLED], target=APPEND).replay(entry).unwrap()
    assert (-10,) in project.out("SELECT total FROM out")


def test_rows_go_on_from_the_step_that_held_them_though_two_find_the_same_fault(project: SmallProject) -> None:
    """The first step holds order 3 back, the third one order 2, which went through the second by then."""
    same = {"type": "calculate", "columns": {"total": "60 // (id - 3)"}}
    steps = [same, {"type": "calculate", "columns": {"id": "id + 1"}}, same]
    project.define(steps=steps, error_handling={"on_row_error": "quarantine"}).run()
    assert [(entry["rule"], entry["rows"]) for entry in project.entries()] == [("calculate total", 1)] * 2
    for entry in project.entries():
        (row,) = project.held(entry["id"])
        values = {"id": str(row["id"] + 10)}
        with Workspace.load(project.root) as workspace:
            handle(MendQuarantine(entry_id=entry["id"], values=values), workspace).unwrap()
    assert project.out("SELECT id FROM out WHERE id > 10") == [(13,), (14,)]


def test_steps_with_the_same_fault_may_have_other_columns(project: SmallProject) -> None:
    steps = [
        {"type": "calculate", "columns": {"x": "60 // (id - 3)"}},
        {"type": "calculate", "columns": {"id": "id + 1", "x": "60 // (id - 2)"}},
    ]
    project.define(steps=steps, error_handling={"on_row_error": "quarantine"}).run()
    assert [len(project.held(entry["id"])[0]) for entry in project.entries()] == [5, 6]
    assert len(project.out()) == 3


def test_a_row_is_not_written_again_where_it_was_before_it_was_held(project: SmallProject) -> None:
    targets = [{"table": "out"}, {"table": "early", "from": "first"}]
    first = {**RENAME, "name": "first"}
    entry = only_entry(project.define(steps=[first, CAST], targets=targets, error_handling=HOLD).run())
    project.define(steps=[first, MENDED], targets=targets, error_handling=HOLD)
    assert project.replay(entry).unwrap().rows.loaded == 1
    assert project.out("SELECT id FROM early") == [(1,), (2,), (3,), (4,), (5,)]
    assert project.out("SELECT id FROM out") == [(1,), (2,), (3,), (4,), (5,)]


def test_lines_that_the_engine_could_not_read_go_on_through_the_whole_pipeline(project: SmallProject) -> None:
    project.file("a.csv", "id,city,total\n1,Bonn,10\n2,Ulm,x\n")
    types = {"id": "BIGINT", "total": "BIGINT"}
    more = {"type": "calculate", "columns": {"more": "id + 1"}}
    source = {**FILES, "exact": False, "types": types}
    receipt = project.define(source=source, steps=[more], error_handling=HOLD).run()
    assert (receipt.rows.extracted, receipt.rows.quarantined, receipt.rows.loaded) == (2, 1, 1)
    (held,) = project.held(only_entry(receipt))
    assert (held["_line"], held["_raw"], held["total"]) == (3, "2,Ulm,x", "x")
    mended = {"type": "calculate", "columns": {"total": "CASE WHEN total = 'x' THEN 0 ELSE CAST(total AS BIGINT) END"}}
    project.define(source={**source, "types": {**types, "total": "TEXT"}}, steps=[mended, more], error_handling=HOLD)
    assert project.replay(only_entry(receipt)).unwrap().rows.loaded == 1
    assert project.out() == [(1, "Bonn", 10, 2), (2, "Ulm", 0, 3)]


def test_lines_with_other_cells_than_columns_are_held_as_they_stand(project: SmallProject) -> None:
    project.file("a.csv", "id,city,total\n1,Bonn,10\n2,Ulm,20,more\n3,Jena\n")
    receipt = project.define(source=FILES, error_handling=HOLD).run()
    assert (receipt.rows.extracted, receipt.rows.quarantined, receipt.rows.loaded) == (3, 2, 1)
    lines = [(row["_line"], row["_raw"]) for entry in receipt.quarantine for row in project.held(entry)]
    assert sorted(lines) == [(3, "2,Ulm,20,more"), (4, "3,Jena")]


def test_cells_beyond_the_columns_are_kept_and_lost_by_no_replay(project: SmallProject) -> None:
    project.file("a.csv", "id,city,total\n1,Bonn,10\n2,Neu,Ulm,20\n3,Jena,30\n")
    receipt = project.define(source=FILES, error_handling=HOLD).run()
    wide = only_entry(receipt)
    (held,) = project.held(wide)
    assert (held["id"], held["city"], held["total"], held["_surplus"]) == ("2", "Neu", "Ulm", ["20"])
    error = project.replay(wide).failure
    assert error is not None
    assert (error.code, "_surplus" in error.message, "quarantine mend" in error.hint) == (Code.UNSUPPORTED, True, True)
    assert status(project, wide) == "held"
    values = {"city": "city || '-' || total", "total": "list_extract(_surplus, 1)"}
    with Workspace.load(project.root) as workspace:
        mended = handle(MendQuarantine(entry_id=wide, values=values), workspace).unwrap()
    assert mended.rows.loaded == 1
    assert sorted(project.out()) == [(1, "Bonn", 10), (2, "Neu-Ulm", 20), (3, "Jena", 30)]


def test_a_cell_that_was_no_number_goes_on_as_the_type_that_it_has_now(project: SmallProject) -> None:
    project.file("a.csv", "id,total\n1,10\n2,x\n")
    project.define(source={**FILES, "types": {"id": "BIGINT", "total": "BIGINT"}}, error_handling=HOLD)
    entry = only_entry(project.run())
    assert project.held(entry) == [
        {"id": "2", "total": "x", "_reasons": ["cast total: expected total is a value of BIGINT"]}
    ]
    mended = {"type": "calculate", "columns": {"total": "CASE WHEN total = 'x' THEN 0 ELSE CAST(total AS BIGINT) END"}}
    project.define(source={**FILES, "types": {"id": "BIGINT", "total": "TEXT"}}, steps=[mended], error_handling=HOLD)
    assert project.replay(entry).unwrap().rows.loaded == 1
    assert project.out() == [(1, 10), (2, 0)]


@pytest.mark.parametrize("by", ["cast", "rule"])
def test_what_is_grouped_later_cannot_be_replayed(project: SmallProject, by: str) -> None:
    steps = [RENAME, CAST if by == "cast" else {**CAST, "columns": {"id": "BIGINT"}}, AGGREGATE]
    rules = [] if by == "cast" else [{**PRICED, "step": "typed"}]
    entry = only_entry(project.define(steps=steps, rules=rules, error_handling=HOLD).run())
    before = project.out()
    result = project.replay(entry)
    assert result.error_code is Code.UNSUPPORTED
    assert "an aggregate follows" in (result.error or "")
    assert (project.out(), status(project, entry)) == (before, "held")


def test_a_target_that_is_overwritten_takes_no_single_rows(project: SmallProject) -> None:
    entry = only_entry(project.define(rules=[PRICED], target={"table": "out", "mode": "overwrite"}).run())
    result = project.replay(entry)
    assert result.error_code is Code.UNSUPPORTED
    assert "replace the whole table" in (result.error or "")
    assert len(project.out()) == 4


def test_an_entry_is_replayed_once(project: SmallProject) -> None:
    entry = only_entry(project.define(rules=[PRICED]).run())
    project.define()
    assert project.replay(entry).unwrap().rows.loaded == 1
    result = project.replay(entry)
    assert result.error_code is Code.UNSUPPORTED
    assert "the entry is replayed" in (result.error or "")
    assert len(project.out()) == 5


def test_an_entry_that_is_not_there_is_not_found(project: SmallProject) -> None:
    assert project.replay("nobody-1").error_code is Code.NOT_FOUND


@pytest.mark.parametrize("step", ["publish.before", "ledger.after", "commit.before"])
def test_an_entry_is_resolved_in_the_commit_that_loads_its_rows(project: SmallProject, step: str) -> None:
    entry = only_entry(project.define(rules=[PRICED]).run())
    project.define()

    def fail(event: Event) -> None:
        if event.name == step:
            raise FatalError(Code.STORAGE_FAILED, "the disk is gone")

    with Workspace.load(project.root, listeners=(fail,)) as workspace:
        result = handle(ReplayQuarantine(entry_id=entry), workspace)
    assert result.error_code is Code.STORAGE_FAILED
    assert (status(project, entry), len(project.out())) == ("held", 4)
    assert project.replay(entry).unwrap().status is Status.SUCCESS
    assert (status(project, entry), len(project.out())) == ("replayed", 5)


def test_a_replay_moves_no_watermark(project: SmallProject) -> None:
    source = {"connection": "shop", "table": "orders", "mode": "incremental", "incremental": {"column": "id"}}
    entry = only_entry(project.define(source=source, rules=[PRICED]).run())

    def marks() -> Any:
        with Workspace.load(project.root) as workspace:
            store = workspace.stores_of(workspace.project.pipeline(NAME))[0]
            return store.state(workspace.key(NAME)).watermarks

    before = marks()
    assert before
    project.define(source=source)
    assert project.replay(entry).unwrap().rows.loaded == 1
    assert marks() == before
    assert project.run().status is Status.SKIPPED
