"""SQL of a source that its database does not understand: trying again changes nothing, the configuration is wrong."""

from __future__ import annotations

READS = frozenset({"schema", "probe", "scan"})
"""What is being done when a database reads SQL that stands in the configuration."""


def hint(product: str) -> str:
    return f"mend query or where of the source: they are read as {product}'s SQL"
