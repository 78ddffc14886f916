"""Text functions that DuckDB lacks or does otherwise than people expect."""

from __future__ import annotations

from typing import Literal, assert_never

import sqlglot
from sqlglot import exp

from headgate.sql.types import DIALECT

_SPACE = (
    " \t\n\r\v\f\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
_ANY_SPACE = "".join(f"\\x{{{ord(character):x}}}" for character in _SPACE)
"""For a class of characters in a pattern, where ``\\s`` is five of them only."""


def trimmed(value: exp.Expr) -> exp.Expr:
    """Without white space at both ends: tabs, line ends and Unicode's spaces too, not only blanks."""
    return exp.Anonymous(this="TRIM", expressions=[value, exp.Literal.string(_SPACE)])


def without_specials(value: exp.Expr, kept: str) -> exp.Expr:
    """Without anything but letters, marks on them, digits, white space and the characters of ``kept``."""
    allowed = "".join(f"\\x{{{ord(character):x}}}" for character in dict.fromkeys(kept))
    pattern = exp.Literal.string(rf"[^\p{{L}}\p{{M}}\p{{N}}{_ANY_SPACE}{allowed}]")
    return exp.Anonymous(
        this="REGEXP_REPLACE", expressions=[value, pattern, exp.Literal.string(""), exp.Literal.string("g")]
    )


def changed_case(value: exp.Expr, case: Literal["lower", "upper", "title"]) -> exp.Expr:
    """In lower or upper case, or with a capital at the start of each word (words end at white space)."""
    match case:
        case "lower":
            return exp.func("LOWER", value)
        case "upper":
            return exp.func("UPPER", value)
        case "title":
            words = sqlglot.parse_one(
                f"ARRAY_TO_STRING(LIST_TRANSFORM(REGEXP_EXTRACT_ALL(LOWER(_x), '[{_ANY_SPACE}]+|[^{_ANY_SPACE}]+'), "
                "LAMBDA w: UPPER(w[1]) || w[2:]), '')",
                dialect=DIALECT,
            )
            return words.transform(
                lambda node: value.copy() if isinstance(node, exp.Column) and node.name == "_x" else node
            )
        case _:
            assert_never(case)
