"""What to do and what not to do: 12 of each, and a check for each that a configuration can show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from headgate.diagrams.pipelines.chain import Chain

Check = Callable[[Chain], str]
"""What is wrong with a pipeline, in words; empty when nothing is."""


@dataclass(frozen=True)
class Practice:
    """``check`` None: only people can tell. ``always``: headgate sees to it by itself, and this says how."""

    key: str
    text: str
    do: bool = True
    check: Check | None = None
    always: str = ""


def _described(chain: Chain) -> str:
    return "" if chain.pipeline.description else "description is missing"


def _owned(chain: Chain) -> str:
    return "" if chain.pipeline.owner else "owner is missing"


def _ruled(chain: Chain) -> str:
    return "" if chain.rules else "there are no quality_rules"


def _keyed(chain: Chain) -> str:
    """Rows that are appended may come twice when a source is read in full."""
    full = all(source.read.mode == "full" for source in chain.sources)
    twice = [target.write.table for target in chain.targets if full and target.write.mode == "append"]
    return (
        f"{', '.join(twice)}: a full read is appended at every run; use upsert with keys, or overwrite" if twice else ""
    )


def _incremental(chain: Chain) -> str:
    whole = [target for target in chain.targets if target.write.mode == "upsert"]
    full = [source.name for source in chain.sources if source.read.mode == "full"]
    return f"{', '.join(full)}: read in full, though the target merges" if whole and full else ""


def _retrying(chain: Chain) -> str:
    return "" if chain.pipeline.error_handling.retry.max_attempts > 1 else "error_handling.retry has one attempt only"


def _alerted(chain: Chain) -> str:
    return "" if chain.told("failed") else "nobody is told of failed runs: alerts with on: [failed]"


def _promised(chain: Chain) -> str:
    return "" if chain.pipeline.monitoring.sla else "monitoring.sla is missing"


def _limited(chain: Chain) -> str:
    holds = chain.holds_rows and chain.pipeline.error_handling.max_error_percentage is None
    return "rows are held back, and nothing bounds how many: error_handling.max_error_percentage" if holds else ""


def _named(chain: Chain) -> str:
    unnamed = [
        link.name
        for link in chain.links
        if link.options is not None and link.options.type == "sql" and not link.options.name
    ]
    return f"{len(unnamed)} sql steps have no name" if unnamed else ""


def _selecting(chain: Chain) -> str:
    starred = [s.name for s in chain.sources if "select *" in " ".join((s.read.query or "").lower().split())]
    return f"{', '.join(starred)}: SELECT * in a query" if starred else ""


def _called(chain: Chain) -> str:
    return "" if chain.pipeline.header.contacts.on_call else "contacts.on_call is missing"


def _lenient(chain: Chain) -> str:
    soft = chain.rules and all(rule.action in ("warn", "record") for rule in chain.rules)
    return "every rule only warns: nothing keeps bad data from being published" if soft else ""


def _doubting(chain: Chain) -> str:
    ignoring = [
        s.name for s in chain.sources if s.read.incremental is not None and s.read.incremental.nulls == "ignore"
    ]
    return f"{', '.join(ignoring)}: rows with a NULL cursor are passed over" if ignoring else ""


def _bare(chain: Chain) -> str:
    return (
        "" if chain.pipeline.schedule or chain.pipeline.depends_on or chain.pipeline.type != "batch" else "no schedule"
    )


COMMIT = "data, watermark and run record are one commit"
PRACTICES: tuple[Practice, ...] = (
    Practice("described", "Say in a sentence what the pipeline is for.", check=_described),
    Practice("owned", "Name who answers for it.", check=_owned),
    Practice("on_call", "Name who is called at night.", check=_called),
    Practice("repeatable", "Make every run safe to repeat.", check=_keyed, always=COMMIT),
    Practice("incremental", "Read only what is new, where the target merges.", check=_incremental),
    Practice("ruled", "State what must hold of the data.", check=_ruled),
    Practice("retrying", "Try again after passing faults, with growing waits.", check=_retrying),
    Practice("alerted", "Tell somebody of every failure.", check=_alerted),
    Practice("promised", "Promise how long it may take and how often it may fail.", check=_promised),
    Practice("scheduled", "Schedule it, or let it follow another pipeline.", check=_bare),
    Practice("named", "Name steps of free SQL after what they do.", check=_named),
    Practice("rehearsed", "Try recovery before it is needed."),
    Practice(
        "secrets", "Write no secret into files.", do=False, always="an inline secret is refused when files are read"
    ),
    Practice("half", "Publish no half of a load.", do=False, always=COMMIT),
    Practice("silent", "Lose no row in silence.", do=False, always="every row is accounted for before publication"),
    Practice("lenient", "Publish nothing on rules that only warn.", do=False, check=_lenient),
    Practice("unbounded", "Hold back no unbounded share of the rows.", do=False, check=_limited),
    Practice("everything", "Select no column that nobody needs.", do=False, check=_selecting),
    Practice("cursor", "Pass over no row without a cursor.", do=False, check=_doubting),
    Practice("pasted", "Paste no values into SQL.", do=False, always="values of {{ … }} are bound"),
    Practice(
        "overlap", "Let no two runs write at once.", do=False, always="a run holds a lock, and later ones fence it"
    ),
    Practice(
        "source", "Change nothing in a source.", do=False, always="sources are read in sessions that cannot write"
    ),
    Practice("production", "Try nothing out on production tables.", do=False),
    Practice("forgotten", "Leave no rows in the quarantine unseen.", do=False),
)
