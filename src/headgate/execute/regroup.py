"""Groups that new rows belong to are read again, whole: ``recompute: affected``.

First the window of new rows is fixed and read, then the source as it is: whatever comes in between is in the next
window too, so that its groups are computed again then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Narrows, Scan, SourceSchema, Window
from headgate.core.errors import Code, RetriableError
from headgate.execute.context import Run
from headgate.plan.affected import TOUCHED
from headgate.plan.stages import Affected
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    from headgate.execute.gather import Relation

FEW = 1_000
"""So many groups are named to a source; of more, all its rows are read and the others left out here."""
_BATCH = 32_768


def touched(run: Run, affected: Affected) -> None:
    """The groups of the new rows, as a relation."""
    assert run.session is not None
    found = run.session.stream(affected.sql, _BATCH)
    run.session.materialise(TOUCHED, Scan(SourceSchema(found.schema), batches=found))


def again(run: Run, relation: Relation, affected: Affected, *, narrow: bool) -> Scan:
    """Open the source once more, for all rows; ``narrow``: of the touched groups, if it can tell them apart."""
    source = run.workspace.source(relation.endpoint)
    read = relation.read.model_copy(update={"max_records": None})
    if narrow and isinstance(source, Narrows):
        for name, values in _few(run, affected).items():
            read = source.narrowed(read, name, values)
    context = replace(run.context, interval=None)
    assert run.window is not None
    if read.incremental is None:
        return source.scan(read.model_copy(update={"mode": "full"}), context, Window(None, run.window.since))
    window = source.probe(read, context, None)
    if window is None or window.idle:
        raise RetriableError(
            Code.CONFLICT,
            "the new rows are gone again",
            operation="scan",
            object=relation.name,
            hint="run it again",
        )
    return source.scan(read, context, window)


def _few(run: Run, affected: Affected) -> Mapping[str, list[Any]]:
    """Values by column, where they are few; NULL among them."""
    assert run.session is not None
    found = {}
    for name in affected.pushed:
        values = run.session.rows(f"SELECT DISTINCT {quote_name(name)} FROM {quote_name(TOUCHED)} LIMIT {FEW + 1}")
        if len(values) <= FEW:
            found[name] = [value for (value,) in values]
    return found
