"""Runs from the command line: receipts, orders of several, staging, history, exit statuses."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headgate.core.runs import PipelineKey
from headgate.execute.workspace import Workspace

Call = Callable[..., Any]


def test_a_run_prints_its_receipt_as_json_and_nothing_else_on_stdout(headgate: Call) -> None:
    answer = headgate("run", "orders", "-o", "json")
    assert answer.status == 0
    receipt = answer.json
    assert receipt["status"] == "success"
    assert receipt["published"] is True
    assert receipt["error"] is None
    assert (receipt["rows"]["extracted"], receipt["rows"]["filtered"], receipt["rows"]["quarantined"]) == (4, 1, 1)
    assert receipt["rows"]["loaded"] == receipt["rows"]["inserted"] == 2
    assert receipt["targets"][0]["table"] == "orders"
    assert "orders: publishing" in answer.err


def test_a_run_prints_its_receipt_for_people(headgate: Call) -> None:
    answer = headgate("run", "orders")
    assert answer.status == 0
    assert answer.out.startswith("orders: success  run ")
    assert "4 extracted, 1 filtered, 1 quarantined, 2 loaded" in answer.out
    assert "headgate quarantine show " in answer.out
    assert 'headgate query "SELECT * FROM orders LIMIT 10"' in answer.out


def test_quiet_says_nothing_of_a_run_that_succeeds(headgate: Call) -> None:
    answer = headgate("run", "orders", "--quiet")
    assert (answer.status, answer.out, answer.err) == (0, "", "")


def test_structured_logs_are_json_lines_on_stderr(headgate: Call) -> None:
    import json

    answer = headgate("run", "orders", "--log-format", "json", "-o", "json")
    lines = [json.loads(line) for line in answer.err.splitlines()]
    assert {"run.before", "publish.after", "record.after"} <= {line["event"] for line in lines}
    assert {line["run_id"] for line in lines} == {answer.json["run_id"]}


def test_each_run_leaves_a_log_and_a_run_without_work_none(headgate: Call, project: Path) -> None:
    first = headgate("run", "orders", "-o", "json").json["run_id"]
    assert headgate("run", "orders", "-o", "json").json["status"] == "skipped"
    logs = project / ".headgate" / "logs"
    assert [path.name for path in logs.iterdir()] == [f"{first}.jsonl"]


def test_nothing_new_is_a_receipt_and_no_failure(headgate: Call) -> None:
    headgate("run", "orders")
    answer = headgate("run", "orders")
    assert answer.status == 0
    assert "orders: skipped" in answer.out
    assert "nothing new" in answer.out


def test_a_rule_that_fails_refuses_with_3_and_changes_nothing(headgate: Call, project: Path) -> None:
    headgate("run", "orders")
    (project / "inbox" / "orders" / "2.csv").write_text("id,customer,quantity,price,status\n9,Dan,101,1,paid\n")
    answer = headgate("run", "orders", "-o", "json")
    assert answer.status == 3
    assert answer.json["status"] == "refused"
    assert answer.json["error"]["code"] == "QUALITY_CHECK_FAILED"
    text = headgate("run", "orders")
    assert text.status == 3
    assert "error[QUALITY_CHECK_FAILED]" in text.err
    assert "1 extracted, 1 not loaded" in text.out
    assert re.search(r"refused +\S+ \S+ +[\d.]+ +1 +0 +0 ", headgate("runs", "--limit", "1").out)
    assert headgate("query", "SELECT COUNT(*) AS n FROM orders", "-o", "json").json["rows"] == [[2]]


def test_several_runs_come_in_the_order_of_their_dependencies(headgate: Call) -> None:
    answer = headgate("run", "totals", "orders", "-o", "json")
    assert answer.status == 0
    assert [receipt["pipeline"] for receipt in answer.json] == ["orders", "totals"]


def test_runs_are_selected_by_tag(headgate: Call) -> None:
    answer = headgate("run", "--select", "tag:daily", "-o", "json")
    assert [receipt["pipeline"] for receipt in answer.json] == ["orders", "totals"]
    unknown = headgate("run", "--select", "tag:dialy")
    assert unknown.status == 2
    assert 'did you mean "daily"?' in unknown.err


def test_what_depends_on_a_failed_run_is_not_begun(headgate: Call, project: Path) -> None:
    (project / "inbox" / "orders" / "1.csv").write_text("id,customer,quantity,price,status\n9,Dan,101,1,paid\n")
    answer = headgate("run", "orders", "totals", "-o", "json")
    assert answer.status == 3
    refused, never = answer.json
    assert refused["status"] == "refused"
    assert never["error"]["code"] == "UPSTREAM_FAILED"


def test_unknown_pipelines_and_no_pipeline_are_usage_errors(headgate: Call) -> None:
    unknown = headgate("run", "order", "-o", "json")
    assert unknown.status == 2
    assert unknown.json["error"]["hint"] == 'did you mean "orders"?'
    assert headgate("run").status == 2


def test_a_limited_run_publishes_nothing(headgate: Call) -> None:
    answer = headgate("run", "orders", "--limit", "1", "-o", "json")
    assert answer.status == 0
    assert answer.json["published"] is False
    assert headgate("query", "SELECT * FROM orders").status == 2
    assert "1 extracted, 1 not loaded" in headgate("run", "orders", "--limit", "1").out


def test_a_staged_run_is_published_later(headgate: Call) -> None:
    staged = headgate("run", "orders", "--no-publish", "-o", "json").json
    assert staged["status"] == "staged"
    shown = headgate("show", staged["run_id"]).out
    assert "2 staged" in shown
    assert "orders: 2 inserted, if it is published" in shown
    assert headgate("query", "SELECT * FROM orders").status == 2
    published = headgate("publish", staged["run_id"][:10], "-o", "json")
    assert published.status == 0
    assert published.json["status"] == "success"
    assert all(target["commit"] for target in published.json["targets"])
    assert headgate("query", "SELECT COUNT(*) AS n FROM orders", "-o", "json").json["rows"] == [[2]]
    again = headgate("publish", staged["run_id"])
    assert again.status == 2
    assert "not staged" in again.err


def test_a_staged_run_is_forgotten(headgate: Call) -> None:
    staged = headgate("run", "orders", "--no-publish", "-o", "json").json["run_id"]
    discarded = headgate("discard", staged, "-o", "json").json
    assert (discarded["status"], discarded["targets"]) == ("discarded", [])
    shown = headgate("show", staged).out
    assert "orders: discarded" in shown
    assert "headgate publish" not in shown
    assert headgate("run", "orders", "-o", "json").json["status"] == "success"


def test_the_history_lists_runs_newest_first(headgate: Call) -> None:
    assert headgate("runs").out == "nothing was run yet\n"
    assert headgate("runs", "-o", "json").json == []
    first = headgate("run", "orders", "-o", "json").json["run_id"]
    second = headgate("run", "orders", "-o", "json").json["run_id"]
    assert [receipt["run_id"] for receipt in headgate("runs", "orders", "-o", "json").json] == [second, first]
    assert headgate("runs", "--limit", "1").out.count("\n") == 2
    assert headgate("runs", "totals", "-o", "json").json == []
    assert headgate("runs", "nonsense").status == 2


def test_a_receipt_is_shown_by_how_its_id_begins(headgate: Call) -> None:
    run = headgate("run", "orders", "-o", "json").json
    assert headgate("show", run["run_id"][:8], "-o", "json").json == run
    text = headgate("show", run["run_id"]).out
    assert "4 in, 1 filtered, 1 quarantined, 2 out" in text
    unknown = headgate("show", "zzz", "-o", "json")
    assert unknown.status == 2
    assert unknown.json["error"]["code"] == "NOT_FOUND"


def test_another_living_run_is_told_with_4(headgate: Call, project: Path) -> None:
    with Workspace.load(project) as workspace:
        store = workspace.stores_of(workspace.project.pipeline("orders"))[0]
        with store.lock(PipelineKey("shop", "orders")):
            answer = headgate("run", "orders", "-o", "json")
    assert answer.status == 4
    assert answer.json["error"]["code"] == "LOCKED"
    assert headgate("run", "orders").status == 0


SLOW = """\
import time

def rows():
    for number in range(100000):
        time.sleep(0.02)
        yield {"n": number}
"""
SLOW_PIPELINE = """\
slow:
  source: {type: python, function: "slow:rows", columns: {n: BIGINT}}
  target: {table: slow}
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_rolls_back_with_one_message(project: Path, headgate: Call, number: signal.Signals) -> None:
    (project / "slow.py").write_text(SLOW)
    (project / "pipelines").mkdir()
    (project / "pipelines" / "slow.yml").write_text(SLOW_PIPELINE)
    program = "from headgate.cli.main import main; main()"
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", program, "run", "slow", "-C", str(project)], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "reading" in line:
                break
        time.sleep(0.5)
        os.kill(process.pid, number)
        rest = process.stderr.read()
        assert process.wait(60) == 1
    assert "Traceback" not in rest
    assert rest.count("error[INTERRUPTED]") == 1
    receipt = headgate("runs", "slow", "-o", "json").json[0]
    assert receipt["status"] == "failed"
    assert receipt["error"]["code"] == "INTERRUPTED"
    assert headgate("query", "SELECT * FROM slow").status == 2
    (project / "slow.py").write_text("def rows():\n    yield {'n': 1}\n")
    assert headgate("run", "slow").status == 0
    assert headgate("query", "SELECT * FROM slow", "-o", "json").json["rows"] == [[1]]


@pytest.mark.parametrize("command", ["publish", "discard", "show"])
def test_an_unknown_run_is_told_by_the_command_that_wanted_it(headgate: Call, command: str) -> None:
    answer = headgate(command, "nonsense", "-o", "json")
    assert answer.status == 2
    assert (answer.json["error"]["code"], answer.json["error"]["operation"]) == ("NOT_FOUND", command)
