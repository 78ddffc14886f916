"""Branch: the published versions of the lake, and the branches that runs wrote on before."""

from __future__ import annotations

from collections.abc import Iterable

from headgate.core.runs import Receipt, Status, timestamp
from headgate.diagrams.commits import MAIN, Branch, Commit, Commits, Merge, Step
from headgate.diagrams.pipelines.words import rows

FIRST = "empty"


def branch(title: str, receipts: Iterable[Receipt]) -> Commits:
    """Each run that staged rows, oldest first: merged if it published, left open if it is staged, else abandoned."""
    steps: list[Step] = [Commit(FIRST)]
    for receipt in receipts:
        if not receipt.steps or receipt.status is Status.SKIPPED:
            continue  # nothing was staged
        name = f"{receipt.pipeline}-{receipt.run_id[:8]}"
        steps.append(Branch(name))
        tables = ", ".join(commit.table for commit in receipt.targets) or receipt.pipeline
        good = receipt.published or receipt.status is Status.STAGED
        staged = f"{rows(receipt.rows.loaded)} for {tables}" if good else _why(receipt)
        steps.append(Commit(f"{receipt.run_id[:8]}: {staged}", name, kind="normal" if good else "reverse"))
        if receipt.published:
            at = timestamp(receipt.ended_at or receipt.started_at)[:16].replace("T", " ")
            steps.append(Merge(name, MAIN, f"{receipt.run_id[:8]} published", at))
            if receipt.status is Status.ROLLED_BACK:
                steps.append(Commit(f"{receipt.run_id[:8]} rolled back", MAIN, kind="reverse"))
    return Commits(title, tuple(steps))


def _why(receipt: Receipt) -> str:
    code = f": {receipt.error['code']}" if receipt.error else ""
    return f"{receipt.status.value}{code}"
