"""What the engine of a run may take: memory, and threads that it suffices for."""

from __future__ import annotations

import os

from headgate.core.contracts import Scan as OpenScan
from headgate.execute.context import Run

CHANGES_MEMORY = 128 * 1024**2
"""What the engine may take where it finds the last change of each key: rows only pass through it."""
CHANGES_COLUMNS = 1_500
"""Columns times threads that this memory suffices for: each thread keeps its own buffers of each column. 3,200 are too
many, whatever their number of rows."""


def limits(run: Run, opened: OpenScan | None) -> tuple[int | None, int | None]:
    """Bytes and threads for the engine, None as it likes, for a main source that is open."""
    defaults = run.workspace.project.defaults
    if opened is None or run.pipeline.sources[0].mode != "cdc" or defaults.memory is not None:
        return defaults.memory, defaults.threads
    threads = defaults.threads or os.cpu_count() or 1
    return CHANGES_MEMORY, min(threads, max(1, CHANGES_COLUMNS // len(opened.schema.raw)))
