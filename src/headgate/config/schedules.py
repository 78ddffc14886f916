"""Cron texts and time zones, checked when they are read."""

from __future__ import annotations

import re

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of week", 0, 7, {name: number for number, name in enumerate(_DAYS)}),
)
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ITEM = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?")


def check_schedule(text: str) -> str:
    """The text itself; raises ValueError unless it is a cron text of five fields that can come true."""
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(
            f'"{text}" has {len(fields)} fields; write five: minute, hour, day of month, month, day of week'
        )
    values = [_values(field, *known) for field, known in zip(fields, _FIELDS, strict=True)]
    days, months = values[2], values[3]
    if fields[4] == "*" and all(day > _LONGEST[month - 1] for day in days for month in months):
        raise ValueError(f'"{text}" never comes: no such month has a day {min(days)}')
    return text


def values_of(text: str, field: int) -> set[int]:
    """The numbers that a field stands for; ``field`` counts from 0. Raises ValueError for what is none."""
    return _values(text, *_FIELDS[field])


def _values(text: str, name: str, low: int, high: int, words: dict[str, int]) -> set[int]:
    found: set[int] = set()
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        if not match:
            raise ValueError(f'"{item}" is not a {name}; write *, 5, 1-5, */15 or a list of them')
        star, first, last, step = match.groups()
        start = low if star else _number(first, name, low, high, words)
        end = _number(last, name, low, high, words) if last is not None else high if star or step else start
        every = int(step) if step else 1
        if start > end:
            raise ValueError(f'"{item}" as a {name} begins after its end')
        if every < 1 or every > high:
            raise ValueError(f'"{item}" as a {name} has a step that is not 1 to {high}')
        found |= set(range(start, end + 1, every))
    return found


def _number(text: str, name: str, low: int, high: int, words: dict[str, int]) -> int:
    if text.lower() in words:
        return words[text.lower()]
    if not (text.isascii() and text.isdigit() and len(text) < 4 and low <= int(text) <= high):
        raise ValueError(f'"{text}" is not a {name}: {low} to {high}')
    return int(text)


def check_timezone(text: str) -> str:
    """The text itself; raises ValueError unless it is an IANA time zone that this machine knows."""
    if text == "UTC":
        return text
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f'"{text}" is not a time zone; write a name such as UTC or Europe/Berlin') from None
    return text
