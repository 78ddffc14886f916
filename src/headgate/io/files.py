"""Every durable file operation, in one place: tests make the n-th one fail, and no one forgets an fsync.

What a commit points at is forced to the disk before it. A failed fsync is fatal: the kernel may have dropped the
pages, so trying again would lie.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from headgate.core.errors import Code, FatalError

Observer = Callable[[str, Path], None]
_observers: list[Observer] = []


@contextmanager
def observing(observer: Observer) -> Iterator[None]:
    """Call ``observer(operation, path)`` before each operation; an OSError it raises is the operation's."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


def _about_to(operation: str, path: Path) -> None:
    for observer in _observers:
        observer(operation, path)


LEAST_FREE = 65_536
"""Bytes below which a disk counts as full: the smallest commit needs more."""
_READING = ("probe", "read", "scan", "list")


@contextmanager
def told(operation: str, path: Path) -> Iterator[None]:
    """Turn an OSError into one clear error that names operation, path and what to do."""
    try:
        yield
    except OSError as error:
        raise explain(error, operation, path) from error


def explain(error: OSError, operation: str, path: Path) -> FatalError:
    """The error for people: code DISK_FULL or STORAGE_FAILED."""
    verb = "read" if operation in _READING else "write"
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            free = shutil.disk_usage(path.parent if path.parent.exists() else Path.cwd()).free
            return FatalError(
                Code.DISK_FULL,
                f"no space left on the disk ({free} bytes free)",
                operation=operation,
                object=str(path),
                hint="free space or move the target; nothing was published, and the next run starts afresh",
            )
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return FatalError(
                Code.STORAGE_FAILED,
                os.strerror(error.errno),
                operation=operation,
                object=str(path),
                hint=f"give this user permission to {verb} there, or choose another path",
            )
        case errno.ENOTDIR | errno.EEXIST:
            return FatalError(
                Code.STORAGE_FAILED,
                os.strerror(error.errno),
                operation=operation,
                object=str(path),
                hint="a file stands where a folder should be, or something in its place: move it, or change the path",
            )
        case _:
            return FatalError(
                Code.STORAGE_FAILED,
                str(error),
                operation=operation,
                object=str(path),
                hint="see that the path can be reached and written, then run again",
            )


def refuse_unwritable(folder: Path, operation: str) -> None:
    """Raise STORAGE_FAILED or DISK_FULL if nothing can be written below ``folder``, which need not be there yet."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        why, hint = f"{there} is not a folder", "move the file that is in the way, or choose another path"
    elif not os.access(there, os.W_OK | os.X_OK):
        why, hint = f"{there} is not writable", "give this user write permission there, or choose another path"
    elif shutil.disk_usage(there).free < LEAST_FREE:
        raise explain(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), operation, there)
    else:
        return
    raise FatalError(Code.STORAGE_FAILED, why, operation=operation, object=str(folder), hint=hint)


class DurableFile:
    """A new file for writing, in binary; :meth:`commit` forces it to the disk and closes it."""

    def __init__(self, path: Path) -> None:
        _about_to("create", path)
        self.path = path
        self._file: IO[bytes] = path.open("xb", buffering=0)

    def write(self, data: Any) -> int:
        _about_to("write", self.path)
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            done += self._file.write(view[done:])
        return done

    def flush(self) -> None:
        """Nothing is buffered here; pyarrow asks."""

    def tell(self) -> int:
        return self._file.tell()

    @property
    def closed(self) -> bool:
        return self._file.closed

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def commit(self) -> None:
        _about_to("fsync", self.path)
        os.fsync(self._file.fileno())
        self._file.close()

    def close(self) -> None:
        self._file.close()


def sync_file(path: Path) -> None:
    _about_to("fsync", path)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    sync_file(path)


def make_folder(path: Path) -> None:
    """Create a folder and its parents; names are durable when this returns."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    if missing:
        _about_to("mkdir", path)
        path.mkdir(parents=True, exist_ok=True)
        for folder in reversed(missing):
            sync_folder(folder.parent)


def write_new(path: Path, data: bytes) -> None:
    """Write a whole new file durably (not its name: sync the folder)."""
    file = DurableFile(path)
    try:
        file.write(data)
        file.commit()
    finally:
        file.close()


def replace_text(path: Path, text: str) -> None:
    """Replace a file so that readers see the old or the new content, and never less."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write_new(beside, text.encode())
        _about_to("rename", path)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(path.parent)


def link_new(existing: Path, name: Path) -> bool:
    """Give a durable file a second name; False if the name is taken, so exactly one of several rivals wins."""
    _about_to("link", name)
    try:
        os.link(existing, name)
    except FileExistsError:
        return False
    sync_folder(name.parent)
    return True


def rename(old: Path, new: Path) -> None:
    _about_to("rename", new)
    old.rename(new)


def unlink(path: Path) -> None:
    """Remove a file if it is there."""
    _about_to("unlink", path)
    path.unlink(missing_ok=True)


def remove(path: Path) -> bool:
    """Remove a file; False if there was none. An error names operation and file."""
    with told("remove", path):
        there = path.is_file()
        unlink(path)
    return there


def remove_tree(path: Path) -> None:
    """Remove a folder and all in it, if it is there."""
    _about_to("rmtree", path)
    if path.exists():
        shutil.rmtree(path)


def read_json(path: Path) -> Any:
    return json.loads(path.read_bytes())
