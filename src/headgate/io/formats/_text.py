"""A file of text being written: compressed on its way, durable when it is closed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

import pyarrow as pa

from headgate.io import files

CODECS = {"none": "", "gzip": ".gz", "zstd": ".zst"}
_Codec = Literal["gzip", "zstd"]
BLOCK = 4 << 20


class _Open:
    """A file that a compressor may close, though it is not forced to the disk yet."""

    def __init__(self, file: files.DurableFile) -> None:
        self._file, self.closed = file, False

    def write(self, data: Any) -> int:
        return self._file.write(data)

    def flush(self) -> None:
        """Nothing is buffered here."""

    def tell(self) -> int:
        return self._file.tell()

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


class TextFile:
    """Takes text and counts rows."""

    def __init__(self, path: Path, compression: str) -> None:
        self.path, self.rows = path, 0
        with files.told("write", path):
            self._file = files.DurableFile(path)
        self.sink: Any = pa.PythonFile(cast("Any", _Open(self._file)), mode="w")
        if compression != "none":
            self.sink = pa.CompressedOutputStream(self.sink, cast("_Codec", compression))

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    @property
    def pending(self) -> int:
        return 0

    def close(self) -> None:
        if not self._file.closed:
            with files.told("write", self.path):
                self.sink.close()
                self._file.commit()

    def abort(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)


def opened(path: Path) -> Any:
    """The text as a stream of bytes, whatever it is compressed with."""
    packed: dict[str, _Codec] = {".gz": "gzip", ".zst": "zstd"}
    if path.suffix in packed:
        return pa.CompressedInputStream(pa.OSFile(str(path), "rb"), packed[path.suffix])
    return pa.OSFile(str(path), "rb")
