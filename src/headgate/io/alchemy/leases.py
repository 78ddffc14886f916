"""A liveness lock in a table: its holder counts on; who sees the count stand still takes over. No clock is compared."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.core.runs import PipelineKey
from headgate.io.alchemy.sessions import Session

TABLE = (
    "CREATE TABLE IF NOT EXISTS headgate_leases (project VARCHAR(255) NOT NULL, pipeline VARCHAR(255) NOT NULL,"
    " holder VARCHAR(64) NOT NULL, beat BIGINT NOT NULL, PRIMARY KEY (project, pipeline))"
)
BEAT, DEAD = 0.5, 5.0
"""Seconds between counts, and without one until the holder counts as dead. Should it wake up, its epoch is void."""
_log = logging.getLogger("headgate.lease")
_SELECT = "SELECT holder, beat FROM headgate_leases WHERE project = ? AND pipeline = ?"
_TAKE = "UPDATE headgate_leases SET holder = ?, beat = 0 WHERE project = ? AND pipeline = ? AND holder = ? AND beat = ?"


@contextmanager
def lease(open_: Callable[[], Session], key: PipelineKey) -> Iterator[None]:
    """Hold the pipeline's lease while the body runs. Raises FatalError LOCKED when a living run has it."""
    session, me = open_(), secrets.token_hex(16)
    try:
        session.execute(TABLE)
        _take(session, key, me)
    finally:
        session.close()
    done = threading.Event()
    beating = threading.Thread(target=_beat, args=(open_, key, me, done), name="headgate-lease", daemon=True)
    beating.start()
    try:
        yield
    finally:
        done.set()
        beating.join()
        session = open_()
        try:
            session.execute(
                "DELETE FROM headgate_leases WHERE project = ? AND pipeline = ? AND holder = ?",
                (key.project, key.pipeline, me),
            )
        finally:
            session.close()


def _take(session: Session, key: PipelineKey, me: str) -> None:
    seen: tuple[str, int] | None = None
    until = time.monotonic() + DEAD
    while True:
        rows = session.query(_SELECT, (key.project, key.pipeline))
        if not rows:
            try:
                session.execute(
                    "INSERT INTO headgate_leases (project, pipeline, holder, beat) VALUES (?, ?, ?, 0)",
                    (key.project, key.pipeline, me),
                )
            except FatalError:
                continue  # another run came first
            return
        found = (str(rows[0][0]), int(rows[0][1]))
        if seen is not None and found != seen:
            raise FatalError(
                Code.LOCKED,
                "another run holds the pipeline",
                operation="lock",
                object=str(key),
                hint=f"wait for it to end; a dead run lets go after {DEAD:.0f} seconds",
            )
        if time.monotonic() > until and session.execute(_TAKE, (me, key.project, key.pipeline, *found)) == 1:
            return
        seen = found
        time.sleep(0.1)


def _beat(open_: Callable[[], Session], key: PipelineKey, me: str, done: threading.Event) -> None:
    update = "UPDATE headgate_leases SET beat = beat + 1 WHERE project = ? AND pipeline = ? AND holder = ?"
    while not done.wait(BEAT):
        try:
            session = open_()
            try:
                session.execute(update, (key.project, key.pipeline, me))
            finally:
                session.close()
        except HeadgateError as error:
            _log.warning("the lease of %s could not be renewed: %s", key, error)
