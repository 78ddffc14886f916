"""Sequence: the components of a run and what they tell each other, stage by stage of its plan."""

from __future__ import annotations

from typing import assert_never

from headgate.config.sections import Retry
from headgate.core.runs import Receipt
from headgate.diagrams.palette import Role
from headgate.diagrams.pipelines.measured import UNTIMED, Times
from headgate.diagrams.pipelines.words import rows, seconds
from headgate.diagrams.sequence import Block, Item, Message, Note, Participant, Sequence
from headgate.plan.stages import (
    Acknowledge,
    Audit,
    Check,
    Claim,
    Clean,
    Fetch,
    Keep,
    Move,
    Plan,
    Publish,
    Scan,
    Stage,
    Transform,
    Write,
)

RUN, ENGINE, HISTORY, CALLER = "headgate", "engine", "history", "caller"


def sequence(
    plan: Plan, retry: Retry, *, scheduled: bool, receipt: Receipt | None = None, measured: Times = UNTIMED
) -> Sequence:
    """The messages of one run; with a receipt, the rows and times of that run."""
    drawing = _Drawing(plan, receipt, measured)
    messages = tuple(drawing.messages())
    title = f"Run of {plan.pipeline}" + (f": {receipt.run_id[:12]}" if receipt else "")
    if retry.max_attempts > 1:
        again = f"until it ends, at most {retry.max_attempts} attempts after passing faults"
        messages = (Block("loop", ((again, messages),)),)
    people = [
        Participant(CALLER, "Scheduler" if scheduled else "You", Role.ORCHESTRATION, "⏰" if scheduled else "🧑"),
        Participant(RUN, "headgate", Role.ORCHESTRATION, "🎯"),
        *drawing.sources(),
        Participant(ENGINE, "Engine", Role.TRANSFORM, "⚙️"),
        *drawing.stores(),
        Participant(HISTORY, "History", Role.UTILITY, "🗄️"),
    ]
    opening = Message(CALLER, RUN, f"run {plan.pipeline}")
    answer = Message(RUN, CALLER, _outcome(receipt), reply=True)
    return Sequence(title, tuple(people), (opening, *messages, Message(RUN, HISTORY, "keep the receipt"), answer))


def _outcome(receipt: Receipt | None) -> str:
    if receipt is None:
        return "receipt"
    return f"{receipt.status.value}, {seconds(receipt.duration_seconds)}"


class _Drawing:
    def __init__(self, plan: Plan, receipt: Receipt | None, measured: Times) -> None:
        self.plan, self.receipt, self.measured = plan, receipt, measured
        self.counts = {count.step: count for count in receipt.steps} if receipt else {}
        self.commits = {commit.table: commit for commit in receipt.targets} if receipt else {}

    def sources(self) -> list[Participant]:
        names = dict.fromkeys(stage.connection or stage.object for stage in self.plan.stages if isinstance(stage, Scan))
        return [Participant(f"source {name}", name, Role.SOURCE, "📥") for name in names]

    def stores(self) -> list[Participant]:
        names: dict[str, None] = {}
        for stage in self.plan.stages:
            if isinstance(stage, Claim | Write):
                names[stage.store] = None
        return [Participant(f"store {name}", name, Role.TARGET, "📤") for name in names]

    def messages(self) -> list[Item]:
        stages = self.plan.stages
        probe = [stage for stage in stages if isinstance(stage, Scan) and stage.source == 0]
        found: list[Item] = []
        for scan in probe[:1]:
            store = next(stage.store for stage in stages if isinstance(stage, Claim))
            found.append(Message(RUN, f"store {store}", "take the lock, ask for the watermark"))
            if scan.mode != "full":
                found.append(Message(RUN, self._source(scan), "anything new?"))
        for stage in stages:
            found += self._stage(stage)
        return found

    def _stage(self, stage: Stage) -> list[Item]:  # noqa: C901 - one case a stage
        match stage:
            case Claim():
                return [Message(RUN, f"store {stage.store}", "claim the next epoch")]
            case Scan():
                return self._scan(stage)
            case Move():
                return [Note((RUN,), f"{stage.reads} is moved without being decoded, if no row must be held back")]
            case Fetch():
                return [Note((RUN,), f"{stage.reads} is grouped by its server, if no row must be held back")]
            case Transform():
                return [Message(RUN, ENGINE, self._transform(stage))]
            case Check():
                return self._check(stage)
            case Keep():
                return [Note((ENGINE,), f"keep {stage.relation} for later")]
            case Write():
                return self._write(stage)
            case Audit():
                return self._audit(stage)
            case Publish():
                return self._publish(stage)
            case Acknowledge():
                scans = [scan for scan in self.plan.stages if isinstance(scan, Scan) and scan.source in stage.sources]
                return [Message(RUN, self._source(scan), "read up to here") for scan in scans]
            case Clean():
                return []
            case _:
                assert_never(stage)

    @staticmethod
    def _source(scan: Scan) -> str:
        return f"source {scan.connection or scan.object}"

    def _scan(self, stage: Scan) -> list[Item]:
        source = self._source(stage)
        count = rows(self.receipt.rows.extracted) if self.receipt and stage.source == 0 and self.counts else "rows"
        return [
            Message(RUN, source, f"read {stage.object} ({stage.mode})"),
            Message(source, ENGINE, count, reply=True),
        ]

    def _transform(self, stage: Transform) -> str:
        steps = stage.call.function if stage.call else " → ".join(stage.steps) or "take the rows as they are"
        took = self.measured.relations.get(stage.relation)
        return f"{steps}{f' ({seconds(took)})' if took is not None else ''}"

    def _check(self, stage: Check) -> list[Item]:
        if not stage.rules and not stage.verdict.holds:
            return []
        names = ", ".join(rule.name for rule in stage.rules)
        found: list[Item] = [Message(ENGINE, ENGINE, f"check each row: {names}" if names else "convert each row")]
        count = self.counts.get(stage.relation)
        held = count.dropped.get("quarantined", 0) if count else 0
        if held:
            found.append(Note((ENGINE,), f"{rows(held)} held back"))
        return found

    def _write(self, stage: Write) -> list[Item]:
        count = self.counts.get(stage.relation)
        what = rows(count.rows_out) if count else "good rows"
        return [Message(ENGINE, f"store {stage.store}", f"{what} for {stage.table}, where no reader sees them")]

    def _audit(self, stage: Audit) -> list[Item]:
        rules = [check.rule.name for check in stage.sets] + [check.rule.name for check in stage.tables]
        found: list[Item] = [Message(RUN, RUN, ", ".join(["account for every row", *rules]))]
        failing = self._failing()
        if not failing:
            return found
        error = Message(RUN, CALLER, "refused: nothing is published", reply=True, failed=True)
        return [*found, Block("break", ((f"a rule fails: {', '.join(failing)}", (error,)),))]

    def _failing(self) -> list[str]:
        """Rules that refuse publication when they do not hold."""
        found = [rule.name for stage in self.plan.stages if isinstance(stage, Check) for rule in stage.rules]
        actions = {rule.name: rule.action for s in self.plan.stages if isinstance(s, Check) for rule in s.rules}
        return [name for name in dict.fromkeys(found) if actions[name] == "fail"]

    def _publish(self, stage: Publish) -> list[Item]:
        took = self.measured.steps.get("publish")
        lines = ["publish data, watermark and run record in one commit" + (f" ({seconds(took)})" if took else "")]
        lines += [f"{one.table}: {one.inserted:,} inserted, {one.updated:,} updated" for one in self.commits.values()]
        found: list[Item] = [
            Message(RUN, f"store {stage.store}", "\n".join(lines)),
            Message(f"store {stage.store}", RUN, "committed", reply=True),
        ]
        found += [Message(RUN, f"store {name}", "roll forward") for name in stage.followers]
        return found
