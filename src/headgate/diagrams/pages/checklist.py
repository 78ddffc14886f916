"""What must be known and true before a pipeline is relied on: questions, steps with what verifies them, a final list.

What a machine can tell is checked; the rest is answered by people, in ``requirements.yml`` beside ``headgate.yml``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from headgate.core.errors import Code, FatalError, nearest
from headgate.core.runs import Receipt
from headgate.diagrams.pages.practices import PRACTICES
from headgate.diagrams.pipelines.chain import Chain

FILE = "requirements.yml"
State = Literal["done", "open", "wrong"]


@dataclass(frozen=True)
class Facts:
    """What checks look at."""

    chains: tuple[Chain, ...]
    last: Mapping[str, Receipt]


Check = Callable[[Facts], str]
"""What is wrong, in words; empty when nothing is."""


@dataclass(frozen=True)
class Item:
    """A question, or something to verify. ``check`` None: people answer it."""

    key: str
    text: str
    check: Check | None = None
    unless: str = ""
    """What to do if it is not so."""


@dataclass(frozen=True)
class Part:
    title: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Line:
    """One item as it stands. ``wrong``: a machine found that it is not so; ``open``: nobody has answered."""

    part: str
    key: str
    text: str
    state: State
    said: str = ""
    hint: str = ""


def _each(check: Callable[[Chain], str]) -> Check:
    """A check of single pipelines as one of the whole project: the first few that fail are named."""

    def found(facts: Facts) -> str:
        wrong = [f"{chain.name}: {why}" for chain in facts.chains if (why := check(chain))]
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        return "; ".join(wrong[:3]) + more

    return found


def _practice(key: str) -> Check:
    check = next(one.check for one in PRACTICES if one.key == key)
    assert check is not None
    return _each(check)


def _ran(facts: Facts) -> str:
    missing = [chain.name for chain in facts.chains if chain.name not in facts.last]
    return f"no run yet: {', '.join(missing)}" if missing else ""


def _succeeded(facts: Facts) -> str:
    bad = [name for name, one in facts.last.items() if one.status.value in ("failed", "refused", "unknown")]
    return f"the last run did not publish: {', '.join(bad)}" if bad else ""


def _accounted(facts: Facts) -> str:
    bad = [name for name, one in facts.last.items() if one.published and any(not c.step for c in one.steps)]
    return f"runs without row accounting: {', '.join(bad)}" if bad else ""


def _any(facts: Facts) -> str:
    return "" if facts.chains else "there is no pipeline"


def _seen(facts: Facts) -> str:
    held = [name for name, one in facts.last.items() if one.quarantine]
    return f"rows were held back and wait: {', '.join(held)}" if held else ""


def _question(key: str, text: str) -> Item:
    return Item(key, text, unless=f"headgate checklist answer {key} TEXT")


PARTS: tuple[Part, ...] = (
    Part(
        "Data sources",
        (
            _question("systems", "Which systems does the data come from?"),
            _question("volume", "How much is it: GB a day, rows a run?"),
            _question("velocity", "How fast does it grow and change?"),
            _question("format", "In which formats does it come?"),
        ),
    ),
    Part(
        "Business",
        (
            _question("sla", "What is promised: when, how often, how complete?"),
            _question("transformations", "What must become of the data?"),
            _question("latency", "How old may data be: real-time, near-real-time, batch?"),
            _question("quality", "Which errors may it have, and how many?"),
        ),
    ),
    Part(
        "Technical constraints",
        (
            _question("compute", "What can source, target and this machine compute?"),
            _question("bandwidth", "How much can be moved between them?"),
            _question("storage", "How much can be kept, for how long?"),
            _question("compliance", "Which rules hold: GDPR, HIPAA, others, none?"),
        ),
    ),
    Part(
        "Prerequisites",
        (
            _question("source_schema", "The schemas of the sources are known."),
            _question("target_schema", "The schema of the target is agreed."),
            _question("sql", "Somebody on the team reads SQL."),
            _question("python", "Somebody on the team reads Python, if there are steps in it."),
            _question("modelling", "The tables of the target are modelled: facts, dimensions, histories."),
            _question("access", "Access to sources and target is granted."),
        ),
    ),
    Part(
        "Step 1: requirements",
        (
            Item("described", "Every pipeline says what it is for.", _practice("described"), "description: a sentence"),
            Item("owned", "Every pipeline has an owner.", _practice("owned"), "owner: who answers for it"),
        ),
    ),
    Part(
        "Step 2: design",
        (
            Item("pipelines", "There is a pipeline.", _any, "headgate init, or write one to pipelines/"),
            Item("pattern", "The pattern was chosen with its reasons.", unless="headgate recommend"),
        ),
    ),
    Part(
        "Step 3: extract",
        (
            Item(
                "incremental",
                "Sources are read incrementally where the target merges.",
                _practice("incremental"),
                "mode: incremental, with the column that grows; if it has none, overwrite the target",
            ),
            Item(
                "retrying",
                "Passing faults are tried again.",
                _practice("retrying"),
                "error_handling: {retry: {max_attempts: 3}}; see headgate connections test",
            ),
        ),
    ),
    Part(
        "Step 4: transform",
        (
            Item("named", "Steps of free SQL have names.", _practice("named"), "name: what the step does"),
            Item("selecting", "Queries name their columns.", _practice("everything"), "list the columns in the query"),
        ),
    ),
    Part(
        "Step 5: validate",
        (
            Item(
                "ruled", "Rules say what must hold.", _practice("ruled"), "quality_rules, such as not_null and unique"
            ),
            Item(
                "lenient", "Some rule keeps bad data out.", _practice("lenient"), "severity: error for what must hold"
            ),
            Item(
                "limited", "Held rows are bounded.", _practice("unbounded"), "error_handling: {max_error_percentage: 5}"
            ),
        ),
    ),
    Part(
        "Step 6: load",
        (
            Item(
                "repeatable",
                "Runs are safe to repeat.",
                _practice("repeatable"),
                "mode: upsert with keys, or overwrite",
            ),
        ),
    ),
    Part(
        "Step 7: schedule and watch",
        (
            Item(
                "scheduled",
                "Pipelines are scheduled or follow others.",
                _practice("scheduled"),
                'schedule: "0 2 * * *"',
            ),
            Item("alerted", "Failures are told.", _practice("alerted"), "alerts: [{type: …, on: [failed]}]"),
            Item("promised", "An SLA is stated.", _practice("promised"), "monitoring: {sla: {duration: 30m}}"),
        ),
    ),
    Part(
        "Step 8: test and document",
        (
            Item("ran", "Every pipeline has run.", _ran, "headgate run NAME; headgate check if it cannot"),
            Item("succeeded", "The last runs published.", _succeeded, "headgate runs, headgate show RUN"),
            Item("documented", "The documentation is written.", unless="headgate docs; headgate docs --check in CI"),
        ),
    ),
    Part(
        "Final list",
        (
            Item("final_rows", "Every row is accounted for.", _accounted, "headgate show RUN"),
            Item("final_published", "The last runs published.", _succeeded, "headgate runs"),
            Item("final_quarantine", "No rows wait in the quarantine.", _seen, "headgate quarantine list"),
            Item("final_rules", "Rules gate publication.", _practice("ruled"), "quality_rules"),
            Item("final_repeat", "A second run changes nothing.", _practice("repeatable"), "mode: upsert or overwrite"),
            Item("final_retry", "Passing faults are tried again.", _practice("retrying"), "error_handling.retry"),
            Item("final_alert", "Somebody is told of failures.", _practice("alerted"), "alerts"),
            Item("final_on_call", "Somebody is called at night.", _practice("on_call"), "contacts: {on_call: …}"),
            Item("final_schedule", "Everything is scheduled.", _practice("scheduled"), "schedule or depends_on"),
            Item("final_recovery", "Recovery was tried.", unless="run the runbook's commands once"),
            Item("final_access", "Access is as narrow as it can be.", unless="read_only: true for sources"),
            Item("final_handover", "Who takes it over has read its page.", unless="headgate docs"),
        ),
    ),
)
KEYS = tuple(item.key for part in PARTS for item in part.items)


def lines(facts: Facts, given: Mapping[str, str]) -> list[Line]:
    """Every item as it stands. ``given``: what people answered."""
    return [_line(part, item, facts, given.get(item.key, "")) for part in PARTS for item in part.items]


def _line(part: Part, item: Item, facts: Facts, answer: str) -> Line:
    if item.check is None:
        state: State = "done" if answer else "open"
        return Line(part.title, item.key, item.text, state, answer, "" if answer else item.unless)
    wrong = item.check(facts)
    if not wrong:
        return Line(part.title, item.key, item.text, "done", answer or "checked")
    if answer:
        return Line(part.title, item.key, item.text, "done", f"{answer} (though {wrong})")
    return Line(part.title, item.key, item.text, "wrong", wrong, item.unless)


def document(lines: list[Line]) -> dict[str, Any]:
    """The checklist as plain JSON, with the keys of what is left."""
    left = [line.key for line in lines if line.state != "done"]
    return {"items": [asdict(line) for line in lines], "open": left, "complete": not left}


def answers(root: Path) -> dict[str, str]:
    """What people answered. Raises CONFIG_INVALID for a file that is no mapping of known keys to texts."""
    from headgate.config.yaml import plain, read

    path = root / FILE
    if not path.is_file():
        return {}
    found = plain(read(path, FILE))
    for key, value in found.items():
        known(str(key))
        if isinstance(value, dict | list) or value is None:
            raise FatalError(
                Code.CONFIG_INVALID, f"{key} is no text", operation="checklist", object=FILE, hint=f"{key}: an answer"
            )
    return {str(key): str(value) for key, value in found.items()}


def known(key: str) -> str:
    """The key itself. Raises NOT_FOUND with the nearest one."""
    if key not in KEYS:
        raise FatalError(
            Code.NOT_FOUND, f'there is no item "{key}"', operation="checklist", object=key, hint=nearest(key, KEYS)
        )
    return key
