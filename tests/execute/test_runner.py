"""A run from lock to receipt, in this process: every way it can begin and end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.crash import harness
from tests.crash.scenarios import PIPELINE, SOURCES, TARGETS, Scenario, World, changes_for

from headgate.commands.handle import handle
from headgate.commands.models import ResetWatermark, RunPipeline
from headgate.core.contracts import Store
from headgate.core.errors import Code, FatalError, RetriableError
from headgate.core.events import Event
from headgate.core.runs import Status
from headgate.execute import runner
from headgate.execute.ending import RunFailed
from headgate.execute.workspace import Workspace
from headgate.targets.sqlite import SqliteStore

BATCHES = changes_for("append", 3)
Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(Scenario(SOURCES[1], "append", TARGETS[0]), tmp_path / "project")
    made.land(BATCHES[0])
    return made


def change(world: World, mend: Change) -> None:
    path = world.root / "headgate.yml"
    document = yaml.safe_load(path.read_text())
    mend(document["pipelines"][PIPELINE])
    path.write_text(yaml.safe_dump(document, sort_keys=False))


def run(world: World, listener: Any = None, **options: Any) -> dict[str, Any]:
    return harness.run_here(world.root, PIPELINE, listener, **options)


def raising(name: str, error: BaseException, times: int = 1) -> Any:
    left = times

    def listen(event: Event) -> None:
        nonlocal left
        if event.name == name and left:
            left -= 1
            raise error

    return listen


def statuses(world: World) -> list[Status]:
    with Workspace.load(world.root) as workspace:
        return [receipt.status for receipt in workspace.history.runs("crash")]


def test_a_run_publishes_and_the_next_one_has_nothing_to_do(world: World) -> None:
    assert run(world)["status"] == "success"
    assert run(world)["status"] == "skipped"
    assert world.rows() == world.scenario.expected(world.changes)


def test_a_passing_fault_is_tried_again_as_the_policy_says(world: World) -> None:
    change(world, lambda p: p.update(error_handling={"retry": {"max_attempts": 3, "base": "1ms", "cap": "2ms"}}))
    gone = RetriableError(Code.CONNECTION_FAILED, "gone for a moment")
    receipt = run(world, raising("scan.before", gone, times=2))
    assert receipt["status"] == "success"
    assert statuses(world) == [Status.SUCCESS, Status.FAILED, Status.FAILED]
    world.land(BATCHES[1])
    assert run(world, raising("scan.before", gone, times=3))["error"]["code"] == "CONNECTION_FAILED"


def test_an_error_nobody_foresaw_is_told_as_one_to_report(world: World) -> None:
    receipt = run(world, raising("plan.before", ZeroDivisionError("oops")))
    assert receipt["error"]["code"] == "INTERNAL"
    assert "ZeroDivisionError: oops" in receipt["error"]["message"]


def test_an_interrupt_that_duckdb_took_is_told_as_one(world: World) -> None:
    receipt = run(world, raising("plan.before", RuntimeError("Query interrupted")))
    assert receipt["error"]["code"] == "INTERRUPTED"
    assert receipt["error"]["hint"] == "nothing was published; run it again"


def test_an_interrupted_run_says_whether_it_is_published(world: World) -> None:
    before = run(world, raising("publish.before", KeyboardInterrupt()))
    assert (before["error"]["code"], before["published"]) == ("INTERRUPTED", False)
    after = run(world, raising("publish.after", KeyboardInterrupt()))
    assert (after["error"]["code"], after["published"], after["status"]) == ("INTERRUPTED", True, "publishing")
    assert "is published" in after["error"]["hint"]
    assert run(world)["status"] == "skipped"
    assert statuses(world) == [Status.SKIPPED, Status.SUCCESS, Status.FAILED]


def test_an_unknown_outcome_is_settled_by_the_next_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = SqliteStore.published
    deaf = False

    def published(self: Store, key: Any, execution_id: str) -> Any:
        if deaf:
            raise FatalError(Code.CONNECTION_FAILED, "no answer")
        return real(self, key, execution_id)  # type: ignore[arg-type]

    def lose(event: Event) -> None:
        nonlocal deaf
        if event.name == "commit.after":
            deaf = True
            raise FatalError(Code.CONNECTION_FAILED, "the reply was lost")

    monkeypatch.setattr(SqliteStore, "published", published)
    receipt = run(world, lose)
    assert (receipt["error"]["code"], receipt["status"]) == ("OUTCOME_UNKNOWN", "unknown")
    deaf = False
    assert run(world)["status"] == "skipped"
    assert statuses(world) == [Status.SKIPPED, Status.SUCCESS]
    assert world.rows() == world.scenario.expected(world.changes)


def test_a_changed_filter_is_refused_until_the_state_is_reset(world: World) -> None:
    assert run(world)["status"] == "success"
    change(world, lambda p: p["source"].update(where="seq > 0"))
    assert run(world)["error"]["code"] == "STATE_INVALID"


def test_a_full_refresh_reads_everything_again(world: World) -> None:
    assert run(world)["status"] == "success"
    assert run(world, full_refresh=True)["status"] == "success"
    assert world.rows() == world.scenario.expected(world.changes)


def test_a_limited_run_leaves_nothing(world: World) -> None:
    receipt = run(world, limit=5)
    assert (receipt["status"], receipt["published"]) == ("success", False)
    assert world.rows() == {}
    assert world.scenario.target.orphans(world.root, "") == []


def test_an_interval_is_done_once_and_another_plan_needs_force(world: World) -> None:
    change(world, lambda p: p.update(source={"connection": "origin", "table": "moves"}))
    day = {"date": "2024-01-31"}
    first = run(world, **day)
    assert first["status"] == "success"
    again = run(world, **day)
    assert again["status"] == "skipped"
    assert first["run_id"] in again["message"]
    change(world, lambda p: p.update(transformations=[{"type": "filter", "condition": "amount > 1"}]))
    assert run(world, **day)["error"]["code"] == "PLAN_CHANGED"


def test_the_execution_follows_from_what_a_run_is_for(world: World) -> None:
    change(world, lambda p: p.update(source={"connection": "origin", "table": "moves"}))
    assert run(world)["execution_id"] != run(world)["execution_id"]


def test_leftovers_that_cannot_go_are_told_and_hide_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from headgate.io.sqlite_transaction import SqliteTransaction

    def stuck(self: SqliteTransaction) -> None:  # noqa: ARG001
        raise FatalError(Code.STORAGE_FAILED, "stuck")

    monkeypatch.setattr(SqliteTransaction, "rollback", stuck)
    receipt = run(world, raising("audit.before", FatalError(Code.ROW_ERROR, "bad")))
    assert receipt["error"]["code"] == "ROW_ERROR"
    assert list(receipt["warnings"]) == ["leftovers stay until the next run: stuck"]


def test_evidence_that_cannot_be_kept_hides_nothing(world: World) -> None:
    (world.root / ".headgate").mkdir(exist_ok=True)
    (world.root / ".headgate" / "evidence").write_text("in the way")
    change(world, lambda p: p["quality_rules"][0].update(on_fail="fail"))
    receipt = run(world)
    assert (receipt["error"]["code"], receipt["status"]) == ("QUALITY_CHECK_FAILED", "refused")
    assert any("evidence" in warning for warning in receipt["warnings"])


def test_a_target_that_cannot_say_who_claimed_leaves_the_error_as_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = SqliteStore.state
    deaf = False

    def state(self: Store, key: Any) -> Any:
        if deaf:
            raise FatalError(Code.CONNECTION_FAILED, "no answer")
        return real(self, key)  # type: ignore[arg-type]

    def deafen(event: Event) -> None:
        nonlocal deaf
        if event.name == "audit.before":
            deaf = True
            raise FatalError(Code.ROW_ERROR, "bad")

    monkeypatch.setattr(SqliteStore, "state", state)
    assert run(world, deafen)["error"]["code"] == "ROW_ERROR"


def test_a_history_that_fails_at_the_end_is_a_warning(world: World) -> None:
    assert list(run(world)["warnings"]) == []

    def spoil(event: Event) -> None:
        if event.name == "publish.after":
            (world.root / ".headgate" / "state.db").write_bytes(b"x" * 9000)

    world.land(BATCHES[1])
    receipt = run(world, spoil)
    assert receipt["published"]
    assert any("history" in warning for warning in receipt["warnings"])


def test_a_lost_history_learns_the_last_run_again(world: World) -> None:
    run_id = run(world)["run_id"]
    (world.root / ".headgate" / "state.db").unlink()
    assert run(world)["status"] == "skipped"
    with Workspace.load(world.root) as workspace:
        assert workspace.history.status(run_id) is Status.SUCCESS


def test_a_full_read_that_landed_is_not_done_again_after_its_interruption(world: World) -> None:
    change(world, lambda p: p.update(source={"connection": "origin", "table": "moves"}))
    cut = run(world, raising("acknowledge.before", FatalError(Code.CONNECTION_FAILED, "gone")))
    assert cut["status"] == "publishing"
    receipt = run(world)
    assert receipt["run_id"] == cut["run_id"]
    assert "had landed" in receipt["message"]
    assert world.rows() == world.scenario.expected(world.changes)


def test_a_failed_run_carries_its_receipt_and_error(world: World) -> None:
    with Workspace.load(world.root, listeners=(raising("scan.before", OSError("x")),)) as workspace:
        pipeline = workspace.project.pipeline(PIPELINE)
        from headgate.execute.context import RunRequest

        with pytest.raises(RunFailed) as caught:
            runner.run_pipeline(workspace, pipeline, RunRequest())
    assert caught.value.receipt.status is Status.FAILED
    assert caught.value.error.code is Code.INTERNAL
    assert RunPipeline(pipeline=PIPELINE).publish


def test_a_watermark_that_was_forgotten_means_that_everything_is_read_again(world: World) -> None:
    loaded = run(world)["rows"]["loaded"]
    for _ in range(2):
        with Workspace.load(world.root) as workspace:
            assert not handle(ResetWatermark(pipeline=PIPELINE), workspace).is_failure
        again = run(world)
        assert (again["status"], again["rows"]["loaded"]) == ("success", loaded)
        assert run(world)["status"] == "skipped"
    assert sum(world.rows().values()) == 3 * loaded


def test_a_skipped_run_tells_the_watermark_as_it_stands(world: World) -> None:
    after = run(world)["watermark"]["after"]
    assert run(world)["watermark"] == {"column": "seq", "before": after, "after": after}


@pytest.mark.parametrize(
    "changed", [{"where": "seq > 1"}, {"query": "SELECT * FROM moves -- once more", "table": None}]
)
def test_an_interval_under_another_condition_needs_force(world: World, changed: dict[str, Any]) -> None:
    source = {"connection": "origin", "table": "moves", "where": "seq > 0"}
    change(world, lambda p: p.update(source=source))
    assert run(world, date="2024-01-31")["status"] == "success"
    change(world, lambda p: p.update(source={k: v for k, v in {**source, **changed}.items() if v is not None}))
    assert run(world, date="2024-01-31")["error"]["code"] == "PLAN_CHANGED"


def test_a_run_begins_without_what_only_plans_need() -> None:
    """Most runs of a schedule find nothing new: they should take no time to find it."""
    code = (
        "import sys; import headgate.execute.runner;"
        "print([name for name in ('duckdb', 'pyarrow', 'sqlglot', 'pyiceberg') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "[]"
