"""Windows over a cursor column: what is new since a position, each row once, whatever its neighbours do.

A position is plain JSON: ``value`` (the highest cursor delivered, as text) with its ``type``, ``from`` (where the next
read starts, that is the edge minus ``lag``) and ``seen`` (hashes of the rows at or after ``from`` that were delivered,
by cursor value). The next read starts at ``from`` and drops what it has seen: ties that come later at the edge and
late rows within ``lag`` are neither lost nor doubled. A position with nothing but a ``value``, set by hand, means
that everything up to and including it is done. Positions never go back.

Rows count as equal if cursor and ``key`` are; without a key the whole row is compared, and counted.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Window
from headgate.core.errors import RESET, Code, FatalError, nearest
from headgate.core.models import Incremental
from headgate.io.cursor_seen import Seen, take, total, unpack
from headgate.io.cursor_values import Kind, Value, coerce, decode, encode, row_hash

if TYPE_CHECKING:
    import pyarrow as pa

    from headgate.io.cursor_delivery import Delivery

Render = Callable[[Value], str]
_log = logging.getLogger("headgate.cursor")


@dataclass(frozen=True)
class Bound:
    """Where a read starts."""

    value: Value
    inclusive: bool = True

    def moved(self, value: Value) -> Bound:
        """The later of this bound and ``value``, inclusive."""
        return Bound(value) if value > self.value else self  # type: ignore[operator]  # one kind


@dataclass(frozen=True)
class Found:
    """What a source says in the probe, about rows that pass its filter.

    Args:
        maximum: the highest cursor; None if there is none.
        count: rows that meet :meth:`Cursor.start_condition`.
        nulls: rows whose cursor is NULL.
        ahead: rows whose cursor lies in the future of the source's clock. The others are counted without them: they
            wait until their time, or everything that comes before it would be behind the watermark.
    """

    maximum: Value | None
    count: int
    nulls: int = 0
    ahead: int = 0


@dataclass(frozen=True)
class Cursor:
    """A cursor column as one run sees it: pure, no I/O, and without pyarrow until :meth:`deliver`.

    Args:
        options: the source's ``incremental:``.
        kind: what the column holds. Text is compared by code point: ask for ``COLLATE "C"`` or the like.
        since: the position of the run before.
        limit: ``max_records``; the source then gives rows ordered by cursor and key, see :meth:`rows_to_ask`.
    """

    options: Incremental
    kind: Kind
    since: Mapping[str, Any] | None = None
    limit: int | None = None

    @cached_property
    def lag(self) -> timedelta:
        if self.options.lag and self.kind not in ("date", "timestamp", "timestamptz"):
            raise FatalError(
                Code.PLAN_INVALID,
                f"lag is a duration, and {self.options.column} holds no time ({self.kind})",
                operation="probe",
                object=self.options.column,
                hint="leave lag out, or use a date or timestamp as the cursor",
            )
        return self.options.lag

    @cached_property
    def value(self) -> Value | None:
        """The highest cursor delivered before."""
        text = (self.since or {}).get("value")
        return None if text is None else decode(text, self.kind, self.options.column)

    @cached_property
    def bound(self) -> Bound | None:
        """Where this run starts to read; None: at the very beginning."""
        since = self.since or {}
        if since.get("from") is not None:
            return Bound(decode(since["from"], self.kind, self.options.column), not since.get("exclusive", False))
        if self.value is not None:
            return Bound(self.value, inclusive=False)
        if self.options.start is not None:
            return Bound(coerce(self.options.start, self.kind, self.options.column, Code.CONFIG_INVALID))
        return None

    @cached_property
    def seen(self) -> Seen:
        since = self.since or {}
        seen: Seen = {text: unpack(hashes) for text, hashes in since.get("seen", {}).items()}
        if since.get("nulls"):
            seen[None] = unpack(since["nulls"])
        return seen

    # --------------------------------------------------------------------------------------------- conditions

    def start_condition(self, column: str, render: Render) -> str:
        """SQL for the rows that :class:`Found` counts; ``column`` is quoted, ``render`` makes a typed literal."""
        if self.bound is None:
            return f"{column} IS NOT NULL"
        return f"{column} {'>=' if self.bound.inclusive else '>'} {render(self.bound.value)}"

    def condition(self, column: str, render: Render, window: Window, render_high: Render | None = None) -> str:
        """SQL for the rows of a window, to be put in parentheses by whoever adds others.

        ``render_high`` is for sources that write one moment in several ways: it gives the last of them.
        """
        high = self.high(window)
        parts = [] if self.bound is None else [self.start_condition(column, render)]
        text = " AND ".join([*parts, f"{column} <= {(render_high or render)(high)}"]) if high is not None else ""
        if self.options.nulls == "ignore":
            return text or f"{column} IS NOT NULL"
        return f"(({text}) OR {column} IS NULL)" if text else f"{column} IS NULL"

    def rows_to_ask(self) -> int | None:
        """How many rows a limited read needs, since those seen come again: a LIMIT after ORDER BY cursor, key."""
        return None if self.limit is None else self.limit + total(self.seen)

    def high(self, window: Window) -> Value | None:
        text = window.high.get("value")
        return None if text is None else decode(text, self.kind, self.options.column)

    # --------------------------------------------------------------------------------------------- the probe

    def window(self, found: Found, rows: Callable[[], Iterable[Sequence[Any]]] | None = None) -> Window | None:
        """The window of a run, or None when nothing is new; an idle one when something is to be told all the same.

        Args:
            found: what the source says.
            rows: (cursor, key columns…) of the rows counted and of those without a cursor, with the values that a
                scan would deliver, asked only to tell whether a table that did not grow has changed. Without it and
                without a ``key`` in the options, deletions may make a change wait until the cursor moves on.

        Raises:
            FatalError: EXTRACTION_FAILED for NULL cursors, unless the policy lets them pass.
        """
        if self.options.nulls == "fail" and found.nulls:
            raise self.null_cursor(found.nulls)
        if found.ahead:
            _log.warning("%s: %s", self.options.column, waiting(found.ahead))
        nulls = found.nulls if self.options.nulls == "include" else 0
        warnings = tuple(f"{self.options.column}: {text}" for text in self._alerts(found))
        if not self._anything_new(found, nulls, rows):
            return Window(None, self.since, self.since or {}, warnings=warnings, idle=True) if warnings else None
        high = None if found.maximum is None else encode(found.maximum, self.kind, self.options.column)
        return Window(
            identity={
                "cursor": self.options.column,
                "low": (self.since or {}).get("value"),
                "high": high,
                "rows": found.count,
                "nulls": nulls,
                "since": _digest(self.since),
            },
            since=self.since,
            high={"value": high, "type": self.kind},
            note=self._note(found),
            limit=self.limit,
            warnings=warnings,
        )

    def _anything_new(self, found: Found, nulls: int, rows: Callable[[], Iterable[Sequence[Any]]] | None) -> bool:
        seen_nulls = total({None: self.seen.get(None, Counter())})
        if found.count + nulls == 0:
            self._warn_if_backwards(found)
            return False
        if self.since is None or found.count > total(self.seen) - seen_nulls or nulls > seen_nulls:
            return True
        if found.count and encode(found.maximum, self.kind, self.options.column) not in self.seen:
            return True
        self._warn_if_backwards(found)
        if rows is None:
            return found.count + nulls != total(self.seen)
        left = {text: Counter(hashes) for text, hashes in self.seen.items()}
        relevant = (row for row in rows() if row[0] is not None or nulls)
        return any(not take(left, self.text(row[0]), row_hash(row[1:])) for row in relevant)

    def _warn_if_backwards(self, found: Found) -> None:
        if self._backwards(found):
            _log.warning("%s: the cursor went back from %s to %s", self.options.column, self.value, found.maximum)

    def _backwards(self, found: Found) -> bool:
        return self.value is not None and found.maximum is not None and found.maximum < self.value  # type: ignore[operator]

    def _note(self, found: Found) -> str:
        start = "the beginning" if self.bound is None else str(self.bound.value)
        parts = [f"rows by {self.options.column} from {start} to {found.maximum}, both ends included"]
        if self.seen:
            parts.append(f"{total(self.seen)} rows delivered before are dropped by hash")
        if self.lag:
            parts.append(f"rows that come more than {self.lag} late are not found")
        if self.options.nulls == "ignore" and found.nulls:
            parts.append(f"{found.nulls} rows without a cursor are ignored")
        return "; ".join([*parts, *(f"warning: {text}" for text in self._alerts(found))])

    def _alerts(self, found: Found) -> list[str]:
        """What somebody should look at, though the run is right without."""
        alerts = [f"the cursor went back from {self.value}; the watermark stays"] if self._backwards(found) else []
        return [*alerts, *([waiting(found.ahead)] if found.ahead else [])]

    def null_cursor(self, rows: int) -> FatalError:
        return FatalError(
            Code.EXTRACTION_FAILED,
            f"{self.options.column} is NULL in {rows} row{'' if rows == 1 else 's'}, which the cursor would not find",
            operation="scan",
            object=self.options.column,
            hint="mend the rows, or say incremental: {nulls: include} or {nulls: ignore}",
        )

    def key_of(self, names: Sequence[str]) -> tuple[str, ...]:
        """What tells rows apart: the key, else the columns that were there when the position was begun.

        Raises:
            FatalError: PLAN_INVALID if one of them is not among ``names``, those delivered.
        """
        wanted = tuple(self.options.key or (self.since or {}).get("columns") or names)
        need_delivered((self.options.column, *wanted), names)
        return wanted

    def text(self, value: Value | None) -> str | None:
        return None if value is None else encode(value, self.kind, self.options.column)

    # --------------------------------------------------------------------------------------------- the scan

    def deliver(self, batches: pa.RecordBatchReader, window: Window) -> Delivery:
        """The new rows of a scan; ``batches`` may hold rows outside of the window, which are dropped."""
        from headgate.io.cursor_delivery import Delivery

        return Delivery(self, batches, window)


def need_delivered(wanted: Iterable[str], delivered: Sequence[str]) -> None:
    """Raise FatalError PLAN_INVALID if a column that tells rows apart is not delivered."""
    for name in wanted:
        if name not in delivered:
            raise FatalError(
                Code.PLAN_INVALID,
                f'the column "{name}" is needed to tell rows apart, and the source does not deliver it',
                operation="scan",
                object=name,
                hint=f"{nearest(name, delivered)} – add it to columns, or begin anew with: {RESET}",
            )


def waiting(ahead: int) -> str:
    rows = "1 row lies" if ahead == 1 else f"{ahead} rows lie"
    return f"{rows} in the future of the source's clock and will be read when their time has come"


def _digest(position: Mapping[str, Any] | None) -> str | None:
    if position is None:
        return None
    return hashlib.sha256(json.dumps(position, sort_keys=True).encode()).hexdigest()[:16]
