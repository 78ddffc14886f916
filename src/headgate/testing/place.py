"""A store under test, driven as a run drives it: claim, stage, publish, in this process or in one that is killed."""

from __future__ import annotations

import os
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from headgate.core.contracts import Load, Store, Transaction
from headgate.core.events import Emitter, Listener, Step
from headgate.core.ledger import Claim, LedgerRecord, PublishedRun, QuarantineEntry, Watermark
from headgate.core.runs import PipelineKey, TableCommit
from headgate.testing.rows import arrow_schema, arrow_table, read_all

KEY = PipelineKey("shop", "orders")
OTHER = PipelineKey("shop", "returns")
IDS = arrow_schema([("id", pa.int64()), ("name", pa.string())])


def rows(*pairs: tuple[int | None, str | None]) -> pa.Table:
    """A table of (id, name)."""
    return arrow_table(IDS, [[id_ for id_, _ in pairs], [name for _, name in pairs]])


def load(table: str, mode: Any = "append", schema: pa.Schema = IDS, **options: Any) -> Load:
    return Load(table, mode, schema, **options)


def execution(number: int | str) -> str:
    """An execution id, 32 characters as runs derive it."""
    return str(number).rjust(32, "0")


def record(claim: Claim, **changes: Any) -> LedgerRecord:
    return LedgerRecord(**{"claim": claim, "plan_hash": "p" * 8, "receipt": {"run_id": claim.run_id}, **changes})


def watermark(value: Any, source: str = "shop_db.orders", run_id: str = "") -> Watermark:
    return Watermark(source, "f1", {"value": value, "seen": ["a"]}, "updated_at", value, run_id)


Loads = Sequence[tuple[Load, pa.Table]]


@dataclass
class Place:
    """Where a store keeps its things. ``open`` gives a new store on the same place, in any process."""

    open: Callable[[], Store]
    workdir: Path
    opened: list[Store] = field(default_factory=list)
    _folders: int = 0

    def store(self) -> Store:
        self.opened.append(self.open())
        return self.opened[-1]

    def close(self) -> None:
        while self.opened:
            self.opened.pop().close()

    def folder(self) -> Path:
        """A new folder, as each run has one."""
        self._folders += 1
        path = self.workdir / f"run-{os.getpid()}-{self._folders}"
        path.mkdir(parents=True)
        return path

    def begin(
        self,
        store: Store,
        run_id: str = "run-1",
        number: int | str = 1,
        *,
        key: PipelineKey = KEY,
        durable: bool = False,
        listeners: Sequence[Listener] = (),
    ) -> tuple[Claim, Transaction]:
        claim = store.claim(key, run_id, execution(number))
        emitter = Emitter(run_id, key.pipeline, listeners)
        return claim, store.begin(claim, emitter, self.folder(), durable=durable)

    def run(self, number: int | str, loads: Loads, *, run_id: str = "", **changes: Any) -> list[TableCommit]:
        """One whole run in a store of its own; ``changes`` go into the ledger record, ``key`` to the claim."""
        store = self.open()
        try:
            key, listeners = changes.pop("key", KEY), changes.pop("listeners", ())
            claim, transaction = self.begin(store, run_id or f"run-{number}", number, key=key, listeners=listeners)
            try:
                stage(transaction, loads)
                return transaction.publish(record(claim, **changes))
            except BaseException:
                transaction.rollback()
                raise
        finally:
            store.close()

    def rows(self, table: str) -> pa.Table:
        """What readers see now."""
        store = self.open()
        try:
            return read_all(store.reader(table))
        finally:
            store.close()

    def pairs(self, table: str) -> list[tuple[Any, ...]]:
        """The rows of :data:`IDS` that readers see now, sorted; none if there is no table."""
        store = self.open()
        try:
            if store.describe(table) is None:
                return []
            found = read_all(store.reader(table)).select(["id", "name"]).to_pydict()
        finally:
            store.close()
        return sorted(zip(found["id"], found["name"], strict=True), key=repr)

    def published(self, number: int | str, key: PipelineKey = KEY) -> PublishedRun | None:
        store = self.open()
        try:
            return store.published(key, execution(number))
        finally:
            store.close()


def stage(transaction: Transaction, loads: Loads) -> None:
    """Write each table in two batches, so that staging takes more than one."""
    for what, table in loads:
        writer = transaction.stage(what)
        half = (table.num_rows + 1) // 2
        for part in (table.slice(0, half), table.slice(half)):
            for batch in part.cast(what.schema).combine_chunks().to_batches():
                writer.write(batch)
        writer.close()


def entry(id_: str = "q1", run_id: str = "run-1", held: int = 2) -> QuarantineEntry:
    return QuarantineEntry(id_, run_id, KEY.pipeline, "plausible", held, held_at="clean", step=1)


# ------------------------------------------------------------------------------------------ other processes


def in_child(body: Callable[[], None]) -> int:
    """Run ``body`` in a forked process and wait: 0 it ended, 1 it raised (shown on stderr), -9 it was killed."""
    child = fork(body)
    _, status = os.waitpid(child, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def fork(body: Callable[[], None]) -> int:
    """Start ``body`` in a forked process; its id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the child opens everything anew and never returns here
        child = os.fork()
    if child:
        return child
    status = 1
    try:
        body()
        status = 0
    except BaseException:  # noqa: BLE001 - the child must not run the parent's tests on
        traceback.print_exc()
    finally:
        os._exit(status)


def die() -> None:
    """End this process as the kernel's out-of-memory killer would."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def killer(at: int) -> Listener:
    """A listener that kills its process at the ``at``-th event it hears, counted from 0."""
    heard = [0]

    def listen(_: object) -> None:
        if heard[0] == at:
            die()
        heard[0] += 1

    return listen


def tell(listeners: Sequence[Listener], step: Step) -> None:
    """Tell a step of the run around the store, as the interpreter does."""
    Emitter("harness", KEY.pipeline, listeners).tell(step)
