"""Numbers in JSON that the engine would round: it reads fractions there as doubles."""

from __future__ import annotations

import json
import re

from sqlglot import exp

MOST_DIGITS = 15
"""Digits of any decimal number that a double keeps."""
LONG_FRACTION = "|".join(
    [
        *(
            rf"[1-9][0-9]{{{before - 1}}}\.[0-9]{{{MOST_DIGITS - before},}}[1-9]"
            for before in range(1, MOST_DIGITS + 1)
        ),
        rf"[1-9][0-9]{{{MOST_DIGITS - 1},}}[1-9]0*[.eE]",
        rf"[1-9][0-9]{{{MOST_DIGITS},}}\.[0-9]*[1-9]",
        rf"\b0\.0*[1-9][0-9]{{{MOST_DIGITS - 1},}}[1-9]",
    ]
)
"""Numbers with a fraction or an exponent that have more digits than a double is sure to keep."""


def rounded(document: exp.Expr, key: str) -> exp.Expr:
    """Condition: in the text of the document a number that the engine would round stands under ``key``."""
    pattern = rf"{re.escape(json.dumps(key, ensure_ascii=False))}\s*:\s*-?(?:{LONG_FRACTION})"
    return exp.Anonymous(this="REGEXP_MATCHES", expressions=[document.copy(), exp.Literal.string(pattern)])


def rounded_anywhere(document: exp.Expr) -> exp.Expr:
    """Condition: such a number stands somewhere in the document. What stands in its texts is none."""
    pattern = rf'^(?:[^"]|"(?:[^"\\]|\\.)*")*?(?:^|[\[,:])\s*-?(?:{LONG_FRACTION})'
    return exp.Anonymous(this="REGEXP_MATCHES", expressions=[document.copy(), exp.Literal.string(pattern)])
