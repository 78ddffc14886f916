"""A disk that is full, really: nothing is published, nothing stays behind, and with more room the next run goes on."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.needs import absent

Call = Callable[..., Any]
PROJECT = """\
version: 1
project: full
connections:
  inbox: {{type: local, path: inbox}}
  folder: {{type: local, path: {small}/folder}}
  sqlite: {{type: sqlite, path: {small}/books.db}}
  duckdb: {{type: duckdb, path: {small}/books.duckdb}}
lake: {{type: iceberg, path: {small}/lake}}
pipelines:
  big:
    source: {{connection: inbox, path: "*.csv", mode: incremental}}
    target: {{table: big, connection: {target}}}
"""


def mount(*options: str) -> None:
    """Of tmpfs, as root; without the right to, the test is skipped (and fails in CI that runs as root)."""
    done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        (absent if os.geteuid() == 0 else pytest.skip)(f"no small disk can be mounted: {done.stderr.strip()}")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder))
    yield folder
    subprocess.run(["umount", str(folder)], check=True)  # noqa: S603, S607


def deliver(inbox: Path, name: str, rows: range, width: int) -> None:
    dice = random.Random(name)  # noqa: S311 - text that does not compress
    inbox.mkdir(exist_ok=True)
    lines = (f"{row},{dice.randbytes(width).hex()}\n" for row in rows)
    (inbox / f"{name}.csv").write_text("id,note\n" + "".join(lines))


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


@pytest.mark.parametrize("target", ["lake", "folder", "sqlite", "duckdb"])
def test_a_target_whose_disk_is_full(target: str, headgate: Call, project: Path, small: Path) -> None:
    (project / "headgate.yml").write_text(PROJECT.format(small=small, target=target))
    count = ["query", "SELECT COUNT(*) FROM big", "--connection", target, "-o", "json"]
    deliver(project / "inbox", "first", range(10), 1)
    assert headgate("run", "big").status == 0
    before = {path for path in small.rglob("*") if path.suffix == ".parquet"}

    deliver(project / "inbox", "second", range(40_000), 100)
    refused = headgate("run", "big", "-o", "json")
    assert refused.status == 1
    error = refused.json["error"]
    assert error["code"] == "DISK_FULL", error
    assert "space" in error["message"]
    assert "free space" in error["hint"]
    assert str(small) in error["object"] or target == "duckdb"
    assert headgate(*count).json["rows"] == [[10]]
    assert {path for path in small.rglob("*") if path.suffix == ".parquet"} == before

    mount("-o", "remount,size=64m", str(small))
    assert headgate("run", "big").status == 0
    assert headgate(*count).json["rows"] == [[40_010]]


def test_the_projects_own_disk_becomes_full_while_rows_are_staged_on_it(
    headgate: Call, project: Path, small: Path
) -> None:
    (project / "headgate.yml").write_text(PROJECT.format(small=project, target="duckdb"))
    (project / ".headgate").symlink_to(small)
    deliver(project / "inbox", "first", range(40_000), 100)
    refused = headgate("run", "big", "-o", "json")
    assert (refused.status, refused.json["error"]["code"]) == (1, "DISK_FULL"), refused.json
    mount("-o", "remount,size=64m", str(small))
    assert headgate("run", "big", "-o", "json").json["rows"]["loaded"] == 40_000


def test_a_sqlite_file_on_a_disk_that_is_read_only_is_read(headgate: Call, project: Path, small: Path) -> None:
    (project / "headgate.yml").write_text(PROJECT.format(small=small, target="sqlite"))
    deliver(project / "inbox", "first", range(10), 1)
    assert headgate("run", "big").status == 0
    mount("-o", "remount,ro", str(small))
    count = headgate("query", "SELECT COUNT(*) FROM big", "--connection", "sqlite", "-o", "json")
    assert (count.status, count.json.get("rows")) == (0, [[10]]), count.json


def test_what_somebody_writes_to_a_sqlite_file_that_is_mounted_read_only_here_is_seen(
    headgate: Call, project: Path, small: Path, tmp_path: Path
) -> None:
    (project / "headgate.yml").write_text(PROJECT.format(small=small, target="sqlite"))
    deliver(project / "inbox", "first", range(10), 1)
    assert headgate("run", "big").status == 0
    here = tmp_path / "here"
    here.mkdir()
    mount("--bind", str(small), str(here))
    try:
        mount("-o", "remount,ro,bind", str(here))
        (project / "headgate.yml").write_text(PROJECT.format(small=here, target="sqlite"))
        count = ("query", "SELECT COUNT(*) FROM big", "--connection", "sqlite", "-o", "json")
        (file,) = small.glob("*.db")
        with closing(sqlite3.connect(file)) as writer:  # its log lies beside the file, with a row that is not in it yet
            writer.execute("INSERT INTO big SELECT * FROM big LIMIT 1")
            writer.commit()
            assert headgate(*count).json["rows"] == [[11]]
        assert headgate(*count).json["rows"] == [[11]]
    finally:
        subprocess.run(["umount", str(here)], check=True)  # noqa: S603, S607


def test_the_projects_own_disk_is_full(headgate: Call, project: Path, small: Path) -> None:
    """History, log, locks and work folder lie there, whatever the target is."""
    (project / "headgate.yml").write_text(PROJECT.format(small=project, target="sqlite"))
    (project / ".headgate").symlink_to(small)
    deliver(project / "inbox", "first", range(10), 1)
    assert headgate("run", "big").status == 0
    deliver(project / "inbox", "second", range(10, 20), 1)
    ballast = small / "ballast"
    with pytest.raises(OSError, match="No space left"):
        fill(ballast)
    refused = headgate("run", "big", "-o", "json")
    assert refused.status == 1
    assert refused.json["error"]["code"] == "DISK_FULL"
    assert "free space" in refused.json["error"]["hint"]
    ballast.unlink()
    assert headgate("run", "big", "-o", "json").json["rows"]["loaded"] == 10
