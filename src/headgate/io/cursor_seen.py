"""Rows that were delivered, remembered by hash, each with how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

Seen = dict[str | None, Counter[str]]
"""Hashes by cursor text (None: rows whose cursor is NULL), with how often each was delivered."""


def total(seen: Seen) -> int:
    return sum(hashes.total() for hashes in seen.values())


def take(left: Seen, text: str | None, hash_: str) -> bool:
    """Take one occurrence of a row out of ``left``; False if there is none."""
    hashes = left.get(text)
    if not hashes or not hashes[hash_]:
        return False
    hashes[hash_] -= 1
    return True


def pack(hashes: Counter[str]) -> list[str]:
    return [hash_ if count == 1 else f"{hash_}*{count}" for hash_, count in sorted(hashes.items()) if count]


def unpack(hashes: Iterable[str]) -> Counter[str]:
    parts = (entry.partition("*") for entry in hashes)
    return Counter({hash_: int(count or 1) for hash_, _, count in parts})
