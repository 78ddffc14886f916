"""Activity: what a run of a pipeline does, decides and may end as, with the policies that the configuration has."""

from __future__ import annotations

from headgate.core.runs import Receipt
from headgate.diagrams.graph import EdgeKind, Graph
from headgate.diagrams.palette import Role
from headgate.diagrams.pipelines.chain import EXTRACTED, Chain, Link
from headgate.diagrams.pipelines.measured import UNTIMED, Times, passes
from headgate.diagrams.pipelines.sketch import Sketch
from headgate.diagrams.pipelines.words import alert_text, gated, place, read_lines, rows, seconds, step_lines

YES, NO = "Yes", "No"


def activity(chain: Chain, receipt: Receipt | None = None, measured: Times = UNTIMED) -> Graph:
    """The picture; with a receipt, the rows and times of that run stand on the edges."""
    return _Drawing(chain, receipt, measured).graph()


class _Drawing:
    """Draws from top to bottom. ``open``: where the next thing comes from, each with the label of the way to it."""

    def __init__(self, chain: Chain, receipt: Receipt | None, measured: Times) -> None:
        self.chain, self.receipt = chain, receipt
        title = f"Run of {chain.name}" + (f": {receipt.run_id[:12]}" if receipt else "")
        self.sketch = Sketch(title)
        self.open: list[tuple[str, str]] = []
        counted = passes(chain, receipt, measured) if receipt else []
        self.out = {
            one.links[-1].name: rows(one.count.rows_out) + (f"\n{seconds(one.took)}" if one.took is not None else "")
            for one in counted
            if one.links
        }

    def graph(self) -> Graph:
        chain = self.chain
        self._then("start", f"Run {chain.name}", Role.START_END)
        self._begin()
        self._extract()
        for link in chain.links:
            self._link(link)
        self._write()
        self._audit()
        self._publish()
        self._succeed()
        return self.sketch.graph()

    # ------------------------------------------------------------------------------------------------ drawing

    def _then(self, id_: str, text: str, role: Role = Role.PROCESS, detail: tuple[str, ...] = ()) -> str:
        self.sketch.node(id_, text, role, detail)
        for source, label in self.open:
            self.sketch.edge(source, id_, label)
        self.open = [(id_, "")]
        return id_

    def _decide(self, id_: str, question: str, on: str) -> str:
        """A decision; the run goes on where its answer is ``on``."""
        self._then(id_, question, Role.DECISION)
        self.open = [(id_, on)]
        return id_

    def _failure(self, source: str, label: str, id_: str, text: str, event: str, end: str) -> None:
        """From a decision to what went wrong, to who is told of it, to an end of its own."""
        sketch = self.sketch
        sketch.node(id_, text, Role.ERROR, ("nothing is published",))
        sketch.edge(source, id_, label, EdgeKind.FAILURE)
        told = self._alert(id_, f"{id_} alert", event)
        sketch.node(f"{id_} end", end, Role.START_END)
        sketch.edge(told, f"{id_} end")

    def _alert(self, source: str, id_: str, event: str) -> str:
        """Who is told of the event, if the configuration names somebody; where to go on from."""
        told = self.chain.told(event)
        if not told:
            return source
        self.sketch.node(id_, f"Alert on {event}", Role.NOTIFICATION, [alert_text(alert) for alert in told])
        self.sketch.edge(source, id_)
        return id_

    # ------------------------------------------------------------------------------------------------ the run

    def _begin(self) -> None:
        lock = self._decide("lock", "Does another run hold it?", NO)
        self.sketch.node("locked", "Refused: locked", Role.START_END, ("exit status 4",))
        self.sketch.edge(lock, "locked", YES)
        self._then("recover", "Settle runs that were interrupted")
        if self.chain.sources[0].read.mode != "full":
            self._then("probe", "Look for what is new")
            news = self._decide("news", "Is anything new?", YES)
            self.sketch.node("skipped", "Skipped: 0 rows", Role.START_END)
            self.sketch.edge(news, "skipped", NO)
        self._then("claim", "Plan, and claim the next epoch", detail=("whoever claimed before is fenced",))

    def _extract(self) -> None:
        for source in self.chain.sources:
            detail = (source.system, *read_lines(source.read))
            self._then(f"extract {source.name}", f"Extract {place(source.read)}", Role.EXTRACT, detail)
        if self.receipt and self.receipt.steps:
            self.open = [(id_, rows(self.receipt.rows.extracted)) for id_, _ in self.open]

    def _link(self, link: Link) -> None:
        if link.options is not None:
            kind = (link.options.type,) if link.options.type != link.name else ()
            self._then(f"step {link.name}", link.name, Role.TRANSFORM, (*kind, *step_lines(link.options)))
            self.open = [(f"step {link.name}", self.out.get(link.name, ""))]
        holding = [gated(rule) for rule in link.rules if rule.action == "quarantine"]
        last = link is self.chain.links[-1]
        unread = last and self.chain.pipeline.error_handling.on_row_error == "quarantine"
        if not holding and not unread:
            return
        reasons = [f"break {', '.join(holding)}"] if holding else []
        reasons += ["cannot be converted"] if unread else []
        named = "rows" if link.name == EXTRACTED else f"rows of {link.name}"
        decision = self._decide(f"held {link.name}", f"Are there {named} that {' or '.join(reasons)}?", NO)
        hold = f"hold {link.name}"
        self.sketch.node(hold, "Hold them back, with reasons", Role.WARNING, ("they can be replayed",))
        count = self.receipt.rows.quarantined if self.receipt else 0
        self.sketch.edge(decision, hold, f"{YES}\n{rows(count)}" if count else YES)
        self.open.append((hold, ""))

    def _write(self) -> None:
        targets = self.chain.targets
        lines = [f"{target.write.mode} {target.write.table} in {target.system}" for target in targets]
        self._then("write", "Write where no reader sees it", Role.LOAD, tuple(lines))

    def _audit(self) -> None:
        chain, policy = self.chain, self.chain.pipeline.error_handling
        self._then("audit", "Account for every row", Role.VALIDATION)
        if policy.on_row_error == "fail":
            bad = self._decide("bad rows", "Could a row not be converted?", NO)
            self._failure(bad, YES, "row error", "ROW_ERROR", "failed", "Failed: bad rows")
        if policy.max_error_percentage is not None:
            many = self._decide("too many", f"More than {policy.max_error_percentage:g} % of the rows bad?", NO)
            self._failure(many, YES, "error rate", "ERROR_RATE_EXCEEDED", "failed", "Failed: too many bad rows")
        failing = [gated(rule) for rule in chain.rules if rule.action == "fail"]
        if failing:
            rules = self._decide("rules", f"Do the rules hold? {', '.join(failing)}", YES)
            self._failure(rules, NO, "refused", "QUALITY_CHECK_FAILED", "refused", "Refused: exit status 3")
        warning = [gated(rule) for rule in chain.rules if rule.action == "warn"]
        if warning:
            decision = self._decide("warnings", f"Does a rule warn? {', '.join(warning)}", NO)
            self.sketch.node("warn", "Note it in the receipt", Role.WARNING)
            self.sketch.edge(decision, "warn", YES)
            self.open.append(("warn", ""))

        self._targets()

    def _targets(self) -> None:
        """What targets refuse: a replacement by nothing, keys that are missing or repeated."""
        writes = [target.write for target in self.chain.targets]
        whole = [one.table for one in writes if one.mode == "overwrite" and not one.allow_empty]
        if whole:
            empty = self._decide("nothing", f"Would nothing replace {', '.join(whole)}?", NO)
            self._failure(empty, YES, "empty", "LOAD_EXECUTION_FAILED", "failed", "Failed: no rows")
        keyed = [f"{one.table} ({', '.join(one.keys)})" for one in writes if one.keys]
        if keyed:
            keys = self._decide("keys", f"Is a key NULL or repeated? {'; '.join(keyed)}", NO)
            self._failure(keys, YES, "duplicate keys", "DUPLICATE_KEYS", "failed", "Failed: duplicate keys")

    def _publish(self) -> None:
        chain, retry = self.chain, self.chain.pipeline.error_handling.retry
        self._then("publish", "Publish in one commit", Role.LOAD, ("data, watermark and run record",))
        others = list(dict.fromkeys(target.system for target in chain.targets[1:]))
        if others and others != [chain.targets[0].system]:
            self._then("forward", "Roll the other stores forward", Role.LOAD, tuple(others))
        fault = self._decide("fault", "Did a passing fault interrupt this?", NO)
        if retry.max_attempts == 1:
            self._failure(fault, YES, "failed", "Roll back", "failed", "Failed: exit status 1")
            return
        sketch = self.sketch
        sketch.node("again", f"Attempts so far < {retry.max_attempts}?", Role.DECISION)
        sketch.edge(fault, "again", YES)
        waits = (f"{seconds(retry.base)} × {retry.factor:g}ⁿ, at most {seconds(retry.cap)}",)
        sketch.node("wait", "Roll back and wait", Role.WARNING, waits)
        sketch.edge("again", "wait", YES)
        sketch.edge("wait", "recover", "try again", EdgeKind.RETRY)
        self._failure("again", NO, "failed", "Roll back", "failed", "Failed: exit status 1")

    def _succeed(self) -> None:
        sla = self.chain.pipeline.monitoring.sla
        if sla is not None and sla.duration is not None:
            late = self._decide("late", f"Did it take longer than {seconds(sla.duration)}?", NO)
            self.sketch.node("missed", "SLA missed", Role.WARNING)
            self.sketch.edge(late, "missed", YES)
            self.open.append((self._alert("missed", "missed alert", "sla"), ""))
        record = self._then("record", "Tell the source, keep the receipt")
        self.open = [(self._alert(record, "success alert", "success"), "")]
        written = ""
        if self.receipt and self.receipt.published:
            written = f"{rows(self.receipt.rows.loaded)}, {seconds(self.receipt.duration_seconds)}"
        self._then("success", "Success", Role.START_END, (written,) if written else ())
