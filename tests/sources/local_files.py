"""Files of a folder as tests write and read them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from headgate.core.contracts import ReadContext, Scan
from headgate.core.errors import FatalError
from headgate.engines.duckdb import DuckdbEngine
from headgate.sources import local

FLIGHTS = "id,carrier,delay,day,at\n1,UA,1.5,2013-01-01,2013-01-01 05:00:00\n2,AA,,2013-01-02,2013-01-02 06:30:00\n"


def native(**options: Any) -> local.Read:
    """Options of a read whose cells the engine converts itself, so that values can be compared here."""
    return local.Read(**{"exact": False, **options})


def opened(root: Path) -> local.LocalSource:
    return local.open_source(local.Connection(path="in"), root)


def context(root: Path, **variables: Any) -> ReadContext:
    return ReadContext(root, variables)


def put(root: Path, name: str, content: str | bytes) -> Path:
    path = root / "in" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows_of(scan: Scan, root: Path, sql: str = "SELECT * FROM t") -> list[tuple[Any, ...]]:
    assert scan.files is not None
    session = DuckdbEngine().session(root / "work", memory=None, threads=1, paths=scan.files.paths)
    try:
        session.register("t", scan)
        return session.rows(sql)
    finally:
        session.close()


def run(root: Path, read: local.Read, since: Mapping[str, Any] | None = None, **variables: Any) -> Any:
    """(rows, position) of one run; None when there is nothing new."""
    source = opened(root)
    window = source.probe(read, context(root, **variables), since)
    if window is None:
        return None
    scan = source.scan(read, context(root, **variables), window)
    rows = rows_of(scan, root)
    assert scan.position is not None
    return sorted(rows, key=str), scan.position()


def refused(root: Path, read: local.Read, since: Mapping[str, Any] | None = None) -> FatalError:
    with pytest.raises(FatalError) as caught:
        run(root, read, since)
    return caught.value


INCREMENTAL = native(path="*.csv", mode="incremental")
