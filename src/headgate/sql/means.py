"""Means and medians of whole numbers and decimals to the digit: nothing goes through a double, nothing overflows.

Values are whole numbers of the type's smallest unit (cents of a DECIMAL(9, 2)). Their upper and lower digits are summed
apart, as 38 digits times many rows are more than the engine's widest number holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import sqlglot
from sqlglot import exp

from headgate.sql.shapes import column
from headgate.sql.types import DIALECT, SqlType
from headgate.sql.windows import over

_SPLIT = 10**19
_FEW_DIGITS = 10


def is_exact(type_: SqlType) -> bool:
    """Whether means of the type are computed here: not of doubles, nor of whole numbers that a double holds easily."""
    if type_.family == "integer":
        return type_.whole_digits > _FEW_DIGITS and type_.high < 2**127
    return type_.family == "decimal"


def parts(name: str, strategy: Literal["mean", "median"], type_: SqlType, group: Sequence[str]) -> list[exp.Expr]:
    """How many values, and the sums of their upper and lower digits: windows that a projection before computes.

    A median is the mean of the two values in the middle, which may be one and the same.
    """
    here = column(name).sql(DIALECT)
    if strategy == "mean":
        unit = _units(here, type_)
        texts = (f"COUNT({here})", f"SUM({unit} // {_SPLIT})", f"SUM({unit} % {_SPLIT})")
        return [over(_parsed(text), group) for text in texts]
    middle = [over(_parsed(f"QUANTILE_DISC({here}, {share})"), group).sql(DIALECT) for share in ("0.5", "-0.5")]
    low, high = (_units(text, type_) for text in middle)
    sums = [f"({low} {sign} {_SPLIT}) + ({high} {sign} {_SPLIT})" for sign in ("//", "%")]
    return [_parsed(text) for text in ("2", *sums)]


def mean(count: str, upper: str, lower: str, type_: SqlType) -> exp.Expr:
    """The mean from columns that hold :func:`parts`, rounded half away from zero to the type's last digit."""
    n, high, low = (column(name).sql(DIALECT) for name in (count, upper, lower))
    rest = f"(({high} % {n}) * {_SPLIT} + {low})"
    whole = f"(({high} // {n}) * {_SPLIT} + {rest} // {n})"
    twice = f"(2 * ({rest} % {n}))"
    step = (
        f"CASE WHEN {whole} > 0 OR ({whole} = 0 AND {twice} >= 0)"
        f" THEN CASE WHEN {twice} >= {n} THEN 1 WHEN {twice} < -{n} THEN -1 ELSE 0 END"
        f" ELSE CASE WHEN {twice} <= -{n} THEN -1 WHEN {twice} > {n} THEN 1 ELSE 0 END END"
    )
    rounded = f"({whole} + {step})"
    if type_.scale:
        unit = f"0.{'0' * (type_.scale - 1)}1"
        rounded = f"(CAST({rounded} AS DECIMAL(38, 0)) * CAST('{unit}' AS DECIMAL({type_.scale}, {type_.scale})))"
    return _parsed(rounded)


def _units(text: str, type_: SqlType) -> str:
    if type_.scale:
        text = f"REPLACE(CAST({text} AS VARCHAR), '.', '')"
    return f"CAST({text} AS HUGEINT)"


def _parsed(text: str) -> exp.Expr:
    return sqlglot.parse_one(text, dialect=DIALECT)
