"""Any history: rows come, change and come late, runs end, are killed, race, drift, are staged, repeated and restarted,
and what they held back is mended, replayed and thrown away.

After every step the target holds what a model in plain Python says, and nothing else.
"""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from tests.conftest import Server, database_name
from tests.crash import harness
from tests.crash.goals import TABLE, FolderTarget, LakeTarget, Ledger, PostgresTarget, SqliteTarget, TargetSide
from tests.crash.histories import Origin, PostgresOrigin, SqliteOrigin, moment
from tests.crash.origins import Row
from tests.crash.scenarios import describe
from tests.crash.test_rivals import at_once

from headgate.commands.models import DiscardQuarantine, DiscardRun, MendQuarantine, PublishRun, ReplayQuarantine

PIPELINE = "moves"
AMOUNTS = st.sampled_from([-1, 1, 450, 900, 901, 5000])
KINDS = st.lists(AMOUNTS, min_size=1, max_size=5)
EVENTS = st.integers(0, 40)
WHICH = st.integers(0, 1000)
Report = dict[str, Any]


def kept(rows: list[Row]) -> Counter[Row]:
    """What the pipeline lets through: amounts above 0; those above 900 are held back."""
    return Counter(row for row in rows if 0 < row[2] <= 900)


def held(rows: list[Row]) -> Counter[Row]:
    return Counter(row for row in rows if row[2] > 900)


class Histories(RuleBasedStateMachine):
    """An append of a table of SQLite, by the time of its rows. ``seq`` counts minutes; even ones are for late rows."""

    target: ClassVar[TargetSide] = SqliteTarget()
    url: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="history-", dir=_quick_folder()))
        self.origin = self._origin()
        self.ids, self.seq, self.late, self.columns = 0, 1, 0, 0
        self.published: Counter[Row] = Counter()
        self.entries: dict[str, Counter[Row]] = {}
        self.runs = 0
        self.intervals: dict[tuple[int, int], tuple[int, Counter[Row]]] = {}
        (self.root / "headgate.yml").write_text(yaml.safe_dump(self._document()))

    def _origin(self) -> Origin:
        return SqliteOrigin(self.root)

    def _document(self) -> dict[str, Any]:
        connections: dict[str, Any] = {"origin": self.origin.connection()}
        if self.target.connection(self.url):
            connections[self.target.alias] = self.target.connection(self.url)
        source = {"connection": "origin", "table": "moves", "mode": "incremental", "incremental": {"column": "at"}}
        rules = [{"type": "range", "column": "amount", "max": 900, "on_fail": "quarantine"}]
        target = {**self.target.spec(), "table": TABLE, "mode": "append", "allow_empty": True}
        steps = [{"type": "filter", "condition": "amount > 0"}]
        pipeline = {"source": source, "transformations": steps, "quality_rules": rules, "target": target}
        return {"version": 1, "project": "any", "connections": connections, "pipelines": {PIPELINE: pipeline}}

    # ------------------------------------------------------------------------------------------- the model

    def _new_rows(self, amounts: list[int]) -> list[Row]:
        rows = []
        for amount in amounts:
            self.seq += 2
            rows.append((self.ids, self.seq, amount))
            self.ids += 1
        return rows

    def _published(self, rows: list[Row], *, resolved: str = "") -> None:
        """One more run stands in the ledger; it put ``rows`` into the table and into quarantine."""
        self.published += kept(rows)
        self.runs += 1
        self.entries.pop(resolved, None)
        self._learn(held(rows))

    def _learn(self, rows: Counter[Row]) -> None:
        """The entry of rows that were just held back."""
        new = {id_: Counter(found) for id_, found in self._ledger().held.items() if id_ not in self.entries}
        assert sum(new.values(), Counter[Row]()) == rows, f"held are {describe(sum(new.values(), Counter()))}"
        self.entries |= new

    def _incremental(self) -> None:
        rows = self.origin.fresh()
        self.origin.read()
        self._published(rows)

    def _ledger(self) -> Ledger:
        return self.target.ledger(self.root, self.url) if (self.root / ".headgate").exists() else Ledger()

    def _chosen(self, which: int) -> str:
        return list(self.entries)[which % len(self.entries)]

    # ------------------------------------------------------------------------------------------- what is done

    def _run(self, **options: Any) -> Report:
        return harness.in_child(lambda: harness.run_here(self.root, PIPELINE, **options)).report

    def _do(self, command: Any, listener: Any = None) -> harness.Outcome:
        return harness.in_child(lambda: harness.do_here(self.root, command, listener))

    def _killed(self, action: Callable[[], harness.Outcome]) -> bool:
        """Whether what was killed, or was quicker, was published."""
        before = len(self._ledger().runs) if self.runs else 0
        action()
        self.origin.settle()
        try:
            after = len(self._ledger().runs)
        except Exception:  # noqa: BLE001 - before the first claim there is no ledger, in four different ways
            assert not self.runs
            return False
        assert after - before in (0, 1)
        return after > before

    # ------------------------------------------------------------------------------------------- the source

    @rule(amounts=KINDS)
    def rows_come(self, amounts: list[int]) -> None:
        for row in self._new_rows(amounts):
            self.origin.put(row)

    @precondition(lambda self: self.origin.rows)
    @rule(which=WHICH, amount=AMOUNTS)
    def a_row_changes(self, which: int, amount: int) -> None:
        self.seq += 2
        self.origin.put((sorted(self.origin.rows)[which % len(self.origin.rows)], self.seq, amount))

    @precondition(lambda self: self.seq > self.late + 2)
    @rule(amount=AMOUNTS)
    def a_row_comes_late(self, amount: int) -> None:
        """With a time that may have been read already."""
        self.late += 2
        self.origin.put((self.ids, self.late, amount))
        self.ids += 1

    @precondition(lambda self: self.columns < 3 and not getattr(self.origin, "open", ()))
    @rule()
    def a_column_comes(self) -> None:
        self.columns += 1
        self.origin.alter(f"ADD COLUMN extra{self.columns} VARCHAR(9) DEFAULT 'x'")

    # ------------------------------------------------------------------------------------------- runs

    @rule()
    def a_run(self) -> None:
        report = self._run()
        assert report["error"] is None, report
        assert report["status"] == ("success" if self.origin.fresh() else "skipped"), report
        if self.origin.fresh():
            self._incremental()

    @rule(event=EVENTS)
    def a_run_is_killed(self, event: int) -> None:
        if self._killed(lambda: harness.run_killed(self.root, PIPELINE, event)):
            self._incremental()

    @rule(event=EVENTS)
    def two_runs_at_once(self, event: int) -> None:
        """One of them may be killed, by an event that not every run reaches; a third does what is left."""
        killed = functools.partial(harness.run_here, self.root, PIPELINE, harness.killer(event * 2))
        reports: list[Report] = []

        def both() -> harness.Outcome:
            reports.extend(at_once([lambda: harness.run_here(self.root, PIPELINE), killed]))
            return harness.Outcome(False, {})

        published = self._killed(both)
        won = [report for report in reports if report.get("status") == "success"]
        assert len(won) <= published <= bool(self.origin.fresh()), reports
        for report in reports:
            told = report.get("status") in (None, "success", "skipped") or report["error"]["code"] == "LOCKED"
            assert told, report
        assert self._run()["status"] == ("success" if self.origin.fresh() and not published else "skipped")
        if self.origin.fresh():
            self._incremental()

    @precondition(lambda self: self.origin.everything())
    @rule()
    def everything_again(self) -> None:
        report = self._run(full_refresh=True)
        assert report["status"] == "success", report
        rows = self.origin.everything()
        self.origin.begin_anew()
        self.published, self.entries = Counter(), {}
        self.intervals = {key: (columns, Counter()) for key, (columns, _) in self.intervals.items()}
        self._published(rows)

    @rule(start=st.integers(0, 10), length=st.integers(1, 3), times=st.integers(1, 3), event=EVENTS)
    def times_are_read_again(self, start: int, length: int, times: int, event: int) -> None:
        """A backfill: interval after interval, each once; the watermark stays. The first run may be killed."""
        for number in range(times):
            key = (start + number * length, start + (number + 1) * length)
            span = {"start": moment(key[0]), "end": moment(key[1])}
            if number == 0 and self._killed(functools.partial(harness.run_killed, self.root, PIPELINE, event, **span)):
                assert key not in self.intervals
                self._interval_done(key)
            report = self._run(**span)
            if key not in self.intervals:
                assert report["status"] == "success", report
                self._interval_done(key)
            elif self.intervals[key][0] == self.columns:
                assert report["status"] == "skipped", report
            else:
                assert report["error"]["code"] == "PLAN_CHANGED", report

    def _interval_done(self, key: tuple[int, int]) -> None:
        rows = self.origin.within(*key)
        self.intervals[key] = (self.columns, kept(rows))
        self._published(rows)

    @precondition(lambda self: self.origin.fresh())
    @rule(wanted=st.booleans())
    def a_run_is_staged(self, wanted: bool) -> None:
        report = self._run(publish=False)
        assert report["status"] == "staged", report
        end = self._do((PublishRun if wanted else DiscardRun)(run_id=report["run_id"])).report
        assert end["status"] == ("success" if wanted else "discarded"), end
        if wanted:
            self._incremental()

    # ------------------------------------------------------------------------------------------- the quarantine

    @precondition(lambda self: self.entries)
    @rule(which=WHICH, event=EVENTS, mended=st.booleans())
    def held_rows_go_on(self, which: int, event: int, mended: bool) -> None:
        """Killed or not, then asked for again: mended they are published, once; as they are they are held again."""
        entry = self._chosen(which)
        rows = list(self.entries[entry].elements())
        mend = MendQuarantine(entry_id=entry, values={"amount": "900"})
        command = mend if mended else ReplayQuarantine(entry_id=entry)
        after = [(row[0], row[1], 900) for row in rows] if mended else rows
        if self._killed(lambda: self._do(command, harness.killer(event))):
            self._published(after, resolved=entry)
        report = self._do(command).report
        if entry in self.entries:
            assert report["status"] == "success", report
            self._published(after, resolved=entry)
        else:
            assert report["error"]["code"] == "UNSUPPORTED", report

    @precondition(lambda self: self.entries)
    @rule(which=WHICH)
    def held_rows_are_thrown_away(self, which: int) -> None:
        entry = self._chosen(which)
        assert "error" not in self._do(DiscardQuarantine(entry_id=entry)).report
        del self.entries[entry]

    # ------------------------------------------------------------------------------------------- what holds

    @invariant()
    def the_target_is_as_the_model_says(self) -> None:
        found = Counter(self.target.rows(self.root, self.url))
        assert found == self.published, (
            f"lost {describe(self.published - found)}, too many {describe(found - self.published)}"
        )

    @invariant()
    def every_execution_stands_once_in_the_ledger(self) -> None:
        if self.runs:
            ledger = self._ledger()
            assert len({execution for _, execution in ledger.runs}) == len({run for run, _ in ledger.runs}) == self.runs
            assert {id_: Counter(rows) for id_, rows in ledger.held.items()} == self.entries
            assert ledger.counted == {id_: rows.total() for id_, rows in self.entries.items()}

    def teardown(self) -> None:
        self.origin.close()
        shutil.rmtree(self.root)


def _quick_folder() -> str | None:
    """Memory, where there is such a folder: nobody pulls the plug in these tests."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108


class FolderHistories(Histories):
    target = FolderTarget()


class LakeHistories(Histories):
    target = LakeTarget()


class PostgresHistories(Histories):
    """Both sides in one database; rows come in transactions that stay open, with savepoints, or prepared."""

    target = PostgresTarget()
    server: ClassVar[Server]

    def _origin(self) -> Origin:
        self.name = database_name()
        self.url = self.server.create_database(self.name)  # type: ignore[misc]  # this one's own
        return PostgresOrigin(self.url)

    @property
    def source(self) -> PostgresOrigin:
        assert isinstance(self.origin, PostgresOrigin)
        return self.origin

    @precondition(lambda self: len(self.source.open) < 3)
    @rule(amounts=KINDS, saved=st.booleans(), prepared=st.booleans())
    def a_transaction_stays_open(self, amounts: list[int], saved: bool, prepared: bool) -> None:
        self.source.begin(self._new_rows(amounts), saved=saved)
        if prepared:
            self.source.prepare(self.source.open[-1])

    @precondition(lambda self: self.source.open)
    @rule(which=WHICH, commit=st.booleans())
    def a_transaction_ends(self, which: int, commit: bool) -> None:
        self.source.end(self.source.open[which % len(self.source.open)], commit=commit)

    @precondition(lambda self: self.columns and not self.source.open)
    @rule()
    def a_column_goes(self) -> None:
        self.origin.alter(f"DROP COLUMN extra{self.columns}")
        self.columns -= 1

    def teardown(self) -> None:
        super().teardown()
        self.server.drop_database(self.name)


MACHINES = [Histories, FolderHistories, LakeHistories, PostgresHistories]


@contextmanager
def served(machine: type[Histories], request: pytest.FixtureRequest) -> Iterator[type[Histories]]:
    if issubclass(machine, PostgresHistories):
        machine.server = request.getfixturevalue("postgres_server")
    yield machine


def play(machine: type[Histories], histories: int, steps: int) -> None:
    phases = [phase for phase in Phase if phase is not Phase.shrink or os.environ.get("HEADGATE_SHRINK")]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=histories,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=phases,
        ),
    )


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.target.name)
def test_a_history_leaves_what_the_model_says(machine: type[Histories], request: pytest.FixtureRequest) -> None:
    with served(machine, request):
        play(machine, 4, 15)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.target.name)
def test_any_history_leaves_what_the_model_says(machine: type[Histories], request: pytest.FixtureRequest) -> None:
    with served(machine, request):
        play(machine, 200, 50)
