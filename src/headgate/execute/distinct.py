"""How many rows break some rule, each counted once, whether a rule is about single rows or about all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import FileScan, Scan, SourceSchema
from headgate.execute.context import PassResult, Run
from headgate.io.parquet import ParquetFile
from headgate.plan.flags import BITS, NUMBER
from headgate.plan.stages import Keep
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Broken:
    """What a rule over all rows found in a spool: those for which ``rows`` is true, ``failed`` of them if ``exact``."""

    spool: str
    rows: str
    failed: int
    exact: bool = True


def failing(run: Run, broken: Sequence[Broken]) -> int | None:
    """Rows of the last step, and rows held by rules, that break a rule.

    Rules over all rows cost a further scan only where they found some, and others found some too. None where a server
    moved the rows, and several rules found some: which are the same is not known here.
    """
    done = [each for each in run.passes if not each.transform.branch]
    last, held = done[-1], sum(ruled(each) for each in done)
    spool = f"{last.transform.relation}_audit"
    found = [one for one in broken if one.spool == spool and one.failed]
    if not last.tally.measured:
        counts = [*(count for count in last.tally.noted.values() if count), *(one.failed for one in found)]
        return None if len(counts) > 1 or any(not one.exact for one in found) else sum(counts)
    if not found:
        return held + last.tally.noting
    if len(found) == 1 and found[0].exact and not last.tally.noting:
        return held + found[0].failed
    keep = next(stage for stage in run.plan.stages if isinstance(stage, Keep) and stage.spool == spool)
    conditions = [one.rows for one in found] + ([_noted(last, keep)] if last.tally.noting else [])
    where = " OR ".join(f"({condition})" for condition in conditions)
    assert run.session is not None
    return held + int(run.session.rows(f"SELECT COUNT(*) FROM {quote_name(spool)} WHERE {where}")[0][0])


def ruled(done: PassResult) -> int:
    """Rows of a pass that rules held back, each once."""
    return sum(done.tally.held[flag.bit] for flag in done.transform.verdict.holds if flag.kind == "rule")


def _noted(done: PassResult, keep: Keep) -> str:
    """Which rows of the spool broke a rule about single rows."""
    words: dict[int, int] = {}
    for note in done.transform.verdict.notes:
        if note.of_rule:
            words[note.bit // BITS] = words.get(note.bit // BITS, 0) | 1 << note.bit % BITS
    terms = (f"({quote_name(keep.notes[word])} & {mask}) <> 0" for word, mask in words.items())
    return " OR ".join(terms)


class FailingRows:
    """Numbers of the rows of a spool that a Python function finds wrong, in a file of the run's folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: ParquetFile | None = None

    def add(self, numbers: pa.ChunkedArray[Any]) -> None:
        """Note rows by their number."""
        import pyarrow as pa

        if self._file is None:
            self._file = ParquetFile(self._path, pa.schema({NUMBER: pa.int64()}), compression="lz4")
        for chunk in numbers.chunks:
            self._file.write(pa.RecordBatch.from_arrays([chunk], schema=self._file.schema))

    @property
    def scan(self) -> Scan:
        """The numbers, as a relation."""
        assert self._file is not None, "some rows were added"
        self._file.close()
        return Scan(SourceSchema(self._file.schema), files=FileScan("parquet", (str(self._path),)))
