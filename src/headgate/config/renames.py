"""Moves within sections that keep lines: the tools that other spellings are read with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headgate.config.report import Path, Report
from headgate.config.yaml import Items, Section, Value


def rename(section: Section, names: Mapping[str, str], report: Report, path: Path) -> None:
    """Give keys their canonical names; two names for one thing are noted."""
    for old, new in names.items():
        if old not in section or old == new:
            continue
        if new in section:
            report.note(f'"{old}" and "{new}" say the same', (*path, old), f"keep {new}")
            section.take(old)
        else:
            section.move(old, new)


def flatten(section: Section, key: str, report: Report, path: Path) -> None:
    """Lift the options that stand under ``key`` into the section itself."""
    if key not in section:
        return
    line = section.line_of(key)
    match section.take(key):
        case None:
            return
        case Section() as inner:
            lift(section, inner, report, (*path, key))
        case Items() as several if all(isinstance(one, Section) for one in several):
            for one in several:
                lift(section, one, report, (*path, key))
        case other:
            section.put(key, other, line)
            report.note("expected: a mapping of options", (*path, key), "")


def lift(section: Section, inner: Section, report: Report, path: Path) -> None:
    """Move every option of ``inner`` into ``section``."""
    for name, value in inner.items():
        if name in section:
            report.note(f'"{name}" stands twice, here and above', path, "keep one", line=inner.line_of(name))
        else:
            section.put(name, value, inner.line_of(name))


def put_once(section: Section, key: str, value: Value, report: Report, path: Path, *, line: int) -> None:
    """Set a key that several spellings may stand for; a second one is noted, and the first stays."""
    if key in section:
        report.note(f'"{key}" stands twice, here and above', path, "keep one", line=line)
    else:
        section.put(key, value, line)


def replace(section: Section, key: str, values: Mapping[str, str]) -> None:
    """Give the text under ``key`` its canonical word."""
    value = section.get(key)
    if isinstance(value, str) and value.lower() in values:
        section.put(key, values[value.lower()], section.line_of(key))


def section_of(pairs: Iterable[tuple[str, Value]], file: str, line: int) -> Section:
    """A new section, all of it on one line."""
    section = Section(file, line)
    for key, value in pairs:
        section.put(key, value, line)
    return section


def items_of(values: Iterable[Value], line: int) -> Items:
    """A new list, all of it on one line."""
    items = Items(line)
    for value in values:
        items.add(value, line)
    return items


def as_items(value: Value, line: int) -> Items:
    """The value itself if it is a list, else a list of it."""
    return value if isinstance(value, Items) else items_of([value], line)
