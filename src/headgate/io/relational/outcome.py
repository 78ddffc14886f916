"""What became of a commit whose answer was lost."""

from __future__ import annotations

import time
from typing import Any

from headgate.core.errors import Code, FatalError, RetriableError
from headgate.core.ledger import Claim
from headgate.io import ledger
from headgate.io.relational.staging import Backend

PATIENCE = 60.0
"""Seconds for which a lost answer to COMMIT is asked after."""


def was_published(backend: Backend[Any], claim: Claim, patience: float = PATIENCE) -> bool:
    """Whether a run whose COMMIT was not answered is published, once its old session is gone for certain.

    Raises:
        FatalError: OUTCOME_UNKNOWN when the server cannot be asked in time.
    """
    until = time.monotonic() + patience
    while True:
        try:
            session = backend.session("publish")
            try:
                left = max(0.1, until - time.monotonic())
                if not backend.end(session, claim.key, claim.run_id, left):
                    break
                found = ledger.published(session, claim.key, claim.execution_id)
                return found is not None and found.run_id == claim.run_id
            finally:
                session.close()
        except RetriableError:
            if time.monotonic() > until:
                break
            time.sleep(0.2)
    raise FatalError(
        Code.OUTCOME_UNKNOWN,
        "the connection broke while the commit was answered, and the server cannot be asked what became of it",
        operation="publish",
        object=str(claim.key),
        hint="run again when the server answers: the run then finds out whether this one was published",
    )
