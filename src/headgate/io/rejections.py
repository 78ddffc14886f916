"""What servers say when a table rejects a row: how to go on, and which parts of their words are values of rows."""

from __future__ import annotations

import re

CONSTRAINT = (
    "a constraint of the table rejects a row: hold such rows back with a rule (on_fail: quarantine), or use"
    " mode: append with a dead_letter table, where the store has them"
)
REFERRED = (
    "rows of another table refer to rows that the load deletes: use mode: merge with keys, which leaves rows that stay"
    " where they are"
)
NULL = "the column takes no NULL: fill it, or hold such rows back with a not_null rule"

_VALUES = tuple(
    re.compile(form, re.DOTALL)
    for form in (
        r"Duplicate entry '(.*)' for key",  # MySQL
        r"ncorrect .*?value:? '(.*)'(?: for column| for function|$)",
        r': "(.*)"$',  # PostgreSQL: invalid input syntax for type integer: "x"
        r'^(?:column .*?: )?value "(.*)" is out of range',
        r'uplicate key "(?:[^:"]*: )?(.*?)"(?: violates|$)',  # DuckDB
        r"Could not convert (?:string|value) ['\"](.*)['\"] to",
        r"duplicate key value is \((.*)\)",  # SQL Server
        r"converting the \S+ value '(.*)' to",
    )
)


def values_in(text: str) -> tuple[str, ...]:
    """The values of rows that a server's message tells; who must not tell them takes them out."""
    return tuple(found[1] for form in _VALUES if (found := form.search(text)) and found[1])
