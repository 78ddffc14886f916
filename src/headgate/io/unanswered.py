"""What became of a commit whose answer was lost: the server is asked until it can tell."""

from __future__ import annotations

import time
from collections.abc import Callable

from headgate.core.errors import Code, FatalError, RetriableError
from headgate.core.ledger import Claim

PATIENCE = 60.0
"""Seconds for which a lost answer to COMMIT is asked after."""


def outcome(claim: Claim, ask: Callable[[float], bool | None], patience: float = PATIENCE) -> bool:
    """Whether a run whose COMMIT was not answered is published.

    Args:
        ask: whether it is, asked in a session of its own once the old one is gone for certain; None where that does
            not go within the seconds given. A RetriableError is asked again.

    Raises:
        FatalError: OUTCOME_UNKNOWN when the server cannot be asked in time.
    """
    until = time.monotonic() + patience
    while True:
        try:
            found = ask(max(0.1, until - time.monotonic()))
        except RetriableError:
            if time.monotonic() <= until:
                time.sleep(0.2)
                continue
            found = None
        if found is not None:
            return found
        raise FatalError(
            Code.OUTCOME_UNKNOWN,
            "the connection broke while the commit was answered, and the server cannot be asked what became of it",
            operation="publish",
            object=str(claim.key),
            hint="run again when the server answers: the run then finds out whether this one was published",
        )
