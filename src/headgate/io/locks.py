"""A liveness lock on a file: the kernel lets go of it when its holder dies, whatever killed it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headgate.core.errors import Code, FatalError
from headgate.core.runs import PipelineKey
from headgate.io import files


@contextmanager
def file_lock(path: Path, key: PipelineKey) -> Iterator[None]:
    """Hold ``path`` (created if need be, never removed) while the body runs.

    Raises:
        FatalError: LOCKED at once when a living process holds it; its process id is in the message.
    """
    with files.told("lock", path):
        files.make_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 64, 0).decode(errors="replace").strip()
            raise FatalError(
                Code.LOCKED,
                f"another run holds the pipeline (process {holder or 'unknown'})",
                operation="lock",
                object=str(key),
                hint="wait for it to end; a dead run lets go by itself",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
