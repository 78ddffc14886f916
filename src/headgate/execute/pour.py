"""One pass, poured: rows stream from the engine through the splitter into every sink, a batch at a time."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headgate.core.contracts import FileScan, Scan, SourceSchema, Writer
from headgate.core.engines import EngineSession
from headgate.core.errors import Code, FatalError
from headgate.core.events import Step
from headgate.core.secrets import Secret
from headgate.execute.asked import asked
from headgate.execute.calls import run_call
from headgate.execute.context import PassResult, Run
from headgate.execute.loads import open_writer
from headgate.execute.split import Splitter, judged_rows
from headgate.execute.widths import Widths
from headgate.io.ahead import Ahead
from headgate.io.durations import restored, stored
from headgate.io.parquet import ParquetFile
from headgate.plan.finish import unique_names
from headgate.plan.flags import INTERNAL, NULLS, NUMBER
from headgate.plan.stages import Check, Keep, Transform, Write
from headgate.plan.stages import Scan as ScanStage
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class Pour:
    """A pass that is being put together; ``drain`` runs it."""

    transform: Transform
    check: Check | None = None
    writes: list[Write] = field(default_factory=list)
    keeps: list[Keep] = field(default_factory=list)


class _Spool:
    """Some columns of the good rows, in a Parquet file of the run's folder."""

    def __init__(self, run: Run, keep: Keep, schema: pa.Schema, exempt: str) -> None:
        import pyarrow as pa

        self._exempt = exempt if keep.spool != keep.relation else ""  # a later pass reads all, and rules do not
        self._columns, self._missing = [*keep.columns, *keep.marks, *keep.notes], keep.missing
        self._next = 0 if keep.numbered else None
        self._schema = pa.schema(
            [
                *(schema.field(name) for name in keep.columns),
                *(pa.field(name, pa.bool_()) for name in keep.marks),
                *(pa.field(name, pa.int64()) for name in keep.notes),
                *(pa.field(f"{NULLS}{index}", pa.bool_()) for index, _ in enumerate(keep.missing)),
                *([pa.field(NUMBER, pa.int64())] if keep.numbered else []),
            ]
        )
        self._stored = stored(pa.RecordBatch.from_pylist([], self._schema)).schema
        folder = run.workdir / "spool"
        folder.mkdir(parents=True, exist_ok=True)
        self._file = ParquetFile(folder / f"{len(list(folder.iterdir()))}.parquet", self._stored, compression="lz4")

    def write(self, batch: pa.RecordBatch) -> None:
        import pyarrow as pa

        batch = judged_rows(batch, self._exempt)
        rows = batch.select(self._columns)
        for index, name in enumerate(self._missing):
            rows = rows.append_column(f"{NULLS}{index}", batch.column(name).is_null())
        if self._next is not None:
            numbers = pa.array(range(self._next, self._next + rows.num_rows), pa.int64())
            rows = rows.append_column(NUMBER, numbers)
            self._next += rows.num_rows
        self._file.write(stored(rows))

    def close(self) -> None:
        self._file.close()

    def abort(self) -> None:
        self._file.abort()

    def register(self, session: EngineSession, name: str) -> None:
        """Give the engine the rows under a name; as a table of its own if Parquet lacks one of their types."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._stored == self._schema:
            files = FileScan("parquet", (str(self._file.path),))
            session.register(name, Scan(SourceSchema(self._schema), files=files))
            return
        with pq.ParquetFile(self._file.path) as file:
            batches = pa.RecordBatchReader.from_batches(self._schema, map(restored, file.iter_batches()))
            session.materialise(name, Scan(SourceSchema(self._schema), batches=batches))


def drain(run: Run, pour: Pour, counter: Counter) -> None:
    """Run one pass to its end. What it spooled is registered with the engine under the spool's name."""
    transform, check = pour.transform, pour.check
    assert run.session is not None
    assert check is not None
    if asked(run, transform, check, pour.keeps, counter.rows_at_once):
        return
    with _told_by_step(run, transform):
        _pour(run, pour, counter)


def _pour(run: Run, pour: Pour, counter: Counter) -> None:
    transform, check = pour.transform, pour.check
    assert run.session is not None
    assert check is not None
    for name, secret in transform.keys.items():
        run.session.materialise(name, key_scan(secret))
    reader = _open(run, transform, counter.rows_at_once())
    good = _good_schema(reader.schema)
    shown = {rule.name: tuple(dict.fromkeys((*check.keys, *rule.columns))) for rule in check.rules}
    markers = [write.marker for write in pour.writes if write.marker]
    exempt = transform.verdict.exempt
    beside = [name for keep in pour.keeps for name in (*keep.marks, *keep.notes)]
    carried = list(dict.fromkeys([*([exempt] if exempt else []), *markers, *beside]))
    splitter = Splitter(transform.verdict, good.names, reader.schema, carried, shown)
    writers = [open_writer(run, write, good, selects=bool(carried)) for write in pour.writes]
    spools = {keep.spool: _Spool(run, keep, good, exempt) for keep in pour.keeps}
    with run.emitter.during(Step.STAGE, relation=transform.relation) as outcome:
        try:
            _stream(run, transform, reader, splitter, [*writers, *spools.values()])
        except BaseException:
            for spool in spools.values():
                spool.abort()
            raise
        outcome["rows"] = splitter.tally.good
    for name, spool in spools.items():
        with run.emitter.during(Step.SPOOL, relation=name):
            spool.register(run.session, name)
    counter.add_left_out(run, transform, splitter)
    rows_in = counter.rows_in(run, transform, splitter)
    run.passes.append(PassResult(transform, check, rows_in, splitter.tally))


def _stream(
    run: Run, transform: Transform, reader: pa.RecordBatchReader, splitter: Splitter, sinks: list[Writer]
) -> None:
    """Hand every good row to every sink, and every other one to where it is kept."""
    assert run.session is not None
    assert run.held is not None
    try:
        computed = (splitter.split(batch) for batch in reader)
        told = 0
        for number, (kept, held, noted) in enumerate(Ahead(computed, cancel=run.session.interrupt), 1):
            for rows in held:
                run.held.take(transform.relation, rows, replayable=transform.replayable and rows.flag.alone)
            for evidence in noted:
                run.held.note(transform.relation, evidence)
            if kept.num_rows:
                for sink in sinks:
                    sink.write(kept)
            seen = splitter.tally.seen
            run.emitter.tell(Step.PROGRESS, relation=transform.relation, batch=number, records=seen - told, rows=seen)
            told = seen
    finally:
        reader.close()
    for sink in sinks:
        sink.close()


@dataclass
class Counter:
    """Counts the rows that the main source gives, where batches pass through Python."""

    extracted: int = 0
    counted: bool = False
    left_out: Callable[[], Sequence[int]] = tuple
    """How many rows the source left out for each of the first filters, once all are read."""
    widths: Widths = field(default_factory=Widths)
    _first: Callable[[], None] = lambda: None
    """Looks how wide the first rows are, once."""

    def count(self, reader: pa.RecordBatchReader, limit: int | None) -> pa.RecordBatchReader:
        """The same stream, counted, cut at ``limit`` rows."""
        import pyarrow as pa

        self.counted = True
        seen: list[pa.RecordBatch] = []

        def first() -> None:
            seen.extend(itertools.islice(reader, 1))
            self._first = lambda: None
            for batch in seen:
                self.widths.see(batch.num_rows, batch.nbytes, enough=0)

        self._first = first

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in itertools.chain(seen, reader):
                if limit is not None:
                    batch = batch.slice(0, limit - self.extracted)
                self.extracted += batch.num_rows
                yield batch
                if limit is not None and self.extracted >= limit:
                    return

        return pa.RecordBatchReader.from_batches(reader.schema, batches())

    def foresee(self, width: Callable[[], int]) -> None:
        """Take the bytes of a row from ``width``, where rows do not come by before the engine reads them."""

        def first() -> None:
            self._first = lambda: None
            self.widths.see(1, width(), enough=0)

        self._first = first

    def rows_at_once(self) -> int:
        """How many rows the engine may give at a time, as the first ones suggest. Waits for them."""
        self._first()
        return self.widths.rows

    def add_left_out(self, run: Run, transform: Transform, splitter: Splitter) -> None:
        """Rows that never came were read and dropped all the same: the first pass counts them at their filters."""
        if any(earlier.transform.reads == transform.reads for earlier in run.passes):
            return
        counts, self.left_out = self.left_out(), tuple
        self.extracted += sum(counts)
        splitter.tally.seen += sum(counts)
        for drop, count in zip(transform.verdict.drops, counts, strict=False):
            splitter.tally.dropped[drop.code] += count

    def rows_in(self, run: Run, transform: Transform, splitter: Splitter) -> int:
        """How many rows went into a pass: those of the pass before, or those of the source."""
        for earlier in reversed(run.passes):
            if earlier.transform.relation == transform.reads:
                return earlier.tally.good
        if self.counted:
            return self.extracted
        match transform.counted:
            case "rows":
                return splitter.tally.seen
            case "groups":
                return splitter.tally.grouped
            case _:
                raise AssertionError("a reshaping pass reads counted rows only")


def _open(run: Run, transform: Transform, rows_at_once: int) -> pa.RecordBatchReader:
    assert run.session is not None
    if transform.call is None:
        return run.session.stream(transform.sql, rows_at_once)
    rows = run.session.stream(f"SELECT * FROM {quote_name(transform.reads)}", min(run.context.batch_size, rows_at_once))
    binder = run.workspace.binder()
    schema = binder.arrow(transform.columns)
    return run_call(transform.call, rows, schema, run.workspace.project.root, run.plan.hidden, _place(run, transform))


@contextlib.contextmanager
def _told_by_step(run: Run, transform: Transform) -> Iterator[None]:
    """What the engine could not compute is told with the steps of the pass, the first by the line that it is on."""
    try:
        yield
    except FatalError as error:
        if error.code is Code.TRANSFORMATION_FAILED and not error.object and transform.steps:
            error.object = ", ".join([_place(run, transform), *transform.steps[1:]])
        raise


def _place(run: Run, transform: Transform) -> str:
    """A step by its name, and where it is written."""
    steps = run.pipeline.transformations
    taken = {stage.relation for stage in run.plan.stages if isinstance(stage, ScanStage)}
    names = unique_names([step.name or step.type for step in steps], taken)
    name = transform.steps[0]
    if name not in names:
        return name
    file, line = run.pipeline.where(("transformations", names.index(name)))
    return f"{name}, {file}:{line}" if line else name


def key_scan(secret: Secret) -> Scan:
    """The secret as the inner and outer key of HMAC-SHA-256 (RFC 2104), in one row."""
    import pyarrow as pa

    raw = secret.reveal().encode()
    padded = (hashlib.sha256(raw).digest() if len(raw) > 64 else raw).ljust(64, b"\0")
    row = {"inner": bytes(byte ^ 0x36 for byte in padded), "outer": bytes(byte ^ 0x5C for byte in padded)}
    table = pa.Table.from_pylist([row], pa.schema({"inner": pa.binary(), "outer": pa.binary()}))
    return Scan(SourceSchema(table.schema), batches=table.to_reader())


def _good_schema(schema: pa.Schema) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([item for item in schema if not item.name.startswith(INTERNAL)])
