"""Cron texts in plain words: ``0 2 * * *`` is "2 AM Daily"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from headgate.config.schedules import check_schedule, values_of

PRESETS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@quarterly": "0 0 1 */3 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def in_words(text: str) -> str:
    """The schedule in words, without its time zone; a text that is no cron text of five fields is given back."""
    cron = PRESETS.get(text.strip().lower(), text)
    try:
        minute, hour, day, month, weekday = check_schedule(cron).split()
    except ValueError:
        return text
    when, often = _time(minute, hour)
    days = _days(day, weekday)
    months = "" if month in ("*", "*/1") else _months(month)
    if often:
        return f"{when}{f' {days}' if days else ''}{months}"
    return f"{when} {days or 'Daily'}{months}"


def _time(minute: str, hour: str) -> tuple[str, bool]:
    """The time of day, and whether it comes more than once an hour or in a row of hours."""
    if minute.isdigit() and re.fullmatch(r"\d+(,\d+)*", hour):
        clock = [_clock(int(one), int(minute)) for one in hour.split(",")]
        return _and(clock), False
    past = f" at minute {_numbers(minute, 0)}" if minute != "0" and minute.replace(",", "").isdigit() else ""
    hours = _hours(hour)
    if past or minute == "0":
        return f"{hours or 'Every hour'}{past}", True
    if minute in ("*", "*/1"):
        return f"Every minute{_during(hours)}", True
    step = re.fullmatch(r"(?:\*|0|0-59)/(\d+)", minute)
    if step and 60 % int(step[1]) == 0:
        return f"{_every(int(step[1]), 'minute')}{_during(hours)}", True
    return f"At minutes {_numbers(minute, 0)}{_during(hours) or ' of every hour'}", True


def _hours(hour: str) -> str:
    """How hours follow each other: "" for every hour."""
    if hour in ("*", "*/1"):
        return ""
    step = re.fullmatch(r"(?:\*|0|0-23)/(\d+)", hour)
    if step and 24 % int(step[1]) == 0:
        return _every(int(step[1]), "hour")
    span = re.fullmatch(r"(\d+)-(\d+)(?:/(\d+))?", hour)
    if span:
        every = _every(int(span[3] or 1), "hour")
        return f"{every} from {_clock(int(span[1]), 0)} to {_clock(int(span[2]), 0)}"
    return f"In the hours {_numbers(hour, 1)}"


def _during(hours: str) -> str:
    if not hours:
        return ""
    return f", {hours[0].lower()}{hours[1:]}"


def _days(day: str, weekday: str) -> str:
    """Which days: "" for all. With both fields given, cron means either."""
    found = []
    if day not in ("*", "*/1"):
        step = re.fullmatch(r"\*/(\d+)", day)
        found.append(_every(int(step[1]), "day").lower() if step else f"on the {_ordinals(day)} of the month")
    if weekday not in ("*", "*/1"):
        found.append(_weekdays(weekday))
    return " or ".join(found)


def _weekdays(text: str) -> str:
    if re.fullmatch(r"\w+", text):
        return f"every {_listed(text, _DAYS, 4)}"
    if text.lower() in ("1-5", "mon-fri"):
        return "Monday to Friday"
    return f"on {_listed(text, _DAYS, 4)}"


def _months(text: str) -> str:
    step = re.fullmatch(r"(?:\*|1)/(\d+)", text)
    if step and 12 % int(step[1]) == 0:
        return f" {_every(int(step[1]), 'month').lower()}"
    return f" in {_listed(text, _MONTHS, 3)}"


def _listed(text: str, names: Sequence[str], field: int) -> str:
    """Names of a list with spans: Monday to Wednesday and Friday. ``field``: which of the five it is."""
    low = 1 if names is _MONTHS else 0
    shown = []
    for item in text.split(","):
        values = sorted(values_of(item, field))
        span = "-" in item and "/" not in item
        chosen = [values[0], values[-1]] if span else values
        named = list(dict.fromkeys(names[value - low] for value in chosen))
        shown += [" to ".join(named)] if span else named
    return _and(list(dict.fromkeys(shown)))


def _ordinals(text: str) -> str:
    return _and([re.sub(r"\d+", lambda found: _ordinal(int(found[0])), item) for item in _spans(text, 2)])


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _numbers(text: str, field: int) -> str:
    return _and(_spans(text, field))


def _spans(text: str, field: int) -> list[str]:
    """Items of a list: 5, 1 to 5, and what steps come to."""
    shown = []
    for item in text.split(","):
        values = [str(value) for value in sorted(values_of(item, field))]
        shown += [f"{values[0]} to {values[-1]}"] if "-" in item and "/" not in item else values
    return list(dict.fromkeys(shown))


def _clock(hour: int, minute: int) -> str:
    half = "AM" if hour < 12 else "PM"
    shown = hour % 12 or 12
    return f"{shown}:{minute:02} {half}" if minute else f"{shown} {half}"


def _every(number: int, unit: str) -> str:
    return f"Every {unit}" if number == 1 else f"Every {number} {unit}s"


def _and(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
