"""What a receipt and its events say of each link of the chain: rows in and out, and how long it took."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from headgate.core.runs import Receipt, StepCount
from headgate.diagrams.pipelines.chain import Chain, Link


@dataclass(frozen=True)
class Pass:
    """One pass of a run: the links it computed together, its counts, and seconds if they are known."""

    relation: str
    links: tuple[Link, ...]
    count: StepCount
    took: float | None = None


@dataclass(frozen=True)
class Times:
    """Seconds that a run spent: by step of the run, and for each relation."""

    steps: Mapping[str, float] = field(default_factory=dict)
    relations: Mapping[str, float] = field(default_factory=dict)


UNTIMED = Times()


def times(lines: Iterable[str]) -> Times:
    """The times that a run's log of events tells; lines that are cut off are passed over."""
    begun: dict[tuple[str, str], datetime] = {}
    steps: dict[str, float] = {}
    relations: dict[str, float] = {}
    for line in lines:
        event = _event(line)
        if event is None:
            continue
        step, _, phase = str(event.get("event", "")).partition(".")
        detail = event.get("detail") or {}
        relation = str(detail.get("relation", ""))
        at = datetime.fromisoformat(event["at"])
        if phase == "before":
            begun[step, relation] = at
        elif phase == "after" and (step, relation) in begun:
            took = (at - begun.pop((step, relation))).total_seconds()
            steps[step] = steps.get(step, 0.0) + took
            if step == "stage" and relation:
                relations[relation] = relations.get(relation, 0.0) + took
    return Times(steps, relations)


def times_of(folder: Path, run_id: str) -> Times:
    """The times of a run whose log is still there; none otherwise."""
    path = folder / f"{run_id}.jsonl"
    if not path.is_file():
        return UNTIMED
    with path.open(encoding="utf-8", errors="replace") as file:
        return times(file)


def passes(chain: Chain, receipt: Receipt, measured: Times = UNTIMED) -> list[Pass]:
    """The passes that the receipt counts, each with the links that it computed."""
    found, start = [], 0
    names = [link.name for link in chain.links]
    for count in receipt.steps:
        before = count.step.removesuffix("_input")
        if count.step in names:
            end = names.index(count.step) + 1
        elif count.step != before and before in names:
            end = names.index(before)
        else:
            end = start
        links = chain.links[start : max(end, start)]
        start = max(end, start)
        found.append(Pass(count.step, links, count, measured.relations.get(count.step)))
    return found


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "at" in event else None
