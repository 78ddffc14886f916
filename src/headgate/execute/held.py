"""Rows that were held back, on their way into the commit or, when the run is refused, into the evidence."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import FileScan, Store
from headgate.core.engines import Rejected
from headgate.core.errors import Code, FatalError
from headgate.core.ledger import QuarantineEntry
from headgate.core.values import row_values
from headgate.execute.split import Held, Noted
from headgate.io.durations import restored, stored
from headgate.io.parquet import ParquetFile
from headgate.plan.flags import REASONS

if TYPE_CHECKING:
    import pyarrow as pa

EVIDENCE_ROWS = 1_000
"""Rows kept of each rule that refused the run."""
REJECTED = "unreadable"
SURPLUS = "_surplus"
"""The cells of a line beyond the columns of its file."""
_BATCH = 10_000


@dataclass
class _File:
    entry: QuarantineEntry
    file: ParquetFile
    place: tuple[int, int]
    first: dict[str, Any] | None = None


_Key = tuple[str, str, str, str]
"""The pass, the reason, the status, and where in the pass: steps may have reasons of one name, and other columns."""


@dataclass
class HeldRows:
    """One Parquet file for each pass, place in it and first reason. ``take`` and ``take_rejected`` add rows.

    ``steps``: how many the pipeline has, so that a replay knows whether some came or went.
    """

    run_id: str
    pipeline: str
    folder: Path
    steps: int = 0
    _files: dict[_Key, _File] = field(default_factory=dict)
    _relations: list[str] = field(default_factory=list)

    def take(self, relation: str, held: Held, *, replayable: bool) -> None:
        """Keep rows of one pass with one first reason."""
        flag = held.flag
        place = "rules" if flag.kind == "rule" else "step"
        key = (relation, flag.name, "held", flag.held)
        at = f"{place}:{flag.step}"
        if flag.applied >= 0:
            at += f", {flag.applied} of {self.steps} steps"
        self._add(key, flag.bit, held.rows, at, flag.applied, replayable=replayable)

    def note(self, relation: str, noted: Noted) -> None:
        """Keep some rows of a rule that fails the run, and all that went on with a NULL, as they were."""
        flag = noted.flag
        if flag.action == "log":
            key = (relation, flag.name, "logged", flag.held)
            self._add(key, flag.bit, noted.rows, f"step:{flag.step}", 0, replayable=False, status="logged")
            return
        key = (relation, flag.name, "evidence", "")
        room = EVIDENCE_ROWS - (self._files[key].entry.rows if key in self._files else 0)
        if room > 0:
            some = noted.rows.slice(0, room)
            self._add(key, flag.bit, some, f"rules:{relation}", 0, replayable=False, status="evidence")

    def take_rejected(self, lines: Iterable[Rejected], scan: FileScan, columns: list[str], *, replayable: bool) -> int:
        """Keep lines of files that could not be read into their columns; how many.

        Kept apart are lines with cells beyond the columns, in ``SURPLUS``, since a replay would lose them; and lines
        whose cells are unknown, since a replay would make up values.
        """
        import pyarrow as pa

        text = pa.string()
        where: list[tuple[str, pa.DataType]] = [("_file", text), ("_line", pa.int64()), ("_raw", text)]
        schema = pa.schema([*((name, text) for name in columns), *where, (REASONS, pa.list_(text))])
        wider = pa.schema([*schema, (SURPLUS, pa.list_(text))])
        total = 0
        source = iter(lines)
        while chunk := list(islice(source, _BATCH)):
            _refuse_taken(columns, [*(name for name, _ in where), REASONS, SURPLUS])
            kinds: dict[str, list[dict[str, Any]]] = {"held": [], "torn": [], "wide": []}
            for line in chunk:
                values, surplus = _fields(line.text, scan, columns)
                kind = "torn" if _is_torn(line, scan) else "wide" if any(surplus) else "held"
                found = {"_file": line.path, "_line": line.line, "_raw": line.text, REASONS: [line.reason]}
                kinds[kind].append({**values, **found, SURPLUS: surplus})
            for number, (kind, rows) in enumerate(kinds.items()):
                if rows:
                    batch = pa.RecordBatch.from_pylist(rows, wider if kind == "wide" else schema)
                    key, goes_on = ("", REJECTED, kind, ""), replayable and kind != "torn"
                    self._add(key, number, batch, "step:source", -1, replayable=goes_on)
            total += len(chunk)
        return total

    def _add(
        self,
        key: _Key,
        bit: int,
        rows: pa.RecordBatch,
        held_at: str,
        applied: int,
        *,
        replayable: bool,
        status: str = "held",
    ) -> None:
        first, rows = rows, stored(rows)
        kept = self._files.get(key)
        if kept is None:
            entry = QuarantineEntry(
                "", self.run_id, self.pipeline, key[1], 0, status, held_at, applied, replayable=replayable
            )
            if key[0] not in self._relations:
                self._relations.append(key[0])
            self.folder.mkdir(parents=True, exist_ok=True)
            file = ParquetFile(self.folder / f"{len(self._files)}.parquet", rows.schema)
            kept = _File(entry, file, (self._relations.index(key[0]) if key[0] else -1, bit))
            kept.first = row_values(first.slice(0, 1))[0]
            self._files[key] = kept
        kept.file.write(rows)
        kept.entry = replace(kept.entry, rows=kept.file.rows)

    def close(self) -> None:
        for kept in self._files.values():
            kept.file.close()

    def entries(self, status: str) -> Iterator[tuple[QuarantineEntry, Path]]:
        """What was kept under a status, with its closed file.

        Numbered in the order of passes and rules, not of rows, so that equal runs give equal numbers.
        """
        order = ["held", "logged", "evidence"]
        ordered = sorted(self._files.values(), key=lambda kept: (order.index(kept.entry.status), kept.place))
        for number, kept in enumerate(ordered, start=1):
            kept.entry = replace(kept.entry, id=f"{self.run_id[:12]}-{number}")
            if kept.entry.status == status:
                yield kept.entry, kept.file.path

    def first_of(self, rule: str) -> Mapping[str, Any] | None:
        """The first row kept for a rule or row error, for messages."""
        return next((kept.first for key, kept in self._files.items() if key[1] == rule), None)

    def abort(self) -> None:
        for kept in self._files.values():
            kept.file.abort()
        self._files.clear()


def held_batches(store: Store, entry: QuarantineEntry) -> Iterator[pa.RecordBatch]:
    """The rows of an entry, as they were held."""
    return map(restored, store.held(entry))


def _is_torn(line: Rejected, scan: FileScan) -> bool:
    """Whether cells of the line are unknown: JSON that does not parse, open quotes, text of another encoding.

    A line with too few or too many cells is read cell by cell.
    """
    if scan.format != "csv" or "unicode" in line.reason.lower():
        return True
    options = scan.options
    delimiter, quote = options.get("delimiter") or ",", options.get("quote") or '"'
    try:
        next(csv.reader(io.StringIO(line.text), delimiter=delimiter, quotechar=quote, strict=True), [])
    except csv.Error:
        return True
    return False


def _refuse_taken(columns: list[str], names: list[str]) -> None:
    """What is kept beside the cells of a line would hide a cell under the same name."""
    if taken := [name for name in names if name in columns]:
        raise FatalError(
            Code.UNSUPPORTED,
            f'a line cannot be read, and would be kept with a column "{taken[0]}" of its own, which the file has, too',
            operation="extract",
            object=taken[0],
            hint="mend the line, or rename the column in the file",
        )


def _fields(text: str, scan: FileScan, columns: list[str]) -> tuple[dict[str, str | None], list[str]]:
    """The line's cells by column, as far as they go, and those beyond; only csv lines have cells."""
    if scan.format != "csv":
        return dict.fromkeys(columns), []
    options = scan.options
    reader = csv.reader(
        io.StringIO(text), delimiter=options.get("delimiter") or ",", quotechar=options.get("quote") or '"'
    )
    try:
        cells = next(reader, [])
    except csv.Error:
        cells = []
    nulls = set(options.get("null_values") or ())
    places = {name: index for index, (name, _) in enumerate(options.get("columns") or [(name, "") for name in columns])}
    found = {name: places[name] for name in columns if name in places}
    values = {
        name: (
            cells[found[name]]
            if name in found and found[name] < len(cells) and cells[found[name]] not in nulls
            else None
        )
        for name in columns
    }
    return values, cells[len(places) :]
