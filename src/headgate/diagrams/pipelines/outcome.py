"""Run: what happened in one run: rows and times of each pass, what left and why, checks, commits, and what failed."""

from __future__ import annotations

from dataclasses import replace

from headgate.core.runs import CheckResult, Receipt, Status
from headgate.diagrams.graph import EdgeKind, Graph
from headgate.diagrams.palette import Role, Shape
from headgate.diagrams.pipelines.chain import Chain
from headgate.diagrams.pipelines.measured import UNTIMED, Pass, Times, passes
from headgate.diagrams.pipelines.sketch import Sketch
from headgate.diagrams.pipelines.words import place, rows, seconds

GONE = {"filtered": "Filtered", "deduplicated": "Deduplicated", "unmatched": "Unmatched", "aggregated": "Aggregated"}
BAD = (Status.FAILED, Status.REFUSED, Status.UNKNOWN)
READING = ("scan", "probe", "extract", "connect", "open", "read")
AUDITING = ("audit", "check")


def outcome(receipt: Receipt, chain: Chain | None, measured: Times = UNTIMED) -> Graph:
    """The picture of one run. ``chain`` None: the project has no such pipeline any more."""
    return _Drawing(receipt, chain, measured).graph()


class _Drawing:
    def __init__(self, receipt: Receipt, chain: Chain | None, measured: Times) -> None:
        self.receipt, self.chain, self.measured = receipt, chain, measured
        self.sketch = Sketch(f"Run {receipt.run_id[:12]} of {receipt.pipeline}: {receipt.status.value}")
        self.passes = passes(chain, receipt, measured) if chain else [Pass(c.step, (), c) for c in receipt.steps]

    def graph(self) -> Graph:
        receipt, sketch = self.receipt, self.sketch
        started = receipt.started_at.isoformat(" ", "seconds")
        sketch.node("start", f"Run {receipt.pipeline}", Role.START_END, (started,))
        here = self._read()
        for number, one in enumerate(self.passes):
            here = self._pass(one, here, rows(one.count.rows_in) if number or one.count.rows_in else "")
        if receipt.checks:
            here = self._checks(here)
        if receipt.published:
            here = self._published(here)
        elif receipt.status is Status.STAGED:
            here = self._then(here, "staged", "Left on its branch", Role.CONFIG, ("headgate publish or discard",))
        if receipt.error:
            here = self._failed(here)
        self._end(here)
        return sketch.graph()

    def _then(self, here: str, id_: str, label: str, role: Role, detail: tuple[str, ...] = (), on: str = "") -> str:
        self.sketch.node(id_, label, role, detail)
        self.sketch.edge(here, id_, on)
        return id_

    def _read(self) -> str:
        if self.chain is None or (not self.passes and self.receipt.status is Status.SKIPPED):
            return "start"
        took = self.measured.steps.get("scan")
        lines = [f"{place(source.read)} of {source.system}" for source in self.chain.sources]
        lines += [f"opened in {seconds(took)}"] if took is not None else []
        return self._then("start", "read", "Extract", Role.EXTRACT, tuple(lines))

    def _pass(self, one: Pass, here: str, label: str) -> str:
        id_ = f"pass {one.relation}"
        steps = [link.name for link in one.links if link.name != one.relation]
        detail = [" → ".join([*steps, one.relation])] if steps else []
        detail += [seconds(one.took)] if one.took is not None else []
        self.sketch.node(id_, one.relation, Role.TRANSFORM, detail)
        self.sketch.edge(here, id_, label)
        for reason, count in one.count.dropped.items():
            if not count:
                continue
            left = f"{id_} {reason}"
            if reason == "quarantined":
                self.sketch.node(left, "Quarantine", Role.WARNING, self._held(), shape=Shape.STORE)
            else:
                self.sketch.node(left, GONE.get(reason, reason), Role.UTILITY, icon="")
            self.sketch.edge(id_, left, rows(count), EdgeKind.USES)
        return id_

    def _held(self) -> list[str]:
        found = [
            f"{check.rule}: {rows(check.failed_rows)}"
            for check in self.receipt.checks
            if not check.passed and check.on_fail == "quarantine"
        ]
        return found or list(self.receipt.quarantine)

    def _checks(self, here: str) -> str:
        role = Role.VALIDATION
        if any(not check.passed and check.on_fail == "fail" for check in self.receipt.checks):
            role = Role.ERROR
        passed = sum(check.passed for check in self.receipt.checks)
        label = f"Checks: {passed} of {len(self.receipt.checks)} passed"
        out = rows(self.passes[-1].count.rows_out) if self.passes else ""
        return self._then(here, "checks", label, role, tuple(_check(one) for one in self.receipt.checks), out)

    def _published(self, here: str) -> str:
        took = self.measured.steps.get("publish")
        detail = (seconds(took),) if took is not None else ()
        here = self._then(here, "publish", "Publish in one commit", Role.LOAD, detail)
        for commit in self.receipt.targets:
            counts = {name: getattr(commit, name) for name in ("inserted", "updated", "deleted", "rejected")}
            label = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "0 rows"
            table = f"table {commit.connection} {commit.table}"
            where = tuple(text for text in (commit.connection, f"commit {commit.commit[:20]}") if text)
            self._then(here, table, commit.table, Role.TARGET, where, label)
        return here

    def _failed(self, here: str) -> str:
        """The step that failed becomes red, and what went wrong stands behind it."""
        error = self.receipt.error or {}
        failed = self._culprit(str(error.get("operation", "")), str(error.get("object", ""))) or here
        self.sketch.mark(failed, Role.ERROR)
        where = " ".join(str(error[name]) for name in ("operation", "object") if error.get(name))
        detail = tuple(text for text in (where, str(error.get("message", "")), str(error.get("hint", ""))) if text)
        self.sketch.node("error", str(error.get("code", "error")), Role.ERROR, detail)
        self.sketch.edge(failed, "error", kind=EdgeKind.FAILURE)
        return "error"

    def _culprit(self, operation: str, of: str) -> str | None:
        """The node of the step that failed, as the error names it."""
        for one in self.passes:
            if of == one.relation or of in [link.name for link in one.links]:
                return f"pass {one.relation}"
        nodes = self.sketch.nodes
        if operation in AUDITING and "checks" in nodes:
            return "checks"
        if operation in READING and "read" in nodes:
            return "read"
        if operation == "publish" and "publish" in nodes:
            return "publish"
        return None

    def _end(self, here: str) -> None:
        receipt = self.receipt
        took = seconds(receipt.duration_seconds)
        text = receipt.status.value.replace("_", " ").capitalize()
        detail = [receipt.message] if receipt.message else []
        detail += [f"after {took}"] if receipt.ended_at else []
        self._then(here, "end", text, Role.ERROR if receipt.status in BAD else Role.START_END, tuple(detail))
        if receipt.status in BAD:
            self.sketch.nodes["end"] = replace(self.sketch.nodes["end"], shape=Shape.ROUND, icon="")


def _check(check: CheckResult) -> str:
    mark = "✓" if check.passed else "✗"
    count = f": {rows(check.failed_rows)}" if check.failed_rows else ""
    fate = "" if check.passed else f" ({check.on_fail})"
    return f"{mark} {check.rule}{count}{fate}"
