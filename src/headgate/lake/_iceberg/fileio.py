"""pyiceberg's files through :mod:`headgate.io.files`: what it writes is forced to the disk, and can fail in tests."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

from pyiceberg.io import FileIO, InputFile, OutputFile

from headgate.io import files
from headgate.lake._iceberg.names import local_path


class _Output:
    """A stream that is durable once it is closed without an error."""

    def __init__(self, path: Path) -> None:
        self._file = files.DurableFile(path)

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except BaseException:
            self._file.close()  # pyiceberg writes headers where nobody closes after an error
            raise

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        if not self._file.closed:
            try:
                self._file.commit()
            finally:
                self._file.close()

    def __enter__(self) -> _Output:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._file.close()


class LocalFile(InputFile, OutputFile):
    """A file of the lake."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.path = Path(local_path(location))

    def __len__(self) -> int:
        return self.path.stat().st_size

    def exists(self) -> bool:
        return self.path.exists()

    def open(self, seekable: bool = True) -> Any:
        return self.path.open("rb", buffering=1 << 16 if seekable else 1 << 20)

    def create(self, overwrite: bool = False) -> Any:
        if overwrite:
            files.unlink(self.path)
        files.make_folder(self.path.parent)
        return _Output(self.path)

    def to_input_file(self) -> LocalFile:
        return self


class LocalFiles(FileIO):
    """The lake's folder, for pyiceberg."""

    def new_input(self, location: str) -> LocalFile:
        return LocalFile(location)

    def new_output(self, location: str) -> LocalFile:
        return LocalFile(location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        files.unlink(Path(local_path(location if isinstance(location, str) else location.location)))
