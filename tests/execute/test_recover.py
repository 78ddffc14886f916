"""What the next run does about one that was cut off, in this process: an exception that nothing catches is the cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.crash import harness
from tests.crash.scenarios import PIPELINE, SOURCES, TARGETS, Scenario, World, changes_for

from headgate.core.errors import Code, FatalError
from headgate.core.events import Event
from headgate.core.runs import Status
from headgate.execute.workspace import Workspace


class Cut(BaseException):
    """Passes every handler, as a kill would."""


def cut_off(world: World, name: str, number: int = 1, **options: Any) -> None:
    """A run that is cut off at the ``number``-th event of that name."""
    seen = 0

    def listen(event: Event) -> None:
        nonlocal seen
        if event.name == name:
            seen += 1
            if seen == number:
                raise Cut

    with pytest.raises(Cut):
        harness.run_here(world.root, PIPELINE, listen, **options)


def run(world: World, **options: Any) -> dict[str, Any]:
    return harness.run_here(world.root, PIPELINE, **options)


def statuses(world: World) -> list[Status]:
    with Workspace.load(world.root) as workspace:
        return [receipt.status for receipt in workspace.history.runs("crash")]


def made(tmp_path: Path, *followers: int) -> World:
    world = World(
        Scenario(SOURCES[1], "append", TARGETS[0], tuple(TARGETS[i] for i in followers)), tmp_path / "project"
    )
    world.land(changes_for("append", 1)[0])
    return world


@pytest.mark.parametrize("followers", [(), (1,)])
@pytest.mark.parametrize("event", ["claim.before", "scan.after", "publish.before", "publish.after", "clean.before"])
def test_a_run_that_was_cut_off_is_finished_or_forgotten(
    tmp_path: Path, event: str, followers: tuple[int, ...]
) -> None:
    world = made(tmp_path, *followers)
    cut_off(world, event, 2 if event == "clean.before" else 1)
    landed = event in ("publish.after", "clean.before")
    assert run(world)["status"] == ("skipped" if landed else "success")
    assert statuses(world) == ([Status.SKIPPED, Status.SUCCESS] if landed else [Status.SUCCESS, Status.FAILED])
    for target in (world.scenario.target, *world.scenario.followers):
        assert world.rows(target) == world.scenario.expected(world.changes)
    assert list((world.root / ".headgate" / "work").glob("*")) == []


def test_what_a_cut_off_run_parked_is_forgotten(tmp_path: Path) -> None:
    world = made(tmp_path)
    cut_off(world, "record.before", 2, publish=False)
    assert list((world.root / "goal.db.headgate").glob("parked-*"))
    assert run(world)["status"] == "success"
    assert world.scenario.target.orphans(world.root, "") == []


def test_a_run_of_which_the_target_never_heard_is_over(tmp_path: Path) -> None:
    world = made(tmp_path)
    cut_off(world, "record.after")
    assert run(world)["status"] == "success"


def test_a_staged_run_waits_and_publishes_nothing(tmp_path: Path) -> None:
    world = made(tmp_path, 1)
    staged = run(world, publish=False)
    assert (staged["status"], staged["published"]) == ("staged", False)
    assert world.rows() == {}


def test_a_follower_that_fails_is_rolled_forward_by_the_next_run(tmp_path: Path) -> None:
    world = made(tmp_path, 1)

    def fail(event: Event) -> None:
        if event.name == "forward.before":
            raise FatalError(Code.CONNECTION_FAILED, "the follower does not answer")

    receipt = harness.run_here(world.root, PIPELINE, fail)
    assert (receipt["status"], receipt["published"]) == ("publishing", True)
    assert world.rows(TARGETS[1]) == {}
    assert run(world)["status"] == "skipped"
    assert world.rows(TARGETS[1]) == world.scenario.expected(world.changes)


def test_what_a_follower_staged_goes_with_a_run_that_ends_before_the_commit(tmp_path: Path) -> None:
    """Sweeps spare what is parked, so it would have stayed for good."""
    world = made(tmp_path, 2)

    def fail(event: Event) -> None:
        if event.name == "publish.before":
            raise FatalError(Code.CONNECTION_FAILED, "the target does not answer")

    receipt = harness.run_here(world.root, PIPELINE, fail)
    assert (receipt["status"], receipt["published"]) == ("failed", False)
    assert TARGETS[2].orphans(world.root, "") == []
    assert run(world)["status"] == "success"
    assert world.rows(TARGETS[2]) == world.scenario.expected(world.changes)


def test_held_rows_replay_once(tmp_path: Path) -> None:
    from headgate.commands.models import ReplayQuarantine

    world = made(tmp_path)
    entry = run(world)["quarantine"][0]
    text = (world.root / "headgate.yml").read_text()
    (world.root / "headgate.yml").write_text(text.replace("max: 900", "max: 9000"))
    assert harness.do_here(world.root, ReplayQuarantine(entry_id=entry))["status"] == "success"
    assert world.rows().total() == len([row for row in world.changes[0] if row[2] > 0])
    again = harness.do_here(world.root, ReplayQuarantine(entry_id=entry))
    assert again["error"]["code"] == "UNSUPPORTED"


def test_a_forced_run_replaces_the_rows_of_the_one_before(tmp_path: Path) -> None:
    world = World(Scenario(SOURCES[1], "overwrite", TARGETS[1]), tmp_path / "project")
    world.land(changes_for("overwrite", 1)[0])
    assert run(world, date="2024-01-31")["status"] == "success"
    assert run(world, date="2024-01-31", force=True)["status"] == "success"
    assert world.rows() == world.scenario.expected(world.changes)
    assert sorted(entries(world).values()) == ["held", "superseded"], "the rows that it held back are held anew"


def test_rows_that_a_full_refresh_read_again_are_not_replayed_too(tmp_path: Path) -> None:
    from headgate.commands.models import ReplayQuarantine

    world = made(tmp_path)
    old = run(world)["quarantine"][0]
    (new,) = run(world, full_refresh=True)["quarantine"]
    assert entries(world) == {old: "superseded", new: "held"}
    refused = harness.do_here(world.root, ReplayQuarantine(entry_id=old))
    assert (refused["error"]["code"], refused["error"]["message"]) == ("UNSUPPORTED", "the entry is superseded")


def entries(world: World) -> dict[str, str]:
    with Workspace.load(world.root) as workspace:
        store = workspace.stores_of(workspace.project.pipeline(PIPELINE))[0]
        return {entry.id: entry.status for entry in store.quarantine("crash")}


def test_a_run_that_somebody_overtook_before_its_claim_says_so(tmp_path: Path) -> None:
    world = made(tmp_path)

    def overtake(event: Event) -> None:
        if event.name == "claim.before":
            with Workspace.load(world.root) as other:
                store = other.stores_of(other.project.pipeline(PIPELINE))[0]
                from headgate.core.ledger import Watermark

                store.claim(other.key(PIPELINE), "other", "other")
                store.set_watermark(other.key(PIPELINE), Watermark("x", "f", {"value": 1}), "x")

    assert harness.run_here(world.root, PIPELINE, overtake)["error"]["code"] == "CONFLICT"


def test_a_run_that_is_overtaken_while_it_claims_is_fenced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headgate.targets.sqlite import SqliteStore

    world = made(tmp_path)
    real = SqliteStore.claim

    def claim(self: SqliteStore, key: Any, run_id: str, execution_id: str) -> Any:
        mine = real(self, key, run_id, execution_id)
        real(self, key, "other", "other")
        return mine

    monkeypatch.setattr(SqliteStore, "claim", claim)
    assert run(world)["error"]["code"] == "FENCED"


def test_a_lost_history_cannot_learn_a_run_that_did_not_land(tmp_path: Path) -> None:
    world = made(tmp_path)
    cut_off(world, "publish.before")
    (world.root / ".headgate" / "state.db").unlink()
    assert run(world)["status"] == "success"
    assert statuses(world) == [Status.SUCCESS]


def test_a_full_read_of_a_table_moves_no_watermark(tmp_path: Path) -> None:
    world = World(Scenario(SOURCES[1], "overwrite", TARGETS[0]), tmp_path / "project")
    world.land(changes_for("overwrite", 1)[0])
    assert run(world)["status"] == "success"
    assert world.scenario.target.ledger(world.root, "").watermarks == []


@pytest.mark.parametrize(
    ("code", "status"), [(Code.CONNECTION_FAILED, Status.FAILED), (Code.OUTCOME_UNKNOWN, Status.UNKNOWN)]
)
def test_a_run_that_cannot_begin_is_kept_in_the_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: Code, status: Status
) -> None:
    from headgate.targets.sqlite import SqliteStore

    world = made(tmp_path)

    def no_answer(self: SqliteStore, key: Any) -> Any:  # noqa: ARG001
        raise FatalError(code, "no answer")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteStore, "state", no_answer)
        assert run(world)["error"]["code"] == code
    assert statuses(world) == [status]
    assert run(world)["status"] == "success"


def test_a_locked_pipeline_is_no_run(tmp_path: Path) -> None:
    world = made(tmp_path)
    with Workspace.load(world.root) as other:
        store = other.stores_of(other.project.pipeline(PIPELINE))[0]
        with store.lock(other.key(PIPELINE)):
            assert run(world)["error"]["code"] == "LOCKED"
    assert statuses(world) == []


def test_an_interval_names_a_run_whose_source_cannot(tmp_path: Path) -> None:
    world = World(Scenario(SOURCES[3], "overwrite", TARGETS[0]), tmp_path / "project")
    world.land(changes_for("overwrite", 1)[0])
    assert run(world, date="2024-01-31")["status"] == "success"
    assert run(world, date="2024-01-31")["status"] == "skipped"


def test_a_full_read_of_files_moves_no_watermark(tmp_path: Path) -> None:
    world = World(Scenario(SOURCES[0], "overwrite", TARGETS[0]), tmp_path / "project")
    world.land(changes_for("overwrite", 1)[0])
    assert run(world)["status"] == "success"
    assert run(world)["published"]
