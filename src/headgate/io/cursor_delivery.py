"""What a scan over a cursor window delivers: each row once, and the position after the last one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Window
from headgate.core.errors import Code, FatalError
from headgate.io.cursor import Bound, waiting
from headgate.io.cursor_seen import Seen, pack, take, total
from headgate.io.cursor_values import Value, decode, earlier

if TYPE_CHECKING:
    import pyarrow as pa

    from headgate.io.cursor import Cursor

MOST_SEEN = 200_000


@dataclass
class Delivery:
    """Filters the batches of a scan, and knows the position after the last one.

    Independent of the size of batches. ``reader`` streams; ``position()`` is complete when it has ended.
    """

    cursor: Cursor
    batches: pa.RecordBatchReader
    window: Window
    scanned: int = 0
    delivered: int = 0
    ahead: int = 0
    _left: Seen = field(default_factory=dict)
    _kept: Seen = field(default_factory=dict)
    _cut: bool = False

    def __post_init__(self) -> None:
        self._left = {text: Counter(hashes) for text, hashes in self.cursor.seen.items()}
        self._highest: Value | None = self.cursor.value
        self._high = self.cursor.high(self.window)
        come = self.window.high.get("come")
        self.come = None if come is None else decode(come, self.cursor.kind, self.cursor.options.column)
        self.key = self.cursor.key_of(self.batches.schema.names)

    @cached_property
    def reader(self) -> pa.RecordBatchReader:
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(self.batches.schema, self._new_rows())

    def position(self) -> dict[str, Any]:
        """What the next run gets as ``since``."""
        cursor, seen, bound = self.cursor, self._kept, self.next_bound()
        if self._cut:
            seen = {text: Counter(hashes) for text, hashes in cursor.seen.items()}
            for text, hashes in self._kept.items():
                seen[text] = seen.get(text, Counter()) | hashes
        else:
            seen = {**self._beyond(), **seen}
        seen = self._from(seen, bound)
        document: dict[str, Any] = {
            "value": cursor.text(self._highest),
            "type": cursor.kind,
            "from": None if bound is None else cursor.text(bound.value),
            "seen": {text: pack(seen[text]) for text in sorted(text for text in seen if text is not None)},
        }
        if bound is not None and not bound.inclusive:
            document["exclusive"] = True
        if seen.get(None):
            document["nulls"] = pack(seen[None])
        if not cursor.options.key:
            document["columns"] = list(self.key)
        self._check_size(seen)
        return document

    def _beyond(self) -> Seen:
        """Rows that were delivered before and lie after the window's end: nobody looked, and they will be met again.

        A window ends before where the last one did if a clock was set back, or by transactions in flight.
        """
        kind, column = self.cursor.kind, self.cursor.options.column
        end = self.come if self.window.high.get("open") else self._high
        if end is None and self.window.high.get("open"):
            return {}
        return {
            text: hashes
            for text, hashes in self.cursor.seen.items()
            if text is not None and (end is None or decode(text, kind, column) > end)  # type: ignore[operator]  # one kind
        }

    def warnings(self) -> list[str]:
        """What somebody should look at, of a window without an end; elsewhere the probe says it."""
        return [f"{self.cursor.options.column}: {waiting(self.ahead)}"] if self.ahead else []

    def _edge(self) -> Value | None:
        """From where on rows may come again: the window's end, or the last row of a limited read."""
        known = [edge for edge in (self.cursor.value, self._highest) if edge is not None]
        if self.cursor.limit is None and self._high is not None:
            known.append(self._high)
        return max(known, default=None)

    def next_bound(self) -> Bound | None:
        edge, bound = self._edge(), self.cursor.bound
        if edge is None:
            return bound
        start = earlier(edge, self.cursor.lag)
        return Bound(start) if bound is None else bound.moved(start)

    def _new_rows(self) -> Iterator[pa.RecordBatch]:
        from headgate.io import cursor_batches

        for batch in self.batches:
            rest = None if self.cursor.limit is None else self.cursor.limit - self.delivered
            if rest == 0 and self._cut:
                return
            fresh = cursor_batches.filter_batch(self, batch, rest)
            if fresh.num_rows:
                self.delivered += fresh.num_rows
                yield fresh

    # What cursor_batches tells of the rows it meets.

    def is_new(self, text: str | None, hash_: str) -> bool:
        return not take(self._left, text, hash_)

    def keep(self, marks: Iterable[tuple[str | None, str]]) -> None:
        for text, hash_ in marks:
            self._kept.setdefault(text, Counter())[hash_] += 1
        self._check_size(self._kept)

    def reached(self, highest: Value) -> None:
        """The highest cursor of a batch; forgets the hashes that can no longer matter."""
        if self._highest is None or highest > self._highest:  # type: ignore[operator]  # one kind
            self._highest = highest
        if self.cursor.limit is not None:
            self._kept = self._from(self._kept, self.next_bound())

    def cut(self) -> None:
        """A limited read left rows behind."""
        self._cut = True

    def _from(self, seen: Seen, bound: Bound | None) -> Seen:
        if bound is None:
            return seen
        kind, column = self.cursor.kind, self.cursor.options.column
        return {
            text: hashes
            for text, hashes in seen.items()
            if text is None or decode(text, kind, column) >= bound.value  # type: ignore[operator]  # one kind
        }

    def _check_size(self, seen: Seen) -> None:
        if total(seen) > MOST_SEEN:
            raise FatalError(
                Code.UNSUPPORTED,
                f"more than {MOST_SEEN:,} rows lie within lag ({self.cursor.lag}) of the end of"
                f" {self.cursor.options.column}, too many to remember one by one",
                operation="scan",
                object=self.cursor.options.column,
                hint="use a shorter lag, a cursor of finer resolution, or max_records",
            )
