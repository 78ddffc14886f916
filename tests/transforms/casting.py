from __future__ import annotations

from typing import Any

from headgate.transforms import cast


def one(execute: Any, value: Any, source: str, target: str, **options: Any) -> Any:
    """The value after the cast, or "held"."""
    outcome = execute(cast, {"columns": {"x": target}, **options}, {"x": source}, [(value,)])
    assert len(outcome.rows) + len(outcome.held) == 1
    return outcome.rows[0][0] if outcome.rows else "held"
