"""Formats of dates and times: ``%d.%m.%Y`` and the spelling ``DD.MM.YYYY`` mean the same."""

from __future__ import annotations

import re

_WORDS = {
    "YYYY": "%Y", "YY": "%y", "MONTH": "%B", "MMMM": "%B", "MON": "%b", "MMM": "%b", "MM": "%m", "DDDD": "%A",
    "DDD": "%a", "DY": "%a", "DAY": "%A", "DD": "%d", "HH24": "%H", "HH12": "%I", "HH": "%H", "MI": "%M", "SS": "%S",
    "FF6": "%f", "FF3": "%g", "SSSSSS": "%f", "SSS": "%g", "AM": "%p", "PM": "%p", "A": "%p", "TZH": "%z", "TZ": "%z",
    "Z": "%z",
}  # fmt: skip
_EXACT = {"mm": "%M", "ss": "%S", "hh": "%I", "yyyy": "%Y", "dd": "%d"}
_TOKEN = re.compile("|".join(sorted({*_WORDS, *_EXACT}, key=len, reverse=True)) + r"|T|'[^']*'|[A-Za-z]+|.", re.DOTALL)
_DIRECTIVE = re.compile(r"%(-?[aAbBcdDfgHIjmMnpSuUVwWxXyYzZGin%])")


def strptime_format(text: str) -> str:
    """The format in strptime's directives, as DuckDB reads them.

    With a ``%`` in it a text is taken to be one already. Else YYYY, MM, DD, HH24, MI, SS and their kin are
    words; ``MM`` after hours and ``mm`` are minutes, letters in single quotes and ``T`` stand for themselves.

    Raises:
        ValueError: for a word that means nothing, or a format without any.
    """
    if "%" in text:
        rest = _DIRECTIVE.sub("", text)
        if "%" in rest:
            raise ValueError(f'"{text}" has a % that means nothing; write %% for a per cent sign')
        if set(_DIRECTIVE.findall(text)) <= {"%"}:
            raise ValueError(f'"{text}" has no part of a date or time')
        return text
    parts, found, after_hour = [], False, False
    for match in _TOKEN.finditer(text):
        word = match[0]
        known = _EXACT.get(word) or _WORDS.get(word) or _WORDS.get(word.upper())
        if known is None:
            if word.isalpha() and word != "T":
                raise ValueError(f'"{word}" in "{text}" means nothing; write YYYY, MM, DD, HH24, MI, SS or %Y, %m, …')
            parts.append(word.strip("'") if word.startswith("'") else word)
            continue
        if word == "MM" and after_hour:
            known = "%M"
        after_hour = known in ("%H", "%I")
        parts.append(known)
        found = True
    if not found:
        raise ValueError(f'"{text}" has no part of a date or time')
    return "".join(parts)
