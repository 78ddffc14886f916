"""The types in which DuckDB's values travel: exact Arrow forms that every target may know, or none."""

from __future__ import annotations

from typing import Any

from headgate.sql.literals import quote_name

_DELIVERED = {
    "uuid": "VARCHAR",
    "enum": "VARCHAR",
    "bit": "VARCHAR",
    "hugeint": "DECIMAL(38,0)",
    "uhugeint": "DECIMAL(38,0)",
    "timestamp_s": "TIMESTAMP",
    "timestamp_ms": "TIMESTAMP",
    "null": "INTEGER",
}
_REFUSED = {
    "time with time zone": "CAST({0} AS VARCHAR)",
    "union": "union_extract({0}, 'tag')",
    "bignum": "CAST({0} AS VARCHAR)",
    "variant": "CAST({0} AS VARCHAR)",
    "geometry": "ST_AsWKB({0})",
}


def delivered(type_: Any) -> str:
    """The SQL type in which values of a DuckDB type leave the engine; nested types part by part.

    Raises:
        LookupError: with the expression that would do, for a type that cannot leave exactly.
    """
    match type_.id:
        case "list":
            return f"{delivered(type_.children[0][1])}[]"
        case "array":
            return f"{delivered(type_.children[0][1])}[]"
        case "struct":
            fields = ", ".join(f"{quote_name(name)} {delivered(child)}" for name, child in type_.children)
            return f"STRUCT({fields})"
        case "map":
            key, value = (child for _, child in type_.children)
            return f"MAP({delivered(key)}, {delivered(value)})"
        case "timestamp_ns" | "time_ns":
            raise LookupError("CAST({0} AS TIMESTAMP)" if type_.id == "timestamp_ns" else "CAST({0} AS TIME)")
        case name if name in _REFUSED:
            raise LookupError(_REFUSED[name])
        case name:
            return _DELIVERED.get(name, str(type_))
