"""Databases as targets when the network breaks: what was published is known, or it is said that it is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.network import Proxy

from headgate.core.contracts import Store
from headgate.core.errors import Code, FatalError, RetriableError
from headgate.core.secrets import Secret
from headgate.io.relational import transaction as relational
from headgate.targets import mysql, postgres
from headgate.targets.postgres import sessions
from headgate.testing.place import Place, load, record, rows, stage


@dataclass(frozen=True)
class Product:
    """A server: its socket, how COMMIT comes to it, and its store, reached at once or through a port."""

    socket: str
    commit: bytes
    open: Callable[[int | None, Path], Store]
    asking: Any
    staged: Callable[[], list[str]]


@pytest.fixture(params=["postgres", "mysql"])
def product(request: pytest.FixtureRequest) -> Product:
    name = request.param
    url = request.getfixturevalue("postgres_url" if name == "postgres" else "mariadb_url")
    server = request.getfixturevalue("postgres_server" if name == "postgres" else "mariadb_server")
    database = re.sub(r".*/(\w+)\?.*", r"\1", url)

    def open_postgres(port: int | None, root: Path) -> Store:
        near = postgres.Connection(url=Secret(url))
        if port:
            near = postgres.Connection(
                host="127.0.0.1", port=port, database=database, username="postgres", sslmode="disable"
            )
        return postgres.open_store("warehouse", near, root)

    def open_mysql(port: int | None, root: Path) -> Store:
        near = mysql.Connection(url=Secret(url))
        if port:
            near = mysql.Connection(host="127.0.0.1", port=port, database=database, username="root")
        return mysql.open_store("warehouse", near, root)

    def staged() -> list[str]:
        select = "SELECT table_name FROM information_schema.tables WHERE table_name LIKE 'headgate_stage_%'"
        if name == "mysql":
            return [table for (table,) in server.execute(database, f"{select} AND table_schema = DATABASE()")]
        with psycopg.connect(url) as session:
            return [table for (table,) in session.execute(select)]

    if name == "postgres":
        return Product(server.socket, b"COMMIT\0", open_postgres, sessions, staged)
    return Product(server.socket, b"\x03COMMIT", open_mysql, relational, staged)


@pytest.fixture
def proxy(product: Product) -> Iterator[Proxy]:
    proxy = Proxy(product.socket)
    yield proxy
    proxy.close()


@pytest.fixture
def direct(product: Product, tmp_path: Path) -> Iterator[Place]:
    """The store as others see it."""
    place = Place(lambda: product.open(None, tmp_path), tmp_path / "direct")
    yield place
    place.close()


@pytest.fixture
def cut(product: Product, proxy: Proxy, tmp_path: Path) -> Iterator[Place]:
    """The store behind the proxy."""
    place = Place(lambda: product.open(proxy.port, tmp_path), tmp_path / "cut")
    yield place
    place.close()


class TestTheAnswerToCommit:
    def test_lost_while_the_server_committed_is_a_success(
        self, product: Product, proxy: Proxy, cut: Place, direct: Place
    ) -> None:
        proxy.trigger, proxy.after = product.commit, True
        store = cut.store()
        claim, transaction = self._claimed(cut, store, proxy)
        stage(transaction, [(load("t"), rows((1, "a")))])
        transaction.publish(record(claim))
        assert proxy.cuts == 1
        assert direct.pairs("t") == [(1, "a")]
        assert direct.published(1) is not None
        assert product.staged() == [], "what was staged went, though the session had gone"

    @pytest.mark.parametrize("after", [False, True], ids=["lost", "unanswered"])
    def test_of_a_claim_may_be_tried_again(
        self, product: Product, proxy: Proxy, cut: Place, direct: Place, after: bool
    ) -> None:
        cut.run(0, [(load("t"), rows((0, "before")))])
        proxy.trigger, proxy.after = product.commit, after
        with pytest.raises(RetriableError) as broken:
            cut.begin(cut.store())
        assert (proxy.cuts, broken.value.code) == (1, Code.CONNECTION_FAILED)
        cut.run(1, [(load("t"), rows((1, "a")))], run_id="again")
        assert direct.pairs("t") == [(0, "before"), (1, "a")]

    def test_never_sent_is_a_failure_that_may_be_tried_again(
        self, product: Product, proxy: Proxy, cut: Place, direct: Place
    ) -> None:
        store = cut.store()
        claim, transaction = self._claimed(cut, store, proxy)
        proxy.trigger = product.commit
        stage(transaction, [(load("t"), rows((1, "a")))])
        with pytest.raises(RetriableError, match="did not happen"):
            transaction.publish(record(claim))
        transaction.rollback()
        assert direct.pairs("t") == []
        assert direct.published(1) is None
        cut.run(1, [(load("t"), rows((1, "a")))], run_id="again")
        assert direct.pairs("t") == [(1, "a")]

    def test_lost_with_the_server_is_an_unknown_outcome(
        self, product: Product, proxy: Proxy, cut: Place, direct: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = product.asking.was_published
        monkeypatch.setattr(product.asking, "was_published", lambda place, claim: asked(place, claim, patience=1))
        store = cut.store()
        claim, transaction = self._claimed(cut, store, proxy)
        proxy.trigger, proxy.after, proxy.refuse_later = product.commit, True, True
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


@pytest.mark.parametrize("word", ["rows", "headgate_runs", "UPDATE headgate_pipelines SET run_id = run_id"])
@pytest.mark.parametrize("mode", ["append", "overwrite", "upsert"])
def test_a_cut_before_the_commit_publishes_nothing(
    product: Product, proxy: Proxy, cut: Place, direct: Place, word: str, mode: str
) -> None:
    sent = {"rows": b"PGCOPY" if product.asking is sessions else b"LOAD DATA"}.get(word, word.encode())
    keys = ("id",) if mode == "upsert" else ()
    cut.run(0, [(load("t", mode, keys=keys), rows((0, "before")))])
    claim, transaction = cut.begin(cut.store(), "run-1", 1)
    proxy.trigger = sent

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
