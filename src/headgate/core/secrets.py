"""Secrets are references that never print."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

MASK = "***"
_known: set[str] = set()


class Secret:
    """A value that must not be shown; :meth:`reveal` is the only way to it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        remember(value)

    def reveal(self) -> str:
        """The value itself, for the driver that needs it."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, Secret) else cls(str(value)),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda _: MASK),
            json_schema_input_schema=core_schema.str_schema(),
        )


def remember(value: str) -> None:
    """Make :func:`mask` hide ``value``, and its URL-encoded and base64 spellings, from now on."""
    if len(value) >= 4:
        _known.update({value, quote(value, safe=""), base64.b64encode(value.encode()).decode()})


def mask(text: str) -> str:
    """``text`` with every secret that was read in this process replaced."""
    for value in sorted(_known, key=len, reverse=True):
        text = text.replace(value, MASK)
    return text
