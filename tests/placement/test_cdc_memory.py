"""The memory of a run of changes, whatever the size of a transaction and of its rows."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from tests.followed import Followed

BOUND = 500_000
"""Kilobytes that a run may take, with what the engine takes by default."""
BOUND_WIDE = 800_000
"""The same where a transaction has 1.6 GB of text."""
PEAK = re.compile(r"VmHWM:\s+(\d+) kB")
NARROW = "repeat('x', 100) || g"
WIDE = "(SELECT string_agg(md5((g * 100 + k)::text), '') FROM generate_series(1, 10 + g % 85) k)"
"""320 to 3,008 bytes that do not compress: the server keeps the longer ones elsewhere, and leaves them unsent where an
update left them alone."""


def test_a_large_transaction_takes_little_memory(followed: Followed) -> None:
    assert changed_at_once(followed, 60_000, NARROW) < BOUND


def test_a_transaction_of_wide_rows_takes_little_memory(followed: Followed) -> None:
    assert changed_at_once(followed, 20_000, WIDE) < BOUND


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_transaction_of_a_million_changes_takes_no_more(followed: Followed) -> None:
    assert changed_at_once(followed, 1_000_000, NARROW) < BOUND


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_transaction_of_a_million_changes_of_wide_rows_fits(followed: Followed) -> None:
    assert changed_at_once(followed, 1_000_000, WIDE) < BOUND_WIDE


def changed_at_once(followed: Followed, rows: int, text: str) -> int:
    """One transaction inserts rows with such texts and changes them all; the peak memory of the run, in kilobytes."""
    followed.run()
    with psycopg.connect(followed.source) as session:
        session.execute(f"INSERT INTO t SELECT g, {text}, g FROM generate_series(1000, {999 + rows // 2}) g")
        session.execute("UPDATE t SET n = n + 1 WHERE id >= 1000")
    program = "import sys; from headgate.cli.main import main; sys.argv = ['headgate', *sys.argv[1:]]; main()"
    run = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", program, "-C", str(followed.root), "run", "load", "--quiet"]
    )
    peak = 0
    while run.poll() is None:  # what the kernel says of a child that ended holds its parent's memory too
        found = PEAK.search(Path(f"/proc/{run.pid}/status").read_text())
        peak = max(peak, int(found[1]) if found else 0)
        time.sleep(0.02)
    assert run.returncode == 0
    assert digest(followed, "out", followed.target) == digest(followed, "t", followed.source)
    return peak


def digest(followed: Followed, table: str, url: str) -> list[tuple[object, ...]]:
    """What a table holds, in little."""
    hashed = f"SELECT hashtextextended((id, name, n)::text, 0) AS h FROM {table}"
    return followed.rows(f"SELECT count(*), sum(h), min(h), max(h) FROM ({hashed}) AS hashes", url)
