"""What became of a commit whose answer was lost."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from headgate.core.ledger import Claim
from headgate.io import ledger
from headgate.io.relational.staging import Backend
from headgate.io.unanswered import PATIENCE, outcome


def was_published(backend: Backend[Any], claim: Claim, patience: float = PATIENCE) -> bool:
    """Whether a run whose COMMIT was not answered is published, once its old session is gone for certain.

    Raises:
        FatalError: OUTCOME_UNKNOWN when the server cannot be asked in time.
    """

    def ask(seconds: float) -> bool | None:
        with closing(backend.session("publish")) as session:
            if not backend.end(session, claim.key, claim.run_id, seconds):
                return None
            found = ledger.published(session, claim.key, claim.execution_id)
            return found is not None and found.run_id == claim.run_id

    return outcome(claim, ask, patience)
