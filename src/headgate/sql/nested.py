"""Nested values as columns: structs, lists and JSON documents, and the one rule for their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.sql.types import DIALECT

Leaf = tuple[tuple[str, ...], exp.Expr, exp.DataType]
"""The path of a field, its value and its type."""


def type_tree(name: str) -> exp.DataType:
    """The SQL type with its inner types."""
    return exp.DataType.build(name, dialect=DIALECT)


def is_struct(type_: exp.DataType) -> bool:
    return bool(type_.this == exp.DType.STRUCT)


def element_of(type_: exp.DataType) -> exp.DataType | None:
    """The type of a list's elements; None if it is no list."""
    if type_.this not in (exp.DType.ARRAY, exp.DType.LIST) or not type_.expressions:
        return None
    inner = type_.expressions[0]
    return inner if isinstance(inner, exp.DataType) else None


def fields(value: exp.Expr, type_: exp.DataType, depth: int | None, path: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """The fields of a struct, those of structs in it too, down to ``depth`` levels; in their order."""
    for part in type_.expressions:
        name, inner = part.name, part.args["kind"]
        here = exp.Anonymous(this="STRUCT_EXTRACT", expressions=[value.copy(), exp.Literal.string(name)])
        if is_struct(inner) and (depth is None or len(path) + 1 < depth):
            yield from fields(here, inner, depth, (*path, name))
        else:
            yield (*path, name), here, inner


def joined(parts: Sequence[str], separator: str) -> str:
    """The name of a nested field: its path, with the separator between. Underscores of the parts stay."""
    return separator.join(parts)


def json_path(text: str) -> str:
    """``customer.address.city`` as a JSON path; a part may be quoted to hold a dot.

    Raises:
        FatalError: PLAN_INVALID for an empty part.
    """
    parts = split_path(text)
    return "$" + "".join('."' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)


def split_path(text: str) -> list[str]:
    """The parts of a path."""
    parts, quoted, current = [], False, ""
    for character in text:
        if character == '"':
            quoted = not quoted
        elif character == "." and not quoted:
            parts.append(current)
            current = ""
        else:
            current += character
    parts.append(current)
    if quoted or not all(parts) or "\x00" in text:
        raise FatalError(
            Code.PLAN_INVALID,
            f'"{text}" is no path in a document',
            operation="plan",
            object=text,
            hint='write customer.city, and names with a dot in quotes: "a.b".c',
        )
    return parts
