"""Whether keys of whole numbers repeat, by one bit for each that there may be: a tenth of what grouping costs."""

from __future__ import annotations

from math import prod

from headgate.core.contracts import EngineSession
from headgate.plan.stages import SetCheck
from headgate.sql.literals import quote_name

BITS_A_ROW = 64
"""Keys that may be, for each that is: with more of them, clearing and counting bits costs more than grouping."""
MOST_BITS = 1 << 28
"""32 MB in each thread."""


def unrepeated(session: EngineSession, check: SetCheck) -> bool:
    """True if no key of the check occurs twice; False says nothing, and the check's own query must be asked."""
    spool, names = quote_name(check.spool), [quote_name(name) for name in check.whole]
    if not names:
        return False
    bounds = ", ".join(f"COUNT({name}), MIN({name}), MAX({name})" for name in names)
    rows, *found = session.rows(f"SELECT COUNT(*), {bounds} FROM {spool}")[0]
    if not rows or any(count < rows for count in found[::3]):
        return False
    lows, highs = found[1::3], found[2::3]
    spans = [int(high) - int(low) + 1 for low, high in zip(lows, highs, strict=True)]
    keys = prod(spans)
    if keys > min(MOST_BITS, BITS_A_ROW * rows):
        return False
    key = "0::BIGINT"
    for name, low, span in zip(names, lows, spans, strict=True):
        key = f"({key} * {span} + ({name}::HUGEINT - ({low})::HUGEINT)::BIGINT)"
    distinct = session.rows(f"SELECT BIT_COUNT(BITSTRING_AGG({key}, 0::BIGINT, {keys - 1}::BIGINT)) FROM {spool}")
    return bool(distinct[0][0] == rows)
