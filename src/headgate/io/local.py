"""Folders of this machine as connections: what paths may name, which files they match, and how files are known."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from headgate.core.errors import RESET, Code, FatalError, nearest
from headgate.core.models import ConnectionOptions
from headgate.io import files

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_HASHED = 16 << 20
PACKED_FROM = 1000
CHUNK = 1 << 20


class Connection(ConnectionOptions):
    """A folder of this machine, with everything below it."""

    type: Literal["local"] = "local"
    path: str = Field(default=".", description="The folder; relative to the project.")


@dataclass(frozen=True)
class FileState:
    """What is known of a file: size in bytes, time of change in nanoseconds, and SHA-256 of its content."""

    size: int
    changed: int
    digest: str = ""


def folder_of(connection: Connection, root: Path) -> Path:
    """The connection's folder, without symbolic links; it need not exist."""
    return (root / connection.path).resolve()


def inside(folder: Path, path: Path, asked: str) -> Path:
    """``path`` without symbolic links, if it lies in ``folder``. Raises FatalError otherwise."""
    resolved = path.resolve()
    if resolved != folder and folder not in resolved.parents:
        raise FatalError(
            Code.CONFIG_INVALID,
            f"{resolved} lies outside the connection's folder {folder}",
            operation="scan",
            object=asked,
            hint="put the files below the connection's path, or make a connection for the other folder",
        )
    return resolved


def find(folder: Path, path: str) -> list[Path]:
    """The files that a path, folder or glob names, sorted by path.

    Hidden files and those that start with an underscore are left out of folders and globs: writers use such names
    for what is not finished.

    Raises:
        FatalError: SOURCE_NOT_FOUND when nothing is there; CONFIG_INVALID for a path that leaves the folder;
            STORAGE_FAILED for a folder that may not be read.
    """
    try:
        return _find(folder, path)
    except OSError as error:
        raise files.explain(error, "probe", Path(error.filename or folder)) from None


def _find(folder: Path, path: str) -> list[Path]:
    if Path(path).is_absolute() or ".." in Path(path).parts:
        inside(folder, folder / path, path)
        path = os.path.relpath(os.path.normpath(folder / path), folder)
    if not folder.is_dir():
        raise _not_found(path, f"the connection's folder {folder} does not exist", "create it, or mend the path")
    exact = folder / path
    if exact.is_file():
        inside(folder, exact, path)
        return [exact]
    if exact.is_dir():
        inside(folder, exact, path)
        matches: Iterable[Path] = (entry for entry in exact.iterdir() if entry.suffix.lower() in FORMATS)
        looked_for = f"files ending in {', '.join(FORMATS)} in {exact}"
    elif re.search(r"[*?\[]", path):
        _look_through(folder, path)
        matches, looked_for = folder.glob(path), f"files like {exact}"
    else:
        raise _not_found(path, f"there is no {exact}", _neighbours(exact))
    found = sorted(entry for entry in matches if entry.is_file() and _visible(entry, folder))
    for entry in found:
        inside(folder, entry, path)
    if not found:
        raise _not_found(path, f"there are no {looked_for}", _neighbours(exact))
    return found


def _look_through(folder: Path, pattern: str) -> None:
    """Raise for a folder that cannot be listed: a glob passes over it, and its files, without a word."""
    first, *rest = Path(pattern).parts
    if not re.search(r"[*?\[]", first) and rest:
        if (folder / first).is_dir():
            _look_through(folder / first, "/".join(rest))
        return
    with os.scandir(folder) as entries:
        inner = [Path(entry) for entry in entries if entry.is_dir(follow_symlinks=False)]
    for each in inner:
        if first == "**":
            _look_through(each, pattern)
        elif rest and each.match(first):
            _look_through(each, "/".join(rest))


def _visible(entry: Path, folder: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in entry.relative_to(folder).parts)


def _neighbours(path: Path) -> str:
    """A hint with what is there instead."""
    if path.is_dir():
        return "it is a folder: name a file, or put files into it"
    parent = next(folder for folder in path.parents if folder.is_dir())
    names = sorted(entry.name for entry in parent.iterdir() if not entry.name.startswith("."))[:50]
    return f"in {parent}: {nearest(path.name, names)}" if names else f"{parent} is empty"


def _not_found(path: str, why: str, hint: str) -> FatalError:
    return FatalError(Code.SOURCE_NOT_FOUND, why, operation="scan", object=path, hint=hint)


def format_of(files: Iterable[Path], given: str | None, asked: str) -> Literal["csv", "json", "parquet"]:
    """The format: as given, or by the files' endings, which must agree."""
    found = {given} if given else {FORMATS.get(file.suffix.lower(), file.suffix.lower()) for file in files}
    match sorted(name or "" for name in found):
        case ["csv"]:
            return "csv"
        case ["json"]:
            return "json"
        case ["parquet"]:
            return "parquet"
        case endings:
            raise FatalError(
                Code.CONFIG_INVALID,
                f"the format does not follow from the files' endings ({', '.join(endings)})",
                operation="scan",
                object=asked,
                hint="say format: csv, json or parquet",
            )


def stat(path: Path) -> FileState:
    found = path.stat()
    return FileState(found.st_size, found.st_mtime_ns)


def digest(path: Path) -> str:
    """SHA-256 of the content, in hex; read in chunks."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(path: Path) -> str:
    """SHA-256 over the SHA-256 of each 16 MiB of the content, in hex: large files are hashed by all processors."""
    count = -(-path.stat().st_size // _HASHED)
    if count <= 1:
        parts = [_digest_part(path, 0)]
    else:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(count, os.cpu_count() or 1)) as pool:
            parts = list(pool.map(partial(_digest_part, path), range(count)))
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _digest_part(path: Path, number: int) -> bytes:
    found, buffer = hashlib.sha256(), bytearray(CHUNK)
    view = memoryview(buffer)
    left = _HASHED
    with path.open("rb", buffering=0) as file:
        file.seek(number * _HASHED)
        while left > 0 and (size := file.readinto(view[: min(left, CHUNK)])):
            found.update(view[:size])
            left -= size
    return found.digest()


def pack(files: Mapping[str, FileState]) -> dict[str, Any]:
    """Files read, as plain JSON for a position: readable while few, compressed (about 40 bytes a file) when many."""
    plain = {path: [state.size, state.changed, state.digest] for path, state in sorted(files.items())}
    if len(plain) < PACKED_FROM:
        return {"files": plain}
    for state in plain.values():
        state[2] = base64.b64encode(bytes.fromhex(str(state[2]))).decode()
    data = zlib.compress(json.dumps(plain, separators=(",", ":")).encode(), 9)
    return {"packed": base64.b85encode(data).decode()}


def unpack(position: Mapping[str, Any] | None) -> dict[str, FileState]:
    """The files that :func:`pack` wrote; none for no position.

    Raises:
        FatalError: STATE_INVALID for a position that is not one of files.
    """
    if not position:
        return {}
    try:
        if "packed" in position:
            plain = json.loads(zlib.decompress(base64.b85decode(position["packed"])))
            return {
                path: FileState(size, changed, base64.b64decode(digest_).hex())
                for path, (size, changed, digest_) in plain.items()
            }
        return {path: FileState(*state) for path, state in position.get("files", {}).items()}
    except (ValueError, TypeError, AttributeError, zlib.error) as error:
        raise FatalError(
            Code.STATE_INVALID,
            f"the stored position is not a list of files: {error}",
            operation="probe",
            hint=f"forget it with: {RESET}",
        ) from None
