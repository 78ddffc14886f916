"""The contracts between rooms, on one screen: sources, stores (targets), registry; those of engines are in ``engines``.

Arrow is the only wire: sources give record batches (or name files that an engine reads itself), stores take them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, runtime_checkable

from headgate.core import loads
from headgate.core.events import Emitter
from headgate.core.grounds import Ground
from headgate.core.ledger import Claim, LedgerRecord, PipelineState, PublishedRun, QuarantineEntry, Watermark
from headgate.core.models import ConnectionOptions, ReadOptions
from headgate.core.runs import PipelineKey, TableCommit

if TYPE_CHECKING:
    import pyarrow as pa


# --------------------------------------------------------------------------------------------------- reading


@dataclass(frozen=True)
class Interval:
    """The time that a run is for: ``--date``, ``--start/--end`` or a schedule. ISO texts; end is exclusive."""

    start: str
    end: str
    explicit: bool = True


@dataclass(frozen=True)
class Window:
    """What one run reads of one source, fixed before the first row: (low, high].

    Args:
        identity: plain JSON that names this window; ``execution_id`` is derived from it. None: a full read, new
            at every call.
        since: the position before, None on the first run.
        high: the position that becomes the watermark; a scan may complete it (see ``Scan.position``).
        note: how exactness is reached, for ``plan`` and people.
        limit: read at most so many rows, in cursor order.
        warnings: what somebody should look at; the receipt has them.
        idle: it has no rows; the run is skipped, and its position kept if it is another than ``since``.
    """

    identity: Mapping[str, Any] | None
    since: Mapping[str, Any] | None = None
    high: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    limit: int | None = None
    warnings: tuple[str, ...] = ()
    idle: bool = False


@dataclass(frozen=True)
class FileScan:
    """Files that the engine reads itself: the exception to "Arrow is the only wire".

    ``options`` are those of the format, as the engine knows them: for csv ``delimiter``, ``quote``, ``escape``,
    ``header``, ``null_values``, ``encoding``, ``date_format``, ``timestamp_format``, ``columns`` (all of the files,
    [name, SQL type] in their order, where the schema holds only some); for json ``keys`` (all that may occur);
    for parquet ``absent`` (columns of the schema that no file has).
    """

    format: Literal["csv", "json", "parquet"]
    paths: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceSchema:
    """What a source's rows look like.

    Args:
        raw: columns as the reader delivers them.
        casts: columns whose true type is another than the raw one, as SQL type names. The plan's first step casts
            them; a value that does not fit is a row error, kept with its raw text.
        keys: the primary key, where known.
        ground: what a plan may ask the source to leave out.
        certain: columns of ``casts`` whose texts come from a system that keeps that very type: what converts is the
            value, and nobody needs to look at its characters.
    """

    raw: pa.Schema
    casts: Mapping[str, str] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    ground: Ground = field(default_factory=Ground)
    certain: frozenset[str] = frozenset()


@dataclass
class Scan:
    """An open read. Exactly one of ``batches`` and ``files`` is given.

    ``position()`` is called after the last batch and gives the final position (the highest *scanned* value);
    None means the window's own ``high``. ``close`` releases connections and is always called. ``whole``: these are all
    rows that there are, though the mode gives changes only: the source was emptied meanwhile. ``query``: what a
    server was asked, for logs. ``cancel`` makes a read that another thread waits for end soon, with any error.
    ``left_out()``: after the last batch, how many rows each condition of :meth:`Sifts.sifted` left out.
    ``distinct``: each key is there once, though the mode gives changes: it is a snapshot.
    ``warnings()``: after the last batch, what somebody should look at, though the read is right without.
    """

    schema: SourceSchema
    batches: pa.RecordBatchReader | None = None
    files: FileScan | None = None
    position: Callable[[], Mapping[str, Any]] | None = None
    close: Callable[[], None] = lambda: None
    estimated_rows: int | None = None
    whole: bool = False
    distinct: bool = False
    query: str = ""
    cancel: Callable[[], None] = lambda: None
    left_out: Callable[[], Sequence[int]] = tuple
    warnings: Callable[[], Sequence[str]] = tuple


Lookup = Callable[[Sequence[str], Sequence[tuple[str, ...]], str], Mapping[tuple[str, ...], str | None]]
"""(names of keys, their values, a column) -> the column's value by key: what a target has, all as text."""


@dataclass(frozen=True)
class ReadContext:
    """What a source may know of the run.

    Args:
        variables: the values of ``{{ … }}`` names, to be bound.
        on_news: called by a probe that knows there is something new and still has work to do, such as hashing files:
            the run gets ready beside it. May be called often.
        project: and ``pipeline``: who reads.
        trial: nothing will be published, so nothing may be left in the source either.
        lookup: values that the target has of a column, by keys, all as text; for changes that leave values out.
        given_up: the position that a full refresh leaves behind, whose resources in the source are the run's own.
        note: keeps what this pipeline made in the source, by a name, before anything is published.
        noted: what was kept of that name by whichever run came last, also one that was killed; None: nothing is known.
    """

    root: Path
    variables: Mapping[str, Any] = field(default_factory=dict)
    interval: Interval | None = None
    batch_size: int = 100_000
    on_news: Callable[[], None] = lambda: None
    project: str = ""
    pipeline: str = ""
    trial: bool = False
    lookup: Callable[[Sequence[str], Sequence[tuple[str, ...]], str], Mapping[tuple[str, ...], str | None]] | None = (
        None
    )
    given_up: Mapping[str, Any] | None = None
    note: Callable[[str, Mapping[str, Any]], None] = lambda _name, _document: None
    noted: Callable[[str], Mapping[str, Any] | None] = lambda _name: None


class Source(Protocol):
    """One open connection to read from. Built by a connector module's ``open_source(options, root)``; opening is lazy.

    Methods raise :class:`FatalError` or :class:`RetriableError`. Sessions are read-only where the system has that.
    """

    def test(self) -> str:
        """Connect and say what answered; raises when nothing does."""

    def tables(self) -> list[str]:
        """Names that ``table:`` takes."""

    def identity(self, read: ReadOptions) -> tuple[str, str]:
        """(source name, filter fingerprint), the key of the watermark."""

    def schema(self, read: ReadOptions, context: ReadContext, since: Mapping[str, Any] | None) -> SourceSchema:
        """The rows' schema, without reading them; ``since`` may hold a schema pinned at first publication."""

    def probe(self, read: ReadOptions, context: ReadContext, since: Mapping[str, Any] | None) -> Window | None:
        """Fix the window of a run; None: nothing new. Cheap, and without heavy imports. Full reads always give one."""

    def scan(self, read: ReadOptions, context: ReadContext, window: Window) -> Scan:
        """Open the read of one window, in one snapshot of the source."""

    def acknowledge(self, read: ReadOptions, position: Mapping[str, Any]) -> None:
        """Told after the commit: the source may forget what lies before ``position``. Must be idempotent."""

    def close(self) -> None:
        """Release every connection; may be called twice."""


@runtime_checkable
class Narrows(Protocol):
    """A source that can be asked for the rows of some values only."""

    def narrowed(self, read: ReadOptions, column: str, values: Sequence[Any]) -> ReadOptions:
        """The same read, of rows whose column has one of the values (texts, whole numbers, None); or of more rows."""


@runtime_checkable
class Sifts(Protocol):
    """A source that can leave rows out, as far as the ``ground`` of its schema says."""

    def sifted(self, read: ReadOptions, context: ReadContext, window: Window, keeps: Sequence[str]) -> Scan:
        """A scan without the rows for which one of the conditions is not true, unless a value of the row may be in
        error: those come in any case. A row is counted at the first condition, in the same snapshot."""


# --------------------------------------------------------------------------------------------------- writing


@dataclass(frozen=True)
class TableInfo:
    """A table as it is now. ``version`` is the store's own name of that state (snapshot id, manifest number)."""

    schema: pa.Schema
    keys: tuple[str, ...] = ()
    version: str = ""
    rows: int | None = None


# what one run writes to one table has a page of its own
Mode = loads.Mode
Capability = loads.Capability
BASIC = loads.BASIC
EVERY = loads.EVERY
History = loads.History
Between = loads.Between
Partitioning = loads.Partitioning
Rescue = loads.Rescue
Load = loads.Load


@runtime_checkable
class Writer(Protocol):
    """Takes the rows of one table into staging. ``close`` makes them durable there; readers see nothing yet."""

    def write(self, batch: pa.RecordBatch) -> None: ...

    def close(self) -> None: ...


class Repeats(NamedTuple):
    """How many rows of a table share their key with others, and how many rows it has."""

    repeated: int
    rows: int


class Transaction(Protocol):
    """What one run does to one store: everything is invisible until :meth:`publish`, and all of it visible after."""

    def stage(self, load: Load) -> Writer:
        """Open a table for writing. Several tables may be open at once."""

    def duplicates(self, table: str, columns: Sequence[str]) -> Repeats:
        """Rows of the table *as it will be after publish* whose ``columns`` (none NULL) occur more than once."""

    def hold(self, entry: QuarantineEntry, file: Path) -> None:
        """Take a Parquet file of quarantined rows (last column ``_reasons``, a list of text) into the commit."""

    def counts(self) -> list[TableCommit]:
        """What publish would do to each table (inserted, updated, deleted), known before it; merges if it must."""

    def publish(self, record: LedgerRecord) -> list[TableCommit]:
        """The one commit: data, watermarks, quarantine and run record, if the claim's epoch is still the highest.

        Raises:
            FatalError: FENCED when a higher epoch was claimed; OUTCOME_UNKNOWN when the commit's answer was lost.
            RetriableError: CONFLICT when somebody else moved a table; nothing was published.
        """

    def park(self, record: LedgerRecord) -> None:
        """Keep what is staged beyond this process (``--no-publish``, several stores); :meth:`Store.resume` finds it."""

    def rollback(self) -> None:
        """Forget everything staged; may be called twice and after a failed publish."""


@runtime_checkable
class Previews(Protocol):
    """A transaction that can show a table before it is published; rules of ``stage: load`` need it."""

    def preview(self, table: str, columns: Sequence[str]) -> Scan:
        """Columns of the table *as it will be after publish*, perhaps as text; those that it lacks are NULL."""


class Store(Protocol):
    """One open target: tables and the ledger that changes with them. Built by ``open_store(options, root)``.

    Reading methods are cheap, have no side effects and work when nothing was ever published.
    """

    name: str

    def test(self) -> str: ...

    def lock(self, key: PipelineKey) -> AbstractContextManager[None]:
        """Hold the pipeline's liveness lock. Raises FatalError LOCKED at once if another living run has it."""

    def state(self, key: PipelineKey) -> PipelineState: ...

    def published(self, key: PipelineKey, execution_id: str) -> PublishedRun | None:
        """The run that published this execution. Raises OUTCOME_UNKNOWN if the store cannot tell."""

    def describe(self, table: str) -> TableInfo | None: ...

    def tables(self) -> list[str]: ...

    def claim(self, key: PipelineKey, run_id: str, execution_id: str) -> Claim:
        """Raise the epoch, durably: whoever claimed before can no longer publish. Creates the ledger if need be."""

    def begin(self, claim: Claim, emitter: Emitter, workdir: Path, *, durable: bool = False) -> Transaction:
        """Open a transaction. ``durable``: staging must survive this process (several stores, ``--no-publish``)."""

    def resume(
        self, claim: Claim, run_id: str, emitter: Emitter, workdir: Path
    ) -> tuple[Transaction, LedgerRecord] | None:
        """A transaction parked by ``run_id``, to be published under a new claim or rolled back; None: none is there."""

    def sweep(self, claim: Claim) -> int:
        """Remove what dead runs of this pipeline left behind (never parked runs); how many things went."""

    def quarantine(self, project: str) -> list[QuarantineEntry]: ...

    def held(self, entry: QuarantineEntry) -> Iterator[pa.RecordBatch]:
        """The rows of one entry, as they were held, last column ``_reasons``. Raises NOT_FOUND once they were freed."""

    def free(self, entry_ids: Sequence[str]) -> int:
        """Remove the rows of those entries that are settled, for good; of how many. The entries themselves stay."""

    def resolve(self, entry_ids: Sequence[str], status: str) -> int:
        """Mark held entries ``discarded`` (by hand, outside a run); how many changed."""

    def set_watermark(self, key: PipelineKey, watermark: Watermark | None, source: str) -> None:
        """Set or (None) forget a watermark by hand. The caller holds the lock."""

    def reader(self, table: str, at: str | None = None) -> Scan:
        """Read a table, at an older version if the store keeps them (``at``)."""

    def close(self) -> None: ...


# --------------------------------------------------------------------------------------------------- registry


class Registry(Protocol):
    """Finds kinds by name, in this package and in installed entry points; imports only what is asked for."""

    def kinds(self, group: str) -> list[str]:
        """Names in ``group``: transforms, quality, sources, targets."""

    def module(self, group: str, kind: str) -> Any:
        """The module of one kind. Raises FatalError CONFIG_INVALID with the nearest known kind."""

    def connection(self, kind: str) -> type[ConnectionOptions]:
        """The options model of a connection kind."""
