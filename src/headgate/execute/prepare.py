"""Heavy imports begin beside a probe that is still hashing, instead of after it."""

from __future__ import annotations

import importlib
import threading

from headgate.config.models import Pipeline
from headgate.core.contracts import Registry

_started = threading.Lock()


def prepare(registry: Registry, pipeline: Pipeline) -> None:
    """Import what a run of the pipeline will need, in a thread of its own; at once if that has begun.

    An import that fails here fails again, with its error, where the module is needed.
    """
    if _started.acquire(blocking=False):
        threading.Thread(target=_import, args=(registry, pipeline), name="headgate-imports", daemon=True).start()


def _import(registry: Registry, pipeline: Pipeline) -> None:
    try:
        for name in ("headgate.execute.gather", "headgate.execute.interpret", "headgate.engines.duckdb", "duckdb"):
            importlib.import_module(name)
        for step in pipeline.transformations:
            registry.module("transforms", step.type)
        for rule in pipeline.quality_rules:
            registry.module("quality", rule.type)
        if any(address.group == "lake" for address in pipeline.target_addresses):
            importlib.import_module("pyiceberg.table")
    except Exception:  # noqa: BLE001 - told by the run itself, which imports the same modules next
        return
