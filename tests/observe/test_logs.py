"""Logs: every event is a line of JSON, in a file for each run, and a log never stops a run."""

from __future__ import annotations

import io
import json
import logging
import os
from pathlib import Path

import pytest

from headgate.core.events import Emitter, Step
from headgate.core.secrets import remember
from headgate.observe.logs import KEPT, RunLog, structured, warnings_to


def run(emitter: Emitter) -> None:
    with emitter.during(Step.RUN), emitter.during(Step.PLAN):
        emitter.tell(Step.PROGRESS, rows=5)


def test_a_run_is_logged_from_its_first_event_on(tmp_path: Path) -> None:
    run(Emitter("r1", "orders", [RunLog(tmp_path / "logs")]))
    lines = [json.loads(line) for line in (tmp_path / "logs" / "r1.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["run.before", "plan.before", "progress.now", "plan.after", "run.after"]
    assert lines[2]["detail"] == {"rows": 5}
    assert all(line["run_id"] == "r1" and line["pipeline"] == "orders" and line["at"].endswith("Z") for line in lines)


def test_a_run_without_work_leaves_no_log(tmp_path: Path) -> None:
    emitter = Emitter("r1", "orders", [RunLog(tmp_path / "logs")])
    with emitter.during(Step.RUN), emitter.during(Step.PROBE):
        pass
    assert not (tmp_path / "logs").exists()


def test_each_run_has_a_log_of_its_own(tmp_path: Path) -> None:
    emitter = Emitter("r1", "orders", [RunLog(tmp_path)])
    run(emitter)
    emitter.run_id = "r2"
    run(emitter)
    assert (tmp_path / "r1.jsonl").read_text().count("\n") == (tmp_path / "r2.jsonl").read_text().count("\n") == 5


def test_old_logs_go(tmp_path: Path) -> None:
    for number in range(KEPT + 5):
        path = tmp_path / f"old{number}.jsonl"
        path.write_text("")
        os.utime(path, (number, number))
    run(Emitter("new", "orders", [RunLog(tmp_path)]))
    left = {path.stem for path in tmp_path.iterdir()}
    assert len(left) == KEPT
    assert "new" in left
    assert "old0" not in left


def test_a_log_that_cannot_be_written_stops_no_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "logs").write_text("a file in the way")
    run(Emitter("r1", "orders", [RunLog(tmp_path / "logs")]))
    assert [record.getMessage()[:31] for record in caplog.records] == ["the run's log cannot be written"]


def test_structured_logs_are_json_without_secrets() -> None:
    remember("s3cr3t-name")
    stream = io.StringIO()
    emitter = Emitter("r1", "s3cr3t-name", [structured(stream)])
    run(emitter)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["run.before", "plan.before", "progress.now", "plan.after", "run.after"]
    assert {line["pipeline"] for line in lines} == {"***"}
    assert {line["level"] for line in lines} == {"info"}


@pytest.mark.parametrize("as_json", [False, True])
def test_what_modules_log_is_told_and_masked_while_a_command_runs(as_json: bool) -> None:
    remember("s3cr3t-word")
    stream = io.StringIO()
    logger = logging.getLogger("headgate.test")
    with warnings_to(stream, as_json=as_json, debug=False):
        logger.info("quiet")
        logger.warning("about s3cr3t-word")
    logger.warning("after it")
    (line,) = stream.getvalue().splitlines()
    assert "s3cr3t" not in line
    if as_json:
        assert json.loads(line)["event"] == "about ***"
    else:
        assert line == "WARNING headgate.test: about ***"
    with warnings_to(stream, as_json=False, debug=True):
        logger.debug("in detail")
    assert "in detail" in stream.getvalue()
    assert logging.getLogger("headgate").handlers == []
