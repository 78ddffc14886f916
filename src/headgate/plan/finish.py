"""What is known of a plan only when all its stages stand: what can be replayed, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace

from headgate.config.models import Pipeline
from headgate.core.contracts import Registry
from headgate.core.errors import Code, FatalError, nearest
from headgate.core.models import StepOptions
from headgate.plan.places import located
from headgate.plan.stages import Fetch, Move, Stage, Transform


def with_replayability(stages: Sequence[Stage]) -> list[Stage]:
    """Held rows can be replayed unless something looks at all rows after them: groups, windows, reshapes."""
    done: list[Stage] = []
    row_wise = True
    for stage in reversed(stages):
        if isinstance(stage, Transform):
            done.append(replace(stage, replayable=row_wise and not stage.branch))
            if not stage.branch:
                row_wise = row_wise and stage.counted == "rows" and stage.call is None and not stage.setwise
        else:
            done.append(stage)
    return done[::-1]


def fingerprint(stages: Sequence[Stage]) -> str:
    """Hash of what the stages do. Notes for people, and when and where it is done, are no part of it."""
    documents = []
    for stage in stages:
        if isinstance(stage, Move | Fetch):
            continue
        document = asdict(stage)
        for told in ("note", "lineage", "keeps", "unsifted"):
            document.pop(told, None)
        documents.append([type(stage).__name__, document])
    return hashlib.sha256(json.dumps(documents, sort_keys=True, default=str).encode()).hexdigest()[:32]


def outputs_of(steps: Sequence[StepOptions], registry: Registry) -> list[str]:
    """Names of the second outputs of steps."""
    modules = [(registry.module("transforms", step.type), step) for step in steps]
    return [name for module, step in modules if hasattr(module, "outputs") for name in module.outputs(step)]


def wanted_steps(pipeline: Pipeline, names: Sequence[str], registry: Registry) -> set[str]:
    """Steps whose rows a target or a rule asks for; each must exist."""
    wanted: set[str] = set()
    outputs = outputs_of(pipeline.transformations, registry)
    asked = [(("targets", i, "from"), target.from_) for i, target in enumerate(pipeline.targets)]
    asked += [(("quality_rules", i, "step"), rule.step) for i, rule in enumerate(pipeline.quality_rules)]
    for path, name in asked:
        if name is None or name in outputs:
            continue
        if name not in names:
            error = FatalError(
                Code.PLAN_INVALID,
                f'there is no step "{name}"',
                operation="plan",
                object=name,
                hint=nearest(name, [*names, *outputs]),
            )
            raise located(error, pipeline, path)
        wanted.add(name)
    return wanted


_BESIDE = ("_audit", "_load_")
"""What the relations for the rules about a pass, and about a table as it will be, are called after its name."""


def apart(name: str, taken: Collection[str]) -> str:
    """The name, or that with a number, under which no relation is mistaken for another one or for what is beside it.

    The engine compares names without case.
    """

    known = [one.lower() for one in taken]
    while any(name.lower().startswith(one + end) for one in known for end in _BESIDE):
        name = f"step_{name}"
    unique, number = name, 1
    while any(one == unique.lower() or one.startswith(unique.lower() + end) for one in known for end in _BESIDE):
        number += 1
        unique = f"{name}_{number}"
    return unique


def unique_names(names: Sequence[str], taken: set[str]) -> list[str]:
    """Names with a number from the second of the same name on."""
    seen: set[str] = set(taken)
    result = []
    for name in names:
        unique, number = name, 1
        while unique in seen:
            number += 1
            unique = f"{name}_{number}"
        seen.add(unique)
        result.append(unique)
    return result
