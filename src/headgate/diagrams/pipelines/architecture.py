"""Architecture: what a pipeline is made of, by layer, and how data goes through it."""

from __future__ import annotations

from headgate.config.cron_words import in_words
from headgate.core.runs import Receipt
from headgate.diagrams.graph import EdgeKind, Graph
from headgate.diagrams.palette import Role, Shape
from headgate.diagrams.pipelines.chain import EXTRACTED, Chain, Link
from headgate.diagrams.pipelines.measured import UNTIMED, Times, passes
from headgate.diagrams.pipelines.sketch import Sketch
from headgate.diagrams.pipelines.words import (
    alert_text,
    place,
    read_lines,
    rows,
    rule_text,
    seconds,
    step_lines,
    write_lines,
)

LAYERS = {
    "orchestration": "Orchestration",
    "extract": "Extract",
    "transform": "Transform",
    "load": "Load",
    "utilities": "Utilities",
    "configuration": "Configuration",
}


def architecture(chain: Chain, receipt: Receipt | None = None, measured: Times = UNTIMED) -> Graph:
    """The picture of one pipeline; with a receipt, rows and times of that run stand on the edges."""
    return _Drawing(chain, receipt, measured).graph()


class _Drawing:
    def __init__(self, chain: Chain, receipt: Receipt | None, measured: Times) -> None:
        self.chain = chain
        title = f"Pipeline: {chain.name}" + (f", run {receipt.run_id[:12]}" if receipt else "")
        self.sketch = Sketch(title, "LR")
        for name, label in LAYERS.items():
            self.sketch.group(name, label)
        self.counts = {} if receipt is None else _counts(chain, receipt, measured)
        self.receipt = receipt

    def graph(self) -> Graph:
        self._orchestration()
        self._flow()
        self._utilities()
        self._configuration()
        return self.sketch.graph()

    def _orchestration(self) -> None:
        sketch, pipeline = self.sketch, self.chain.pipeline
        owner = (f"owner: {pipeline.owner}",) if pipeline.owner else ()
        sketch.node("pipeline", pipeline.name, Role.ORCHESTRATION, owner, "orchestration")
        if pipeline.schedule:
            zone = f" {pipeline.timezone}" if pipeline.timezone else ""
            detail = (f"{pipeline.schedule}{zone}",)
            sketch.node("schedule", in_words(pipeline.schedule), Role.SCHEDULE, detail, "orchestration")
            sketch.edge("schedule", "pipeline", "starts")
        for name in pipeline.depends_on:
            sketch.node(f"after {name}", name, Role.DEPENDENCY, ("runs before",), "orchestration")
            sketch.edge(f"after {name}", "pipeline", kind=EdgeKind.DEPENDS)

    def _flow(self) -> None:
        sketch, chain = self.sketch, self.chain
        first: list[str] = []
        for source in chain.sources:
            what = place(source.read)
            store = sketch.node(f"from {source.system}", source.system, Role.SOURCE, (), "extract")
            extract = f"extract {source.name}"
            sketch.node(extract, f"Extract {what}", Role.EXTRACT, read_lines(source.read), "extract")
            sketch.edge(store, extract)
            sketch.edge("pipeline", extract, "runs", EdgeKind.USES)
            first.append(extract)
        here, label = first, self._extracted()
        for link in chain.links:
            here, label = self._link(link, here, label)
            for output in chain.outputs:
                if output.beside == link.name:
                    node = sketch.node(f"step {output.name}", output.name, Role.TRANSFORM, (), "transform")
                    sketch.edge(f"step {link.name}", node)
                    self._link(output, [node], "")

    def _extracted(self) -> str:
        return rows(self.receipt.rows.extracted) if self.receipt and self.receipt.steps else ""

    def _link(self, link: Link, here: list[str], label: str) -> tuple[list[str], str]:
        sketch = self.sketch
        if link.options is not None:
            step = sketch.node(f"step {link.name}", link.name, Role.TRANSFORM, self._step(link), "transform")
            for before in here:
                sketch.edge(before, step, label)
            here, label = [step], self.counts.get(link.name, "")
        for side in self.chain.sides:
            if side.step == link.name:
                store = sketch.node(
                    f"side {side.system} {side.place}", side.place, Role.SOURCE, (side.system,), "extract"
                )
                sketch.edge(store, here[0], "looked up", EdgeKind.USES)
        if link.rules:
            texts = [rule_text(rule) for rule in link.rules]
            named = "rows" if link.name == EXTRACTED else link.name
            check = sketch.node(f"check {link.name}", f"Check {named}", Role.VALIDATION, texts, "transform")
            for before in here:
                sketch.edge(before, check, "" if link.options is not None else label)
            here = [check]
        for index in link.targets:
            self._target(index, here, label)
        return here, label

    @staticmethod
    def _step(link: Link) -> tuple[str, ...]:
        assert link.options is not None
        kind = (link.options.type,) if link.options.type != link.name else ()
        return (*kind, *step_lines(link.options))

    def _target(self, index: int, here: list[str], label: str) -> None:
        sketch, target = self.sketch, self.chain.targets[index]
        load = sketch.node(f"load {index}", f"Load {target.write.table}", Role.LOAD, write_lines(target.write), "load")
        for before in here:
            sketch.edge(before, load, label)
        store = sketch.node(f"to {target.system}", target.system, Role.TARGET, (), "load")
        sketch.edge(load, store, self._written(target.write.table))

    def _written(self, table: str) -> str:
        commit = next((one for one in self.receipt.targets if one.table == table), None) if self.receipt else None
        if commit is None:
            return ""
        counts = (("inserted", commit.inserted), ("updated", commit.updated), ("deleted", commit.deleted))
        return "\n".join(f"{count:,} {name}" for name, count in counts if count) or "0 rows"

    def _utilities(self) -> None:
        sketch, chain = self.sketch, self.chain
        if chain.holds_rows:
            sketch.node("quarantine", "Quarantine", Role.UTILITY, (), "utilities", Shape.STORE, "🚧")
            held = {rule.step for rule in chain.rules if rule.action == "quarantine"}
            last = chain.links[-1].name
            for link in (*chain.links, *chain.outputs):
                if f"check {link.name}" in sketch.nodes and (link.name in held or (None in held and link.name == last)):
                    sketch.edge(f"check {link.name}", "quarantine", self._held(), EdgeKind.USES)
            if chain.pipeline.error_handling.on_row_error == "quarantine":
                for source in chain.sources[:1]:
                    sketch.edge(f"extract {source.name}", "quarantine", "rows that cannot be read", EdgeKind.USES)
        for alert in dict.fromkeys(alert_text(one) for one in chain.alerts):
            events = {event: None for one in chain.alerts if alert_text(one) == alert for event in one.on}
            sketch.node(
                f"alert {alert}", f"Alert: {alert}", Role.NOTIFICATION, (f"on {', '.join(events)}",), "utilities"
            )
            sketch.edge("pipeline", f"alert {alert}", kind=EdgeKind.USES)
        retry = chain.pipeline.error_handling.retry
        if retry.max_attempts > 1:
            waits = f"waits {seconds(retry.base)} × {retry.factor:g}ⁿ, at most {seconds(retry.cap)}"
            sketch.node(
                "retry", f"Retry: {retry.max_attempts} attempts", Role.UTILITY, (waits,), "utilities", icon="🔁"
            )
            sketch.edge("pipeline", "retry", kind=EdgeKind.USES)

    def _held(self) -> str:
        return rows(self.receipt.rows.quarantined) if self.receipt and self.receipt.rows.quarantined else "held back"

    def _configuration(self) -> None:
        file = self.chain.pipeline.file
        self.sketch.node("file", file, Role.CONFIG, (), "configuration")
        self.sketch.edge("file", "pipeline", kind=EdgeKind.CONFIGURES)


def _counts(chain: Chain, receipt: Receipt, measured: Times) -> dict[str, str]:
    """What goes out of the last link of each pass: rows, and the time of the pass."""
    found = {}
    for one in passes(chain, receipt, measured):
        if one.links:
            took = f"\n{seconds(one.took)}" if one.took is not None else ""
            found[one.links[-1].name] = f"{rows(one.count.rows_out)}{took}"
    return found
