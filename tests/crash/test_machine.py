"""Any history: rows come, change and come late, runs end, are killed, race, drift, are staged, repeated and restarted.

After every step the target holds what a model in plain Python says, and nothing else.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from tests.crash import harness
from tests.crash.goals import TABLE, FolderTarget, LakeTarget, SqliteTarget, TargetSide
from tests.crash.origins import Row
from tests.crash.scenarios import describe
from tests.crash.test_rivals import at_once

from headgate.commands.models import DiscardRun, PublishRun

PIPELINE = "moves"
BEGIN = datetime(2024, 1, 1)  # noqa: DTZ001 - SQLite keeps no zone
AMOUNTS = st.sampled_from([-1, 1, 450, 900, 901, 5000])
KINDS = st.lists(AMOUNTS, min_size=1, max_size=5)


def moment(seq: int) -> str:
    return (BEGIN + timedelta(minutes=seq)).isoformat(sep=" ")


def kept(rows: list[Row]) -> Counter[Row]:
    """What the pipeline lets through: amounts above 0; those above 900 are held back."""
    return Counter(row for row in rows if 0 < row[2] <= 900)


class Histories(RuleBasedStateMachine):
    """An append of a table of SQLite, by the time of its rows. ``seq`` counts minutes; even ones are for late rows."""

    target: ClassVar[TargetSide] = SqliteTarget()

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="history-"))
        self.rows: dict[int, Row] = {}
        self.seq, self.late, self.columns, self.mark = 1, 0, 3, 0
        self.published: Counter[Row] = Counter()
        self.done: set[tuple[int, int]] = set()
        (self.root / "headgate.yml").write_text(yaml.safe_dump(self._document()))
        self._write("CREATE TABLE moves (id INTEGER PRIMARY KEY, seq INTEGER, amount INTEGER, at TIMESTAMP)")

    def _document(self) -> dict[str, Any]:
        connections: dict[str, Any] = {"origin": {"type": "sqlite", "path": "origin.db"}}
        if self.target.connection(""):
            connections[self.target.alias] = self.target.connection("")
        source = {"connection": "origin", "table": "moves", "mode": "incremental", "incremental": {"column": "at"}}
        rules = [{"type": "range", "column": "amount", "max": 900, "on_fail": "quarantine"}]
        target = {**self.target.spec(), "table": TABLE, "mode": "append", "allow_empty": True}
        steps = [{"type": "filter", "condition": "amount > 0"}]
        pipeline = {"source": source, "transformations": steps, "quality_rules": rules, "target": target}
        return {"version": 1, "project": "any", "connections": connections, "pipelines": {PIPELINE: pipeline}}

    def _write(self, sql: str, rows: list[tuple[Any, ...]] | None = None) -> None:
        with closing(sqlite3.connect(self.root / "origin.db")) as connection, connection:
            connection.executemany(sql, rows) if rows is not None else connection.execute(sql)

    def _put(self, row: Row) -> None:
        self.rows[row[0]] = row
        replace = "INSERT OR REPLACE INTO moves (id, seq, amount, at) VALUES (?, ?, ?, ?)"
        self._write(replace, [(*row, moment(row[1]))])

    def _fresh(self) -> list[Row]:
        return [row for row in self.rows.values() if row[1] > self.mark]

    def _publish(self) -> None:
        self.published += kept(self._fresh())
        self.mark = max((row[1] for row in self._fresh()), default=self.mark)

    def _run(self, **options: Any) -> dict[str, Any]:
        report = harness.in_child(lambda: harness.run_here(self.root, PIPELINE, **options)).report
        assert report["error"] is None, report
        return report

    # ------------------------------------------------------------------------------------------- the source

    @rule(amounts=KINDS)
    def rows_come(self, amounts: list[int]) -> None:
        for amount in amounts:
            self.seq += 2
            self._put((len(self.rows), self.seq, amount))

    @precondition(lambda self: self.rows)
    @rule(which=st.integers(0, 1000), amount=AMOUNTS)
    def a_row_changes(self, which: int, amount: int) -> None:
        self.seq += 2
        self._put((which % len(self.rows), self.seq, amount))

    @precondition(lambda self: self.seq > self.late + 2)
    @rule(amount=AMOUNTS)
    def a_row_comes_late(self, amount: int) -> None:
        """With a time that may have been read already: then only a full refresh finds it."""
        self.late += 2
        self._put((len(self.rows), self.late, amount))

    @precondition(lambda self: self.columns < 6)
    @rule()
    def a_column_comes(self) -> None:
        self.columns += 1
        self._write(f"ALTER TABLE moves ADD COLUMN extra{self.columns} TEXT DEFAULT 'x'")

    # ------------------------------------------------------------------------------------------- runs

    @rule()
    def a_run(self) -> None:
        report = self._run()
        assert report["status"] == "success" if self._fresh() else _found_nothing(report), report
        self._publish()

    @rule(event=st.integers(0, 40))
    def a_run_is_killed(self, event: int) -> None:
        before = Counter(self.published)
        ended = harness.run_killed(self.root, PIPELINE, event)
        found = Counter(self.target.rows(self.root, ""))
        fresh = kept(self._fresh())
        assert found in (before, before + fresh), describe(found)
        if fresh:
            if found != before:
                self._publish()
            else:
                assert ended.killed, ended.report
        elif not ended.killed:
            self._publish()
        else:  # nothing that shows tells whether it was published: the next run does, and publishes nothing twice
            assert self._run()["error"] is None
            self._publish()

    @rule()
    def two_runs_at_once(self) -> None:
        reports = at_once([lambda: harness.run_here(self.root, PIPELINE)] * 2)
        won = [report for report in reports if report["status"] == "success"]
        lost = [report for report in reports if report["status"] != "success"]
        assert len(won) == 1 if self._fresh() else all(map(_found_nothing, won)), reports
        assert all(report["status"] == "skipped" or report["error"]["code"] == "LOCKED" for report in lost), reports
        self._publish()

    @precondition(lambda self: self.rows)
    @rule()
    def everything_again(self) -> None:
        assert self._run(full_refresh=True)["status"] == "success"
        self.published = kept(list(self.rows.values()))
        self.mark = max(row[1] for row in self.rows.values())

    @rule(start=st.integers(0, 30), length=st.integers(1, 20))
    def a_time_is_read_again(self, start: int, length: int) -> None:
        """An interval adds its rows once, and moves no watermark."""
        report = self._run(start=moment(start), end=moment(start + length))
        if (start, length) in self.done:
            assert report["status"] == "skipped", report
            return
        self.done.add((start, length))
        self.published += kept([row for row in self.rows.values() if start <= row[1] < start + length])

    @precondition(lambda self: self._fresh())
    @rule(wanted=st.booleans())
    def a_run_is_staged(self, wanted: bool) -> None:
        report = self._run(publish=False)
        assert report["status"] == "staged", report
        command = (PublishRun if wanted else DiscardRun)(run_id=report["run_id"])
        end = harness.in_child(lambda: harness.do_here(self.root, command)).report
        assert end["status"] == ("success" if wanted else "discarded"), end
        if wanted:
            self._publish()

    # ------------------------------------------------------------------------------------------- what holds

    @invariant()
    def the_target_is_as_the_model_says(self) -> None:
        found = Counter(self.target.rows(self.root, ""))
        assert found == self.published, (
            f"lost {describe(self.published - found)}, too many {describe(found - self.published)}"
        )

    @invariant()
    def every_execution_stands_once_in_the_ledger(self) -> None:
        if (self.root / ".headgate").exists() and self.published:
            runs = self.target.ledger(self.root, "").runs
            assert len({execution for _, execution in runs}) == len(runs) == len({run for run, _ in runs})

    def teardown(self) -> None:
        shutil.rmtree(self.root)


def _found_nothing(report: dict[str, Any]) -> bool:
    """Nothing was new; where a column came, the run may look, and publish no rows."""
    return bool(report["status"] == "skipped" or (report["status"] == "success" and report["rows"]["extracted"] == 0))


class FolderHistories(Histories):
    target = FolderTarget()


class LakeHistories(Histories):
    target = LakeTarget()


MACHINES = [Histories, FolderHistories, LakeHistories]


def play(machine: type[Histories], histories: int, steps: int) -> None:
    checks = list(HealthCheck)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=histories, stateful_step_count=steps, deadline=None, suppress_health_check=checks
        ),
    )


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.target.name)
def test_a_history_leaves_what_the_model_says(machine: type[Histories]) -> None:
    play(machine, 3, 10)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.target.name)
def test_any_history_leaves_what_the_model_says(machine: type[Histories]) -> None:
    play(machine, 200, 50)
