"""PostgreSQL as a target when a process stops in the middle, or is interrupted."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest

from headgate.core.errors import Code, HeadgateError, RetriableError
from headgate.core.events import Event, Phase, Step
from headgate.core.secrets import Secret
from headgate.targets import postgres
from headgate.testing.place import KEY, Place, execution, fork, load, rows


@pytest.fixture
def direct(postgres_url: str, tmp_path: Path) -> Iterator[Place]:
    connection = postgres.Connection(url=Secret(postgres_url))
    place = Place(lambda: postgres.open_store("warehouse", connection, tmp_path), tmp_path / "direct")
    yield place
    place.close()


class TestPausedRuns:
    def test_a_process_that_stopped_in_its_commit_is_fenced(self, direct: Place) -> None:
        direct.run(0, [(load("t", "upsert", keys=("id",)), rows((0, "before")))])
        reader, writer = os.pipe()

        def paused() -> None:
            def stop(event: Event) -> None:
                if (event.step, event.phase) == (Step.COMMIT, Phase.BEFORE):
                    os.write(writer, b"!")
                    os.kill(os.getpid(), signal.SIGSTOP)

            try:
                direct.run(1, [(load("t", "upsert", keys=("id",)), rows((0, "zombie")))], listeners=(stop,))
            except HeadgateError as error:
                os.write(writer, error.code.value.encode())

        child = fork(paused)
        assert os.read(reader, 1) == b"!"
        direct.run(2, [(load("t", "upsert", keys=("id",)), rows((0, "after")))])
        assert direct.pairs("t") == [(0, "after")]
        os.kill(child, signal.SIGCONT)
        os.waitpid(child, 0)
        os.set_blocking(reader, False)
        assert os.read(reader, 100) in {b"FENCED", b"CONNECTION_FAILED"}
        assert direct.pairs("t") == [(0, "after")]
        assert direct.published(1) is None

    def test_a_lock_that_is_not_given_in_time_is_a_conflict(self, postgres_url: str, tmp_path: Path) -> None:
        connection = postgres.Connection(url=Secret(postgres_url), lock_timeout="200ms")
        place = Place(lambda: postgres.open_store("warehouse", connection, tmp_path), tmp_path / "runs")
        place.run(0, [(load("t", "overwrite"), rows((0, "before")))])
        with psycopg.connect(postgres_url) as reader:
            reader.execute("SELECT * FROM t")
            with pytest.raises(RetriableError) as conflict:
                place.run(1, [(load("t", "overwrite"), rows((1, "a")))])
        assert conflict.value.code is Code.CONFLICT
        assert place.pairs("t") == [(0, "before")]
        place.close()

    def test_closing_a_store_in_mid_copy_lets_go_of_everything(
        self, direct: Place, postgres_url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        direct.run(0, [(load("t"), rows((0, "before")))])
        store = direct.open()
        _, transaction = direct.begin(store, "run-1", 1)
        transaction.stage(load("t")).write(rows((1, "a")).combine_chunks().to_batches()[0])
        store.close()
        del transaction, store
        gc.collect()
        assert not caplog.records, "a COPY that is left behind is nothing to warn of"
        with psycopg.connect(postgres_url, options="-c lock_timeout=2s") as session:
            session.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        assert direct.pairs("t") == [(0, "before")]


def big(rows_: int) -> pa.Table:
    return pa.table({"id": pa.array(range(rows_), pa.int64()), "name": pa.array(["x" * 1000] * rows_)})


def test_an_interrupt_in_mid_copy_rolls_back(direct: Place) -> None:
    _, transaction = direct.begin(direct.store())
    writer = transaction.stage(load("t"))
    batch = big(20_000).combine_chunks().to_batches()[0]

    def write_on() -> None:
        """Until it is interrupted; no disk is filled where the signal comes late.

        Polars, where a test before imported it, has left its own handler behind, so Python's is set anew.
        """
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        for _ in range(200):
            writer.write(batch)
            time.sleep(0.05)

    with pytest.raises(KeyboardInterrupt):
        write_on()
    transaction.rollback()
    assert direct.pairs("t") == []
    direct.run(1, [(load("t"), rows((1, "a")))], run_id="again")
    assert direct.pairs("t") == [(1, "a")]
    assert direct.store().published(KEY, execution(1)) is not None
