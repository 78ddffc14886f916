"""The history keeps a receipt of every outcome, in SQLite or PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headgate.core.errors import Code, FatalError
from headgate.core.runs import CheckResult, Receipt, Rows, Status, StepCount, TableCommit, WatermarkChange
from headgate.core.secrets import Secret
from headgate.runs.history import TABLE, History, SqliteStatements

NOW = datetime(2024, 2, 29, 23, 59, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgres"])
def history(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[History]:
    url = "sqlite:///.headgate/state.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    opened = History(url, tmp_path)
    yield opened
    opened.close()


def receipt(number: int, status: Status = Status.SUCCESS, pipeline: str = "orders") -> Receipt:
    return Receipt(
        run_id=f"{number:032x}",
        execution_id="e" * 32,
        pipeline=pipeline,
        status=status,
        started_at=NOW + timedelta(minutes=number),
        ended_at=NOW + timedelta(minutes=number, seconds=1),
        rows=Rows(extracted=3, loaded=2, filtered=1),
        steps=(StepCount("clean", 3, 2, {"filtered": 1}),),
        watermark=WatermarkChange("updated_at", None, "2024-02-29"),
        checks=(CheckResult("unique", "error", True),),
        targets=(TableCommit("orders", "12"),),
        published=True,
        quarantine=("x-1",),
    )


def test_a_receipt_comes_back_as_it_was(history: History) -> None:
    history.record("shop", receipt(1))
    assert history.runs("shop") == [receipt(1)]
    assert history.get("shop", receipt(1).run_id) == receipt(1)


def test_a_run_has_one_receipt_and_the_last_one_counts(history: History) -> None:
    history.record("shop", receipt(1, Status.RUNNING))
    history.record("shop", receipt(1, Status.FAILED))
    assert [r.status for r in history.runs("shop")] == [Status.FAILED]
    assert history.status(receipt(1).run_id) is Status.FAILED


def test_secrets_are_not_kept(history: History) -> None:
    secret = Secret("s3cr3t/+x").reveal()
    error = FatalError(Code.CONNECTION_FAILED, f"no {secret}", object=f"u:{secret}@db", hint=f"mend {secret}").as_dict()
    told = {"error": error, "message": f"left {secret}", "warnings": (f"still {secret}",)}
    history.record("shop", receipt(1).with_(**told))
    assert secret not in str(history.get("shop", receipt(1).run_id))
    assert history.get("shop", receipt(1).run_id).warnings == ("still ***",)


def test_the_newest_run_is_first_and_pipelines_can_be_chosen(history: History) -> None:
    for number in range(3):
        history.record("shop", receipt(number))
    history.record("shop", receipt(9, pipeline="sales"))
    history.record("another", receipt(10))
    assert [r.run_id[-1] for r in history.runs("shop")] == ["9", "2", "1", "0"]
    assert [r.run_id[-1] for r in history.runs("shop", ["orders"], limit=2)] == ["2", "1"]


def test_only_runs_that_never_said_for_sure_how_they_ended_are_interrupted(history: History) -> None:
    for number, status in enumerate(Status):
        history.record("shop", receipt(number, status))
    found = {r.status for r in history.interrupted("shop", "orders")}
    assert found == {Status.RUNNING, Status.PUBLISHING, Status.UNKNOWN}
    assert history.interrupted("shop", "sales") == []


@pytest.mark.parametrize("wanted", ["000", "f", "%", "_"])
def test_a_run_that_is_not_there_or_not_the_only_one_is_said_so(history: History, wanted: str) -> None:
    history.record("shop", receipt(1))
    history.record("shop", receipt(2))
    with pytest.raises(FatalError) as caught:
        history.get("shop", wanted)
    assert caught.value.code is Code.NOT_FOUND


def test_a_history_that_can_be_written_passes_its_test_and_is_left_as_it_was(history: History) -> None:
    history.record("shop", receipt(1))
    history.test()
    assert history.runs("shop") == [receipt(1)]


def test_a_folder_that_may_not_be_written_is_found_without_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests may run as root, whom permissions do not stop."""
    monkeypatch.setattr("headgate.io.files.os.access", lambda *_: False)
    with pytest.raises(FatalError, match="is not writable") as refused:
        History("sqlite:///.headgate/state.db", tmp_path).test()
    assert refused.value.code is Code.STORAGE_FAILED


def test_a_disk_without_room_for_a_commit_is_found_without_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate.io.files.LEAST_FREE", 2**62)
    with pytest.raises(FatalError) as refused:
        History("sqlite:///.headgate/state.db", tmp_path).test()
    assert refused.value.code is Code.DISK_FULL
    assert not (tmp_path / ".headgate").exists()


def test_a_history_that_is_no_database_is_said_so_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(FatalError, match="not a database") as caught:
        History("sqlite:///state.db", tmp_path).runs("shop")
    assert caught.value.code is Code.STATE_INVALID
    assert "begun anew" in caught.value.hint


def test_a_history_that_is_full_says_to_free_space(tmp_path: Path) -> None:
    statements = SqliteStatements(tmp_path / "history.db")
    try:
        statements.execute(TABLE)
        statements.query("PRAGMA max_page_count = 4")
        values = ("run", "shop", "orders", "success", "now", "x" * 100_000)
        with pytest.raises(FatalError, match="no space left") as full:
            statements.execute("INSERT INTO headgate_history VALUES (?, ?, ?, ?, ?, ?)", values)
        assert full.value.code is Code.DISK_FULL
        assert "free space" in full.value.hint
    finally:
        statements.close()


def test_what_a_pipeline_made_in_a_source_is_known_by_its_name(history: History) -> None:
    assert history.noted("shop", "orders", "slot a") is None
    history.note("shop", "orders", "slot a", {"lsn": 1})
    history.note("shop", "orders", "slot a", {"lsn": 2**63})
    assert history.noted("shop", "orders", "slot a") == {"lsn": 2**63}
    assert history.noted("shop", "others", "slot a") is None
