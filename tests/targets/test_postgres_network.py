"""PostgreSQL as a target when the network breaks: what was published is known, or it is said that it is not."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError
from headgate.core.events import Event, Phase, Step
from headgate.core.secrets import Secret
from headgate.targets import postgres
from headgate.targets.postgres import sessions
from headgate.testing.place import KEY, Place, execution, fork, load, record, rows, stage


class Proxy:
    """Stands between client and server; cuts a connection when the client sends ``trigger``.

    ``after``: the server still gets the message, and only its answer is lost. ``refuse``: nobody gets in any more.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.trigger: bytes | None = None
        self.after = self.refuse = self.refuse_later = False
        self.cuts = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.refuse:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                self._open += [client, server]
                threading.Thread(target=self._upstream, args=(client, server), daemon=True).start()

    def _upstream(self, client: socket.socket, server: socket.socket) -> None:
        muted = threading.Event()
        threading.Thread(target=self._downstream, args=(server, client, muted), daemon=True).start()
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if self.trigger and self.trigger in data:
                    self.trigger = None
                    self.cuts += 1
                    self.refuse = self.refuse_later
                    if self.after:
                        muted.set()
                        server.sendall(data)
                        time.sleep(0.3)  # the server does what it was told, and answers to nobody
                    break
                server.sendall(data)
        self._cut(client, server)

    def _downstream(self, server: socket.socket, client: socket.socket, muted: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if not muted.is_set():
                    client.sendall(data)
        self._cut(client, server)

    def _cut(self, *ends: socket.socket) -> None:
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        self._cut(self._listener, *self._open)


@pytest.fixture
def proxy(postgres_server: Any) -> Iterator[Proxy]:
    proxy = Proxy(postgres_server.socket)
    yield proxy
    proxy.close()


@pytest.fixture
def direct(postgres_url: str, tmp_path: Path) -> Iterator[Place]:
    """The store as others see it."""
    connection = postgres.Connection(url=Secret(postgres_url))
    place = Place(lambda: postgres.open_store("warehouse", connection, tmp_path), tmp_path / "direct")
    yield place
    place.close()


@pytest.fixture
def cut(postgres_url: str, proxy: Proxy, tmp_path: Path) -> Iterator[Place]:
    """The store behind the proxy."""
    database = re.sub(r".*/(\w+)\?.*", r"\1", postgres_url)
    connection = postgres.Connection(
        host="127.0.0.1", port=proxy.port, database=database, username="postgres", sslmode="disable"
    )
    place = Place(lambda: postgres.open_store("warehouse", connection, tmp_path), tmp_path / "cut")
    yield place
    place.close()


class TestTheAnswerToCommit:
    def test_lost_while_the_server_committed_is_a_success(self, proxy: Proxy, cut: Place, direct: Place) -> None:
        proxy.trigger, proxy.after = b"COMMIT\0", True
        store = cut.store()
        claim, transaction = self._claimed(cut, store, proxy)
        stage(transaction, [(load("t"), rows((1, "a")))])
        transaction.publish(record(claim))
        assert proxy.cuts == 1
        assert direct.pairs("t") == [(1, "a")]
        assert direct.published(1) is not None

    def test_never_sent_is_a_failure_that_may_be_tried_again(self, proxy: Proxy, cut: Place, direct: Place) -> None:
        store = cut.store()
        claim, transaction = self._claimed(cut, store, proxy)
        proxy.trigger = b"COMMIT\0"
        stage(transaction, [(load("t"), rows((1, "a")))])
        with pytest.raises(RetriableError, match="did not happen"):
            transaction.publish(record(claim))
        transaction.rollback()
        assert direct.pairs("t") == []
        assert direct.published(1) is None
        cut.run(1, [(load("t"), rows((1, "a")))], run_id="again")
        assert direct.pairs("t") == [(1, "a")]

    def test_lost_with_the_server_is_an_unknown_outcome(
        self, proxy: Proxy, cut: Place, direct: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = sessions.was_published
        monkeypatch.setattr(sessions, "was_published", lambda connection, claim: asked(connection, claim, patience=1))
        store = cut.store()
        claim, transaction = self._claimed(cut, store, proxy)
        proxy.trigger, proxy.after, proxy.refuse_later = b"COMMIT\0", True, True
        stage(transaction, [(load("t"), rows((1, "a")))])
        with pytest.raises(FatalError) as unknown:
            transaction.publish(record(claim))
        assert unknown.value.code is Code.OUTCOME_UNKNOWN
        transaction.rollback()
        assert direct.published(1) is not None, "the next run finds out"

    def _claimed(self, cut: Place, store: Any, proxy: Proxy) -> tuple[Any, Any]:
        """A claim commits too: the proxy must let that through."""
        wanted, proxy.trigger = proxy.trigger, None
        claim, transaction = cut.begin(store)
        proxy.trigger = wanted
        return claim, transaction


@pytest.mark.parametrize("word", [b"PGCOPY", b"headgate_runs", b"UPDATE headgate_pipelines SET run_id = run_id"])
@pytest.mark.parametrize("mode", ["append", "overwrite", "upsert"])
def test_a_cut_before_the_commit_publishes_nothing(
    proxy: Proxy, cut: Place, direct: Place, word: bytes, mode: str
) -> None:
    keys = ("id",) if mode == "upsert" else ()
    cut.run(0, [(load("t", mode, keys=keys), rows((0, "before")))])
    claim, transaction = cut.begin(cut.store(), "run-1", 1)
    proxy.trigger = word

    def finish() -> None:
        stage(transaction, [(load("t", mode, keys=keys), rows((1, "a"), (2, "b")))])
        transaction.publish(record(claim))

    with pytest.raises(RetriableError) as broken:
        finish()
    assert broken.value.code is Code.CONNECTION_FAILED
    transaction.rollback()
    assert direct.pairs("t") == [(0, "before")]
    assert direct.published(1) is None
    direct.run(1, [(load("t", mode, keys=keys), rows((1, "a")))], run_id="again")


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

    def test_closing_a_store_in_mid_copy_lets_go_of_everything(self, direct: Place, postgres_url: str) -> None:
        direct.run(0, [(load("t"), rows((0, "before")))])
        store = direct.open()
        _, transaction = direct.begin(store, "run-1", 1)
        transaction.stage(load("t")).write(rows((1, "a")).combine_chunks().to_batches()[0])
        store.close()
        with psycopg.connect(postgres_url, options="-c lock_timeout=2s") as session:
            session.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        assert direct.pairs("t") == [(0, "before")]


def big(rows_: int) -> pa.Table:
    return pa.table({"id": pa.array(range(rows_), pa.int64()), "name": pa.array(["x" * 1000] * rows_)})


def test_an_interrupt_in_mid_copy_rolls_back(direct: Place) -> None:
    _, transaction = direct.begin(direct.store())
    writer = transaction.stage(load("t"))
    batch = big(20_000).combine_chunks().to_batches()[0]

    def write_for_ever() -> None:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        while True:
            writer.write(batch)

    with pytest.raises(KeyboardInterrupt):
        write_for_ever()
    transaction.rollback()
    assert direct.pairs("t") == []
    direct.run(1, [(load("t"), rows((1, "a")))], run_id="again")
    assert direct.pairs("t") == [(1, "a")]
    assert direct.store().published(KEY, execution(1)) is not None
