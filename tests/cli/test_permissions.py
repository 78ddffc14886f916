"""What a user may not read or write is named, with what to do, and nothing is half done; root runs this too."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]
NOBODY = 65534
PROJECT = """\
version: 1
project: guarded
connections:
  inbox: {{type: local, path: inbox}}
  folder: {{type: local, path: out/folder}}
  sqlite: {{type: sqlite, path: out/books.db}}
  duckdb: {{type: duckdb, path: out/books.duckdb}}
lake: {{type: iceberg, path: out/lake}}
pipelines:
  copy:
    source: {{connection: inbox, path: "**/*.csv", mode: incremental}}
    target: {{table: copy, connection: {target}}}
"""


@pytest.fixture
def project() -> Iterator[Path]:
    """A project in a folder that everybody may enter."""
    root = Path(tempfile.mkdtemp(prefix="headgate-guarded-"))
    root.chmod(0o755)
    (root / "inbox" / "more").mkdir(parents=True)
    (root / "out").mkdir()
    (root / "inbox" / "1.csv").write_text("id,note\n1,a\n")
    yield root
    shutil.rmtree(root)


@contextmanager
def as_a_user(root: Path) -> Iterator[None]:
    """Root may read and write anything, so be nobody; the project is nobody's."""
    if os.geteuid() != 0:
        yield
        return
    for path in (root, *root.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def without(mode: int, *paths: Path) -> Iterator[None]:
    """The paths, and all below them, without some permissions."""
    below = [inner for path in paths for inner in (path, *path.rglob("*"))]
    before = {path: path.stat().st_mode for path in below}
    for path in reversed(below):
        path.chmod(before[path] & ~mode)
    try:
        yield
    finally:
        for path in below:
            path.chmod(before[path])


def refused(headgate: Call, path: Path) -> None:
    answer = headgate("run", "copy", "-o", "json")
    assert answer.status == 1
    error = answer.json["error"]
    assert (error["code"], error["message"]) == ("STORAGE_FAILED", "Permission denied"), error
    assert error["object"].startswith(str(path))
    assert "permission to" in error["hint"]


@pytest.mark.parametrize("target", ["lake", "folder", "sqlite", "duckdb"])
def test_a_target_that_may_not_be_written(target: str, headgate: Call, project: Path) -> None:
    (project / "headgate.yml").write_text(PROJECT.format(target=target))
    assert headgate("run", "copy").status == 0
    (project / "inbox" / "more" / "2.csv").write_text("id,note\n2,b\n")
    with as_a_user(project):
        with without(0o222, project / "out"):
            refused(headgate, project / "out")
        assert headgate("run", "copy", "-o", "json").json["rows"]["loaded"] == 1
    rows = headgate("query", "SELECT id FROM copy ORDER BY id", "--connection", target, "-o", "json").json["rows"]
    assert rows == [[1], [2]]


@pytest.mark.parametrize("hidden", ["inbox", "inbox/more", "inbox/more/2.csv"])
def test_a_source_that_may_not_be_read_is_not_taken_for_an_empty_one(
    hidden: str, headgate: Call, project: Path
) -> None:
    (project / "headgate.yml").write_text(PROJECT.format(target="folder"))
    assert headgate("run", "copy").status == 0
    (project / "inbox" / "more" / "2.csv").write_text("id,note\n2,b\n")
    with as_a_user(project):
        with without(0o444, project / hidden):
            refused(headgate, project / "inbox")
        assert headgate("run", "copy", "-o", "json").json["rows"]["loaded"] == 1


def test_a_state_that_may_not_be_written(headgate: Call, project: Path) -> None:
    (project / "headgate.yml").write_text(PROJECT.format(target="folder"))
    assert headgate("run", "copy").status == 0
    (project / "inbox" / "2.csv").write_text("id,note\n2,b\n")
    with as_a_user(project):
        with without(0o222, project / ".headgate"):
            answer = headgate("run", "copy", "-o", "json")
            assert (answer.status, answer.json["error"]["code"]) == (1, "STATE_INVALID")
            assert "make the file writable" in answer.json["error"]["hint"]
        assert headgate("run", "copy", "-o", "json").json["rows"]["loaded"] == 1
