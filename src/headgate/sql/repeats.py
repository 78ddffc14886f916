"""Rows that share a key, as every database counts them."""

from __future__ import annotations

from collections.abc import Sequence


def repeats(rows: str, columns: Sequence[str]) -> str:
    """A SELECT of one row: rows whose ``columns`` (as SQL), none of them NULL, occur more than once; and all rows."""
    keys = ", ".join(columns)
    filled = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    groups = f"SELECT {keys}, count(*) AS hg_times FROM {rows} GROUP BY {keys}"
    repeated = f"CASE WHEN hg_times > 1 AND {filled} THEN hg_times ELSE 0 END"
    return f"SELECT coalesce(sum({repeated}), 0), coalesce(sum(hg_times), 0) FROM ({groups}) AS g"
