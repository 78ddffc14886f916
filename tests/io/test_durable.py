"""Files that are durable, the ledger's record under --force, and errors that say what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from headgate.core.errors import Code, FatalError
from headgate.core.ledger import LedgerRecord
from headgate.core.runs import PipelineKey
from headgate.io import files, ledger
from headgate.runs.history import History, SqliteStatements

KEY = PipelineKey("shop", "orders")


@pytest.mark.parametrize(
    ("number", "code", "hint"),
    [
        (errno.ENOSPC, Code.DISK_FULL, "free space"),
        (errno.EDQUOT, Code.DISK_FULL, "free space"),
        (errno.EACCES, Code.STORAGE_FAILED, "permission to write"),
        (errno.EROFS, Code.STORAGE_FAILED, "permission to write"),
        (errno.ENOTDIR, Code.STORAGE_FAILED, "stands where a folder should be"),
        (errno.EIO, Code.STORAGE_FAILED, "run again"),
    ],
)
def test_a_failed_file_operation_says_what_to_do(tmp_path: Path, number: int, code: Code, hint: str) -> None:
    with pytest.raises(FatalError) as caught, files.told("write", tmp_path / "x"):
        raise OSError(number, os.strerror(number))
    assert caught.value.code is code
    assert hint in caught.value.hint
    assert caught.value.object == str(tmp_path / "x")


def test_a_durable_file_is_a_sink_and_nothing_else(tmp_path: Path) -> None:
    file = files.DurableFile(tmp_path / "x")
    assert (file.writable(), file.readable(), file.seekable(), file.closed) == (True, False, False, False)
    assert file.write(b"abc") == 3
    file.flush()
    assert file.tell() == 3
    file.commit()
    assert file.closed
    with pytest.raises(FileExistsError):
        files.DurableFile(tmp_path / "x")


def test_folders_and_names_come_and_go(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    files.make_folder(folder)
    files.make_folder(folder)
    files.write_new(folder / "x", b"1")
    assert files.link_new(folder / "x", folder / "y")
    assert not files.link_new(folder / "x", folder / "y")
    files.rename(folder / "y", folder / "z")
    files.unlink(folder / "x")
    files.unlink(folder / "x")
    files.replace_text(folder / "z", "[2]")
    assert files.read_json(folder / "z") == [2]
    files.remove_tree(tmp_path / "a")
    files.remove_tree(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_an_observer_can_fail_an_operation(tmp_path: Path) -> None:
    def fail(operation: str, path: Path) -> None:
        raise OSError(errno.EIO, f"{operation} {path.name}")

    with pytest.raises(OSError, match="mkdir new"), files.observing(fail):
        files.make_folder(tmp_path / "new")
    files.make_folder(tmp_path / "new")


def test_a_forced_run_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    statements = SqliteStatements(tmp_path / "l.db")
    ledger.create(statements)
    first = ledger.claim(statements, KEY, "one", "execution")
    ledger.record(statements, LedgerRecord(first, "p", {}))
    second = ledger.claim(statements, KEY, "two", "execution")
    ledger.record(statements, LedgerRecord(second, "p", {}, replaces="one"))
    found = ledger.published(statements, KEY, "execution")
    assert found is not None
    assert found.run_id == "two"
    with pytest.raises(FatalError) as caught:
        ledger.record(statements, LedgerRecord(first, "p", {}))
    assert caught.value.code is Code.FENCED
    statements.close()


def test_a_history_in_another_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FatalError) as caught:
        History("mysql://host/state", tmp_path).runs("shop")
    assert caught.value.code is Code.CONFIG_INVALID
    assert "mysql" in caught.value.object
