"""A server that takes a connection and then says nothing: every database gives up in time, and says who was silent."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headgate.core.contracts import Source
from headgate.core.errors import Code, RetriableError
from headgate.core.registry import PackageRegistry


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield int(silent.getsockname()[1])


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("postgres", {"host": "127.0.0.1", "database": "d", "username": "u", "sslmode": "disable"}),
        ("mysql", {"host": "127.0.0.1", "database": "d", "username": "u"}),
        ("sqlserver", {"host": "127.0.0.1", "database": "d", "username": "u"}),
        ("sqlalchemy", {"url": "postgresql+psycopg://u@127.0.0.1:{port}/d"}),
        ("sqlalchemy", {"url": "mysql+pymysql://u@127.0.0.1:{port}/d"}),
    ],
    ids=["postgres", "mysql", "sqlserver", "sqlalchemy-postgres", "sqlalchemy-mysql"],
)
def test_connecting_ends_in_time(kind: str, options: dict[str, Any], port: int, tmp_path: Path) -> None:
    module = PackageRegistry().module("sources", kind)
    where = {"url": options["url"].format(port=port)} if "url" in options else {**options, "port": port}
    connection = module.Connection(type=kind, connect_timeout="2s", **where)
    source: Source = module.open_source(connection, tmp_path)
    began = time.monotonic()
    with pytest.raises(RetriableError) as silent:
        source.test()
    assert silent.value.code is Code.CONNECTION_FAILED
    assert time.monotonic() - began < 20
    source.close()
