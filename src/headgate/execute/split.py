"""Batches are split on their verdict while they are written: no second scan, and every row is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from headgate.core.values import row_values
from headgate.plan.flags import BITS, GROUP, REASONS, HoldFlag, NoteFlag, Verdict

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE = 5
"""Rows shown of each rule that some break."""
_WIDE = 8


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
    erred: int = 0
    """Rows that were not held, and in which some value did not fit: each row once."""
    nulls: Counter[str] = field(default_factory=Counter)
    """NULLs among the good rows of which rules ask something, by column."""
    exempt: int = 0
    """Good rows of which they ask nothing: those that only name a key to be deleted."""
    noting: int = 0
    """Good rows that broke a rule about single rows, each once."""
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Keys of the first rows that broke a rule, by the rule."""
    measured: bool = True
    """Whether the rows came by, so that NULLs and failing rows were counted."""

    @property
    def judged(self) -> int:
        """Good rows that rules about all rows look at."""
        return self.good - self.exempt


@dataclass(frozen=True)
class Held:
    """Rows with the same first flag; the last column of ``rows`` lists all their reasons."""

    flag: HoldFlag
    rows: pa.RecordBatch


@dataclass(frozen=True)
class Noted:
    """Rows that broke a rule that fails the run, as evidence; or rows that went on with a NULL, as they were."""

    flag: NoteFlag
    rows: pa.RecordBatch


class Splitter:
    """Splits the batches of one pass. ``columns`` are those of its good rows, which also have the ``carried`` ones."""

    def __init__(
        self,
        verdict: Verdict,
        columns: Sequence[str],
        schema: pa.Schema,
        carried: Sequence[str] = (),
        shown: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.verdict, self.columns = verdict, list(columns)
        self._given = [*columns, *carried]
        self._shown = shown or {}
        """What is shown of a row that breaks a rule, by the rule."""
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
            return self._good(batch), [], []
        if self._grouped:
            tally.grouped += pc.sum(batch.column(GROUP)).as_py() or 0
        noted = list(self._note(batch)) if self._notes else []
        noting = self._noted_rows(batch)
        good = batch.select(self._given)
        held: list[Held] = []
        if any(_is_set(batch.column(name)) for name in self._masks):
            keep = pc.equal(batch.column(self._masks[0]), pa.scalar(0))
            for name in self._masks[1:]:
                keep = pc.and_(keep, pc.equal(batch.column(name), pa.scalar(0)))
            good = good.filter(keep)
            noting = noting if noting is None else pc.and_(noting, keep)
            held = list(self._judge(batch.filter(pc.invert(keep))))
        tally.noting += noting.true_count if noting is not None else 0
        return self._good(good), held, noted

    def _good(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        self.tally.good += rows.num_rows
        judged = judged_rows(rows, self.verdict.exempt)
        self.tally.exempt += rows.num_rows - judged.num_rows
        for name, column in zip(judged.schema.names, judged.columns, strict=True):
            if column.null_count:
                self.tally.nulls[name] += column.null_count
        return rows

    def _noted_rows(self, batch: pa.RecordBatch) -> Any:
        """Which rows broke a rule that holds no rows; None: none did."""
        import pyarrow as pa
        import pyarrow.compute as pc

        found = None
        for word, name in enumerate(self._notes):
            mask = sum(1 << n.bit % BITS for n in self.verdict.notes if n.bit // BITS == word and n.of_rule)
            if mask and _is_set(batch.column(name)):
                hit = pc.not_equal(pc.bit_wise_and(batch.column(name), pa.scalar(mask)), pa.scalar(0))
                found = hit if found is None else pc.or_(found, hit)
        return found

    def _sample(self, name: str, rows: pa.RecordBatch) -> None:
        kept = self.tally.samples.setdefault(name, [])
        if len(kept) < SAMPLE:
            wanted = [column for column in self._shown.get(name, ()) if column in rows.schema.names]
            some = rows.slice(0, SAMPLE - len(kept)).select(wanted or rows.schema.names[:_WIDE])
            kept += row_values(some)

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
        for mask, rows in _alike(bad, [*self._masks, *self._notes]):
            flags = [flag for flag in self.verdict.holds if mask[flag.bit // BITS] >> flag.bit % BITS & 1]
            notes = mask[len(self._masks) :]
            noted = [note for note in self.verdict.notes if notes[note.bit // BITS] >> note.bit % BITS & 1]
            also = [note for note in noted if note.action != "count"]
            for flag in flags:
                self.tally.broken[flag.bit] += rows.num_rows
            self.tally.held[flags[0].bit] += rows.num_rows
            broken: list[HoldFlag | NoteFlag] = [*flags, *also]
            reasons = [_reason(flag) for flag in broken]
            ruled = [flag for flag in flags if flag.kind == "rule"]
            held = self._as_held(rows, flags[0], reasons)
            for flag in ruled:
                self._sample(flag.name, held)
            yield Held(flags[0], held)

    def _as_held(self, rows: pa.RecordBatch, flag: HoldFlag, reasons: list[str]) -> pa.RecordBatch:
        """The rows as they were at the step that held them back."""
        return with_reasons(_as_it_was(rows, flag.held) if flag.held else rows.select(self.columns), reasons)

    def _note(self, batch: pa.RecordBatch) -> Iterator[Noted]:
        import pyarrow as pa
        import pyarrow.compute as pc

        self._count_erred(batch)
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
                kept = flag.action in ("fail", "log")
                shown = flag.of_rule and len(self.tally.samples.get(flag.name, ())) < SAMPLE
                if flag.bit // BITS != word or not (kept or shown):
                    continue
                hit = pc.not_equal(pc.bit_wise_and(column, pa.scalar(1 << flag.bit % BITS)), pa.scalar(0))
                rows = batch.filter(hit)
                rows = _as_it_was(rows, flag.held) if flag.held else rows.select(self.columns)
                if rows.num_rows and shown:
                    self._sample(flag.name, rows)
                if rows.num_rows and kept:
                    yield Noted(flag, with_reasons(rows, [_reason(flag)]))

    def _count_erred(self, batch: pa.RecordBatch) -> None:
        """Rows that go on, or were dropped, with a value that did not fit."""
        import pyarrow as pa
        import pyarrow.compute as pc

        words: dict[int, int] = {}
        for flag in self.verdict.notes:
            if flag.erred:
                words[flag.bit // BITS] = words.get(flag.bit // BITS, 0) | 1 << flag.bit % BITS
        erred: Any = None
        for word, bits in words.items():
            column = batch.column(self._notes[word])
            hit = pc.not_equal(pc.bit_wise_and(column, pa.scalar(bits)), pa.scalar(0))
            erred = hit if erred is None else pc.or_(erred, hit)
        for name in self._masks if erred is not None else ():
            erred = pc.and_(erred, pc.less_equal(batch.column(name), pa.scalar(0)))
        self.tally.erred += erred.true_count if erred is not None else 0


def judged_rows(rows: pa.RecordBatch, exempt: str) -> pa.RecordBatch:
    """Those of which rules ask something; ``exempt``: the column that says of which they do not, if there is one."""
    import pyarrow.compute as pc

    return rows.filter(pc.invert(rows.column(exempt))) if exempt and _is_set(rows.column(exempt)) else rows


def _reason(flag: HoldFlag | NoteFlag) -> str:
    return f"{flag.name}: expected {flag.message}"


def with_reasons(rows: pa.RecordBatch, reasons: list[str]) -> pa.RecordBatch:
    """The rows with a last column that lists why they were held."""
    import pyarrow as pa

    listed: Any = pa.repeat(pa.scalar(reasons, pa.list_(pa.string())), rows.num_rows)
    return rows.append_column(REASONS, listed)


def _as_it_was(rows: pa.RecordBatch, held: str) -> pa.RecordBatch:
    """Rows as they were before the step that keeps them in the column ``held``."""
    import pyarrow as pa

    column = rows.column(held)
    if not pa.types.is_map(column.type):
        return pa.RecordBatch.from_struct_array(cast("pa.StructArray", cast("pa.ListArray[Any]", column).flatten()))
    entries = column.type
    pair = pa.struct([("key", entries.key_type), ("value", entries.item_type)])
    was = cast("pa.ListArray[Any]", column.cast(pa.list_(pair))).flatten()
    keys, values = cast("pa.StructArray", was).flatten()
    names = [str(name) for name in keys.slice(0, len(keys) // max(rows.num_rows, 1)).to_pylist()]
    return pa.RecordBatch.from_arrays([values[start :: len(names)] for start in range(len(names))], names)


def _alike(rows: pa.RecordBatch, words: Sequence[str]) -> Iterator[tuple[tuple[int, ...], pa.RecordBatch]]:
    """The rows by the values of their words, without a Python object a row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not words:
        yield (), rows
        return
    column: Any = rows.column(words[0])
    # Table.group_by would import all that reads datasets, which takes a twentieth of a second
    values: list[Any] = pc.unique(column).to_pylist()
    for value in values:
        same = rows if len(values) == 1 else rows.filter(pc.equal(column, pa.scalar(value)))
        for others, alike in _alike(same, words[1:]):
            yield (value, *others), alike


def _is_set(column: pa.Array[Any]) -> bool:
    import pyarrow.compute as pc

    bounds = pc.min_max(column)
    return bool(bounds["min"].as_py() or bounds["max"].as_py())
