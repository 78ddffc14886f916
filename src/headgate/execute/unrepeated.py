"""Whether keys of whole numbers repeat, by one bit for each that there may be: a tenth of what grouping costs."""

from __future__ import annotations

from math import prod

from headgate.core.engines import EngineSession
from headgate.plan.checks import SetCheck
from headgate.sql.literals import quote_name

BITS_A_ROW = 64
"""Keys that may be, for each that is: with more of them, clearing and counting bits costs more than grouping."""
MOST_BITS = 1 << 28
"""32 MB in each thread."""


LEAST, MOST = -(1 << 63), (1 << 63) - 1
"""What a BIGINT holds."""


def unrepeated(session: EngineSession, check: SetCheck, within: str = "") -> bool:
    """True if no key of the check occurs twice; False says nothing, and the check's own query must be asked.

    ``within``: a relation that has all rows of the check's spool, where its bounds are had for less.
    """
    spool, names = quote_name(check.spool), [quote_name(name) for name in check.whole]
    if not names:
        return False
    bounds = ", ".join(f"COUNT({name}), MIN({name}), MAX({name})" for name in names)
    rows, *found = session.rows(f"SELECT COUNT(*), {bounds} FROM {quote_name(within) if within else spool}")[0]
    if not rows or any(count < rows for count in found[::3]):
        return False
    lows, highs = found[1::3], found[2::3]
    spans = [int(high) - int(low) + 1 for low, high in zip(lows, highs, strict=True)]
    keys = prod(spans)
    if keys > min(MOST_BITS, BITS_A_ROW * rows):
        return False
    wide = "BIGINT" if min(lows) >= LEAST and max(highs) <= MOST else "HUGEINT"  # twice as dear
    key = ""
    for name, low, span in zip(names, lows, spans, strict=True):
        place = f"({name}::{wide} - ({low})::{wide})::BIGINT"
        key = f"({key} * {span} + {place})" if key else place
    bits = f"BIT_COUNT(BITSTRING_AGG({key}, 0::BIGINT, {keys - 1}::BIGINT))"
    return session.rows(f"SELECT COUNT(*) = {bits} FROM {spool}")[0][0] is True
