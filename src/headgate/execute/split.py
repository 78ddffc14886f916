"""Batches are split on their verdict while they are written: no second scan, and every row is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from headgate.plan.stages import BITS, GROUP, HoldFlag, NoteFlag, Verdict

if TYPE_CHECKING:
    import pyarrow as pa

REASONS = "_reasons"


@dataclass
class Tally:
    """What the rows of one pass were. ``grouped`` is the sum of the rows behind each group."""

    seen: int = 0
    good: int = 0
    grouped: int = 0
    dropped: Counter[int] = field(default_factory=Counter)
    held: Counter[int] = field(default_factory=Counter)
    """Rows by their first flag: each row once."""
    broken: Counter[int] = field(default_factory=Counter)
    """Rows by every hold flag they raised."""
    noted: Counter[int] = field(default_factory=Counter)
    """Rows by every note flag they raised."""


@dataclass(frozen=True)
class Held:
    """Rows with the same first flag; the last column of ``rows`` lists all their reasons."""

    flag: HoldFlag
    rows: pa.RecordBatch


@dataclass(frozen=True)
class Noted:
    """Rows that broke a rule that fails the run: evidence."""

    flag: NoteFlag
    rows: pa.RecordBatch


class Splitter:
    """Splits the batches of one pass. ``columns`` are those of its good rows, which also have the ``carried`` ones."""

    def __init__(
        self, verdict: Verdict, columns: Sequence[str], schema: pa.Schema, carried: Sequence[str] = ()
    ) -> None:
        self.verdict, self.columns = verdict, list(columns)
        self._given = [*columns, *carried]
        self.tally = Tally()
        self._masks, self._notes = verdict.mask_columns, verdict.note_columns
        self._grouped = GROUP in schema.names
        self._plain = not (self._masks or self._notes or self._grouped)

    def split(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, list[Held], list[Noted]]:
        """(good rows, held rows by first flag, evidence of failing rules); dropped rows are only counted."""
        import pyarrow as pa
        import pyarrow.compute as pc

        tally = self.tally
        tally.seen += batch.num_rows
        if self._plain:
            tally.good += batch.num_rows
            return batch, [], []
        if self._grouped:
            tally.grouped += pc.sum(batch.column(GROUP)).as_py() or 0
        noted = list(self._note(batch)) if self._notes else []
        good = batch.select(self._given)
        held: list[Held] = []
        if any(_is_set(batch.column(name)) for name in self._masks):
            keep = pc.equal(batch.column(self._masks[0]), pa.scalar(0))
            for name in self._masks[1:]:
                keep = pc.and_(keep, pc.equal(batch.column(name), pa.scalar(0)))
            good = good.filter(keep)
            held = list(self._judge(batch.filter(pc.invert(keep))))
        tally.good += good.num_rows
        return good, held, noted

    def _judge(self, bad: pa.RecordBatch) -> Iterator[Held]:
        import pyarrow as pa
        import pyarrow.compute as pc

        first = bad.column(self._masks[0])
        gone = pc.less(first, pa.scalar(0))
        for entry in pc.value_counts(first.filter(gone)):
            self.tally.dropped[-entry["values"].as_py()] += entry["counts"].as_py()
        bad = bad.filter(pc.invert(gone))
        if bad.num_rows == 0:
            return
        words = [bad.column(name).to_pylist() for name in (*self._masks, *self._notes)]
        by_mask: dict[tuple[int, ...], list[int]] = {}
        for index, mask in enumerate(zip(*words, strict=True)):
            by_mask.setdefault(mask, []).append(index)
        for mask, indices in by_mask.items():
            flags = [flag for flag in self.verdict.holds if mask[flag.bit // BITS] >> flag.bit % BITS & 1]
            notes = mask[len(self._masks) :]
            also = [note for note in self.verdict.notes if notes[note.bit // BITS] >> note.bit % BITS & 1]
            for flag in flags:
                self.tally.broken[flag.bit] += len(indices)
            self.tally.held[flags[0].bit] += len(indices)
            broken: list[HoldFlag | NoteFlag] = [*flags, *also]
            reasons = [f"{reason.name}: {reason.message}" for reason in broken]
            yield Held(flags[0], self._as_held(bad.take(_indices(indices)), flags[0], reasons))

    def _as_held(self, rows: pa.RecordBatch, flag: HoldFlag, reasons: list[str]) -> pa.RecordBatch:
        """The rows as they were at the step that held them back."""
        import pyarrow as pa

        if flag.held:
            was = cast("pa.ListArray[Any]", rows.column(flag.held)).flatten()
            rows = pa.RecordBatch.from_struct_array(cast("pa.StructArray", was))
        else:
            rows = rows.select(self.columns)
        return with_reasons(rows, [reasons] * rows.num_rows)

    def _note(self, batch: pa.RecordBatch) -> Iterator[Noted]:
        import pyarrow as pa
        import pyarrow.compute as pc

        for word, name in enumerate(self._notes):
            column = batch.column(name)
            if not _is_set(column):
                continue
            for entry in pc.value_counts(column):
                mask, count = entry["values"].as_py(), entry["counts"].as_py()
                for flag in self.verdict.notes:
                    if flag.bit // BITS == word and mask >> flag.bit % BITS & 1:
                        self.tally.noted[flag.bit] += count
            for flag in self.verdict.notes:
                if flag.bit // BITS == word and flag.action == "fail":
                    hit = pc.not_equal(pc.bit_wise_and(column, pa.scalar(1 << flag.bit % BITS)), pa.scalar(0))
                    rows = batch.filter(hit).select(self.columns)
                    if rows.num_rows:
                        yield Noted(flag, with_reasons(rows, [[f"{flag.name}: {flag.message}"]] * rows.num_rows))


def with_reasons(rows: pa.RecordBatch, reasons: list[list[str]]) -> pa.RecordBatch:
    """The rows with a last column that lists why each was held."""
    import pyarrow as pa

    return rows.append_column(REASONS, pa.array(reasons, pa.list_(pa.string())))


def _is_set(column: pa.Array[Any]) -> bool:
    import pyarrow.compute as pc

    bounds = pc.min_max(column)
    return bool(bounds["min"].as_py() or bounds["max"].as_py())


def _indices(indices: list[int]) -> pa.Array[Any]:
    import pyarrow as pa

    return pa.array(indices, pa.int64())
