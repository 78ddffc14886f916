"""What the validator of models found, in the words of people who write YAML."""

from __future__ import annotations

import re
from collections.abc import Iterable

_EXPECTED = "Input should be "
_TYPES = {
    "string_type": "a text", "int_type": "a whole number", "int_from_float": "a whole number",
    "int_parsing": "a whole number", "float_type": "a number", "float_parsing": "a number", "decimal_type": "a number",
    "bool_type": "true or false", "bool_parsing": "true or false", "date_type": "a date", "date_parsing": "a date",
    "date_from_datetime_parsing": "a date", "datetime_type": "a time", "datetime_parsing": "a time",
    "datetime_from_date_parsing": "a time", "time_type": "a time of day", "time_parsing": "a time of day",
    "tuple_type": "a list", "list_type": "a list", "dict_type": "a mapping", "model_type": "a mapping",
    "mapping_type": "a mapping",
}  # fmt: skip
_PHRASES = (
    (re.compile(r"^Value error, |^Assertion failed, "), ""),
    (re.compile(r"^Input should be "), "expected: "),
    (re.compile(r"^Input tag (.*?) found using 'type' does not match any of the expected tags: "), "expected: "),
    (re.compile(r"^Unable to extract tag using discriminator 'type'"), '"type" is missing'),
    (re.compile(r"^String should have at (least|most) (\d+) (characters?)$"), r"expected: at \1 \2 \3"),
    (re.compile(r"^\w+ should have at (least|most) 1 item after validation, not \d+$"), r"expected: at \1 1 entry"),
    (re.compile(r"^\w+ should have at (\w+ \d+) items after validation, not \d+$"), r"expected: at \1 entries"),
    (re.compile(r"^String should match pattern '\\S'$"), "expected: a text that is not empty"),
    (re.compile(r"^String should match pattern .*$", re.DOTALL), "it is not written as it must be"),
)  # fmt: skip


def is_expectation(kind: str, message: str) -> bool:
    """Whether it says what a value should have been, so that several of them are alternatives."""
    return kind in _TYPES or message.startswith(_EXPECTED)


def expectation(found: Iterable[tuple[str, str]]) -> str:
    """One sentence for alternatives, each a kind of error and its message."""
    words = [_TYPES.get(kind) or message.removeprefix(_EXPECTED) for kind, message in found]
    if "a number" in words:
        words = [word for word in words if word != "a whole number"]
    *most, last = dict.fromkeys(words)
    return f"expected: {', '.join(most)} or {last}" if most else f"expected: {last}"


def sentence(message: str) -> str:
    """A single message in our words."""
    for pattern, replacement in _PHRASES:
        message = pattern.sub(replacement, message)
    return message
