"""The page of one pipeline: what it is for, when it runs, how data flows, what must hold, what to do on a failure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headgate.config.cron_words import in_words
from headgate.diagrams.document import Diagram
from headgate.diagrams.pages.advice import advice
from headgate.diagrams.pages.frame import contents, page, section
from headgate.diagrams.pages.html import (
    Html,
    bullets,
    command,
    diagram,
    element,
    facts,
    joined,
    link,
    marked,
    paragraph,
    table,
)
from headgate.diagrams.pages.runbook import CODES, COMMON, Step, normal, recovery
from headgate.diagrams.pipelines.activity import activity
from headgate.diagrams.pipelines.architecture import architecture
from headgate.diagrams.pipelines.chain import Chain
from headgate.diagrams.pipelines.words import alert_text, place, read_lines, rule_text, seconds, step_lines, write_lines
from headgate.diagrams.render import mermaid, render

SECTIONS = (
    ("overview", "Overview"),
    ("schedule", "Schedule"),
    ("data-flow", "Data Flow"),
    ("dependencies", "Dependencies"),
    ("quality", "Quality"),
    ("monitoring", "Monitoring"),
    ("runbook", "Runbook"),
    ("contacts", "Contacts"),
    ("history", "History"),
)
UNSAID = "not said"


@dataclass(frozen=True)
class Surroundings:
    """What a page says of its pipeline that the pipeline alone does not: neighbours, and diagrams of its plan."""

    project: str
    timezone: str
    upstream: tuple[str, ...] = ()
    downstream: tuple[str, ...] = ()
    planned: tuple[tuple[str, Diagram], ...] = ()


def pipeline_page(chain: Chain, around: Surroundings) -> bytes:
    """The page, in the folder ``pipelines`` of the site."""
    body = [
        element("h1", chain.name),
        element("p", chain.pipeline.description or "No description.", class_="lead"),
        contents(SECTIONS),
        _overview(chain),
        _schedule(chain, around),
        _flow(chain, around),
        _dependencies(around),
        _quality(chain),
        _monitoring(chain),
        _runbook(chain),
        _contacts(chain),
        section("history", "History", _chart(chain), command(f"headgate runs {chain.name}")),
    ]
    return page(chain.name, around.project, body, up="../")


def _overview(chain: Chain) -> Html:
    pipeline = chain.pipeline
    pairs = [
        ("Purpose", (pipeline.header.purpose or UNSAID).replace("_", " ")),
        ("Owner", pipeline.owner or UNSAID),
        ("Reads", joined(_lines(f"{place(source.read)} of {source.system}" for source in chain.sources))),
        ("Writes", joined(_lines(f"{target.write.table} in {target.system}" for target in chain.targets))),
        ("Type", pipeline.type),
        ("Delivery", pipeline.delivery.replace("_", " ")),
        ("Tags", ", ".join(pipeline.tags) or "none"),
        ("File", element("code", pipeline.file)),
    ]
    return section("overview", "Overview", facts(pairs))


def _schedule(chain: Chain, around: Surroundings) -> Html:
    pipeline = chain.pipeline
    zone = pipeline.timezone or around.timezone
    when = f"{in_words(pipeline.schedule)} ({pipeline.schedule}, {zone})" if pipeline.schedule else "when it is called"
    sla = pipeline.monitoring.sla
    promised = [f"at most {seconds(sla.duration)} a run"] if sla and sla.duration else []
    promised += [f"{sla.success_rate:.0%} of runs succeed"] if sla and sla.success_rate is not None else []
    longest = seconds(sla.duration) if sla and sla.duration else UNSAID
    pairs = [
        ("Frequency", when),
        ("Duration", joined([f"expected: {longest}; measured: see ", link("History", "#history")])),
        ("SLA", "; ".join(promised) or UNSAID),
        ("Retries", _retries(chain)),
    ]
    return section("schedule", "Schedule", facts(pairs))


def _retries(chain: Chain) -> str:
    retry = chain.pipeline.error_handling.retry
    if retry.max_attempts == 1:
        return "none"
    waits = f"waits {seconds(retry.base)}, then {retry.factor:g} times longer, at most {seconds(retry.cap)}"
    return f"{retry.max_attempts} attempts after passing faults; {waits}"


def _flow(chain: Chain, around: Surroundings) -> Html:
    rows = [
        (link_.name, link_.options.type, "; ".join(step_lines(link_.options)))
        for link_ in chain.links
        if link_.options is not None
    ]
    parts: list[str] = [diagram(mermaid(architecture(chain)))]
    parts += [_details("Sources", _reads(chain))]
    parts += [_details("Steps", table(("step", "kind", "what it does"), rows))] if rows else []
    parts += [_details("Targets", _writes(chain))]
    parts += [element("h3", "What a run does"), diagram(mermaid(activity(chain)))]
    for title, planned in around.planned:
        parts += [element("h3", title), diagram(mermaid(planned))]
    if not around.planned:
        parts += [paragraph("Column lineage and tables are drawn from the plan, against the live sources:")]
        parts += [command(f"headgate diagram {chain.name} --kind lineage")]
    return section("data-flow", "Data Flow", *parts)


def _reads(chain: Chain) -> Html:
    rows = [(place(one.read), one.system, "; ".join(read_lines(one.read)) or "full") for one in chain.sources]
    rows += [(side.place, side.system, f"looked up by {side.step}") for side in chain.sides]
    return table(("what", "where", "how"), rows)


def _writes(chain: Chain) -> Html:
    return table(
        ("table", "where", "how"), [(t.write.table, t.system, "; ".join(write_lines(t.write))) for t in chain.targets]
    )


def _details(title: str, body: Html) -> Html:
    return joined([element("h3", title), body])


def _dependencies(around: Surroundings) -> Html:
    def listed(names: Sequence[str]) -> Html:
        return bullets(link(name, f"{name}.html") for name in names) if names else paragraph("None.")

    return section(
        "dependencies",
        "Dependencies",
        element("h3", "Upstream"),
        listed(around.upstream),
        element("h3", "Downstream"),
        listed(around.downstream),
    )


def _quality(chain: Chain) -> Html:
    fate = {
        "fail": "the run is refused, nothing is published",
        "quarantine": "the rows are held back, the others go on",
        "warn": "the receipt warns",
        "record": "the receipt says so",
    }
    rows = [
        (rule_text(rule).rsplit(":", 1)[0], rule.severity, fate[rule.action], rule.description or "")
        for rule in chain.rules
    ]
    over_time = element("p", link("what runs found, over time", f"../history/quality.html#{chain.name}"))
    if not rows:
        return section("quality", "Quality", paragraph("No rules."), over_time)
    return section("quality", "Quality", table(("rule", "severity", "if it does not hold", "why"), rows), over_time)


def _monitoring(chain: Chain) -> Html:
    board = chain.pipeline.monitoring.dashboard
    alerts = [f"{alert_text(alert)}: on {', '.join(alert.on)}" for alert in chain.alerts]
    pairs = [
        ("Dashboard", link(board, board) if board else UNSAID),
        ("Alerts", joined(_lines(alerts)) if alerts else "none"),
        (
            "Metrics",
            marked("rows by reason, time, checks and commits of every run, in its receipt: `headgate show RUN`"),
        ),
    ]
    return section("monitoring", "Monitoring", facts(pairs))


def _runbook(chain: Chain) -> Html:
    parts: list[str] = [element("h3", "Data flow"), element("pre", render(architecture(chain), "text"))]
    parts += [element("h3", "Normal operation"), *_steps(normal(chain))]
    parts += [
        element("h3", "Troubleshooting"),
        paragraph("A failed run names a code. What each means, and what to do:"),
    ]
    texts = advice()
    rows = [(link(code, f"../errors/{code}.html"), marked(texts[code]["advice"])) for code in CODES]
    parts += [table(("code", "what to do"), rows), paragraph("All codes: ")]
    parts += [link("errors", "../errors/index.html")]
    parts += [element("h3", "Recovery"), *_steps(recovery(chain))]
    parts += [
        element("h3", "Common issues"),
        table(("what is seen", "what to do"), [(a, marked(b)) for a, b in COMMON]),
    ]
    parts += [paragraph("What to do and not to do: "), link("practices", "../practices.html")]
    return section("runbook", "Runbook", *parts)


def _steps(steps: Iterable[Step]) -> list[str]:
    return [joined([paragraph(step.text), command(step.command)]) for step in steps]


def _contacts(chain: Chain) -> Html:
    header = chain.pipeline.header
    pairs = [
        ("Owner", header.owner or UNSAID),
        ("On call", header.contacts.on_call or UNSAID),
        ("Escalation", header.contacts.escalation or UNSAID),
    ]
    return section("contacts", "Contacts", facts(pairs))


def _chart(chain: Chain) -> Html:
    return element("img", class_="chart", src=f"../history/{chain.name}.svg", alt=f"Runs of {chain.name}")


def _lines(items: Iterable[str]) -> list[str]:
    return [element("div", item) for item in items]
