"""The files below a path, as text. Symbolic links to folders are not followed; nothing is executed."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeVar

from headgate.core.errors import Code, FatalError, Problem

MAX_BYTES = 4_000_000
"""A larger file is reported and left out: nobody writes it by hand. Manifests that tools write may be larger."""
MAX_MANIFEST_BYTES = 200_000_000
MAX_FILES = 20_000
SKIPPED = frozenset(
    {
        "__pycache__", "node_modules", "site-packages", "venv", "env", "virtualenv", "build", "dist", "eggs",
        "dbt_packages", "dbt_modules", "vendor", "third_party",
    }
)  # fmt: skip
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_T = TypeVar("_T")


@dataclass
class Tree:
    """A file, or a folder and what is below. Texts are read once; what cannot be read is a problem, not an error."""

    root: Path
    files: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    _texts: dict[str, str | None] = field(default_factory=dict)
    _kept: dict[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.root.resolve().stem if self.root.is_file() else self.root.resolve().name

    def note(self, message: str, file: str, line: int = 0, hint: str = "") -> None:
        problem = Problem(message, file, line, hint=hint)
        if problem not in self.problems:
            self.problems.append(problem)

    def path(self, file: str) -> Path:
        return self.root if self.root.is_file() else self.root / file

    def ending(self, *endings: str) -> Iterator[str]:
        for file in self.files:
            if file.lower().endswith(endings):
                yield file

    def text(self, file: str, largest: int = MAX_BYTES) -> str | None:
        """The file's text; None, and a problem, where it has none."""
        if file not in self._texts:
            self._texts[file] = self._read(file, largest)
        return self._texts[file]

    def once(self, key: str, make: Callable[[], _T]) -> _T:
        """What was made of this tree before, or is made now: readers share what is costly."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]  # type: ignore[return-value] # made by the same function

    def _read(self, file: str, largest: int) -> str | None:
        path = self.path(file)
        try:
            if not path.is_file():  # a pipe or a device would be waited for
                self.note("it is no regular file", file)
                return None
            size = path.stat().st_size
            if size > largest:
                self.note(f"{size:,} bytes are more than {largest:,}; it was left out", file)
                return None
            return decoded(path.read_bytes())
        except OSError as error:
            self.note(f"it cannot be read: {error.strerror}", file)
        except (UnicodeError, LookupError) as error:
            self.note(f"it is no text: {error}", file)
        return None


def tree(path: Path) -> Tree:
    """The tree at ``path``. Raises NOT_FOUND."""
    if not path.exists():
        raise FatalError(
            Code.NOT_FOUND, "there is no such file or folder", operation="diagram", object=str(path), hint="see --from"
        )
    if path.is_file():
        return Tree(path, (path.name,))
    found = Tree(path)
    files: list[str] = []
    for file in _walk(path):
        if len(files) == MAX_FILES:
            found.note(f"only the first {MAX_FILES:,} files were looked at", str(path), hint="name a folder within")
            break
        files.append(file)
    found.files = tuple(files)
    return found


def _walk(path: Path) -> Iterator[str]:
    for here, folders, files in os.walk(path):  # follows no links
        folders[:] = sorted(name for name in folders if not _skipped(name))
        within = PurePosixPath(Path(here).relative_to(path).as_posix())
        for name in sorted(files):
            yield str(within / name)


def _skipped(name: str) -> bool:
    return name.startswith(".") or name.lower() in SKIPPED or name.endswith((".egg-info", "-info"))


def decoded(data: bytes) -> str:
    """Text by its byte order mark, its coding cookie, UTF-8, UTF-16 by its zeros, or Latin-1.

    Raises:
        UnicodeError: for what is no text.
        LookupError: for a coding that is not known.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return data.decode(name)
    for line in data.split(b"\n", 2)[:2]:
        cookie = _COOKIE.match(line)
        if cookie:
            return data.decode(cookie[1].decode("ascii"))
    if b"\0" in data:
        return _wide(data)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        shown = sum(byte >= 32 or byte in b"\t\n\r\f" for byte in data)
        if shown < 0.95 * len(data):
            raise
        return data.decode("latin-1")


def _wide(data: bytes) -> str:
    """UTF-16 without a mark has a zero in every other byte of Latin letters; anything else with zeros is no text."""
    for name, zeros in (("utf-16-le", data[1::2]), ("utf-16-be", data[0::2])):
        if len(data) % 2 == 0 and zeros.count(0) > 0.7 * len(zeros):
            return data.decode(name)
    raise UnicodeError("it holds zero bytes")
