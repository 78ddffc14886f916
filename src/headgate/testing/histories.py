"""What mode scd2 means, in plain Python: an oracle that shares nothing with the stores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

OPEN = 9_999_999


@dataclass(frozen=True)
class Version:
    """One row of a history; times are plain numbers, ``values`` the tracked columns."""

    key: Any
    since: int
    until: int
    number: int
    values: tuple[Any, ...]
    other: Any = None

    @property
    def current(self) -> bool:
        return self.until == OPEN


@dataclass(frozen=True)
class Change:
    """One row to load. ``other`` is a column that is not tracked."""

    key: Any
    since: int
    values: tuple[Any, ...]
    other: Any = None
    deleted: bool = False


@dataclass(frozen=True)
class _Event:
    since: int
    values: tuple[Any, ...] | None
    other: Any
    staged: bool


def loaded(history: Iterable[Version], changes: Sequence[Change]) -> list[Version]:
    """The history after a load. Keys without changes keep theirs."""
    versions: dict[Any, list[Version]] = {}
    for version in history:
        versions.setdefault(version.key, []).append(version)
    for key in dict.fromkeys(change.key for change in changes):
        mine = sorted(versions.get(key, []), key=lambda version: version.since)
        versions[key] = _of_key(key, mine, [change for change in changes if change.key == key])
    return [version for key in versions for version in versions[key]]


def _of_key(key: Any, mine: list[Version], changes: list[Change]) -> list[Version]:
    events: dict[int, _Event] = {}
    for version in mine:
        events[version.since] = _Event(version.since, version.values, version.other, staged=False)
    for version in mine:
        if not version.current and version.until not in events:
            events[version.until] = _Event(version.until, None, None, staged=False)
    for change in changes:
        values = None if change.deleted else change.values
        there = events.get(change.since)
        if there is None or there.values is None or values is None or there.values != values:
            events[change.since] = _Event(change.since, values, change.other, staged=True)
    kept = _told_apart([events[since] for since in sorted(events)])
    base = min((version.number for version in mine), default=1) - 1
    made: list[Version] = []
    for place, event in enumerate(kept):
        if event.values is None:
            continue
        until = kept[place + 1].since if place + 1 < len(kept) else OPEN
        made.append(Version(key, event.since, until, base + len(made) + 1, event.values, event.other))
    return made


def _told_apart(events: list[_Event]) -> list[_Event]:
    """Events without those that say what the one before says; versions that were there so before stay."""
    kept: list[_Event] = []
    leader: _Event | None = None
    for event in events:
        if leader is None or event.values != leader.values:
            leader = event
            kept.append(event)
        elif not event.staged and not leader.staged:
            kept.append(event)
    return kept
