"""One manifest: all tables of a folder with their files, and the ledger, at one moment. Standard library only."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from headgate.core.errors import Code, FatalError
from headgate.core.ledger import Claim, PipelineState, QuarantineEntry, Watermark
from headgate.core.runs import PipelineKey

VERSION = 1
RECENT = 64
"""Runs kept in the manifest itself; when there are more, the older half goes into a segment."""
_PREFIX = 6


@dataclass(frozen=True)
class DataFile:
    """A file of a table. ``path`` is relative to the folder; ``columns`` counts the columns it holds.

    ``merged``: it holds rows of several runs, because an upsert rewrote it.
    """

    path: str
    rows: int
    size: int
    digest: str
    run: str
    columns: int
    merged: bool = False


@dataclass(frozen=True)
class Table:
    """A table. ``schema`` is an Arrow schema (base64 of IPC), ``changed`` the manifest that last touched it."""

    schema: str
    names: tuple[str, ...]
    files: tuple[DataFile, ...] = ()
    keys: tuple[str, ...] = ()
    changed: int = 0

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)


@dataclass(frozen=True)
class Segment:
    """A file of older runs, with the first bytes of the hash of each, so that most look-ups open none."""

    path: str
    ids: str

    def may_hold(self, id_: bytes) -> bool:
        held = base64.b64decode(self.ids)
        return any(held[at : at + _PREFIX] == id_[:_PREFIX] for at in range(0, len(held), _PREFIX))


@dataclass(frozen=True)
class Manifest:
    """All of a folder at one moment. Number 0 is the folder before anything was written."""

    number: int = 0
    tables: Mapping[str, Table] = field(default_factory=dict)
    pipelines: Mapping[str, tuple[int, str, str]] = field(default_factory=dict)
    watermarks: Mapping[str, Mapping[str, Watermark]] = field(default_factory=dict)
    runs: tuple[Mapping[str, Any], ...] = ()
    segments: tuple[Segment, ...] = ()
    quarantine: tuple[tuple[str, QuarantineEntry], ...] = ()

    def state(self, key: PipelineKey) -> PipelineState:
        epoch, run_id, execution = self.pipelines.get(key_text(key), (0, "", ""))
        return PipelineState(epoch, run_id, execution, dict(self.watermarks.get(key_text(key), {})))

    def holds(self, claim: Claim) -> bool:
        """Whether nobody has claimed the pipeline since."""
        return self.pipelines.get(key_text(claim.key), (0, "", ""))[:2] == (claim.epoch, claim.run_id)

    def files(self) -> Iterator[str]:
        """Paths of all data and quarantine files that this manifest names."""
        for table in self.tables.values():
            yield from (file.path for file in table.files)
        yield from (entry.location for _, entry in self.quarantine if entry.location)


def key_text(key: PipelineKey) -> str:
    return json.dumps([key.project, key.pipeline], ensure_ascii=False)


def key_hash(key: PipelineKey) -> str:
    """A short name for a pipeline that any file system takes."""
    return hashlib.sha256(key_text(key).encode()).hexdigest()[:12]


def run_hash(key: PipelineKey, execution_id: str) -> bytes:
    return hashlib.sha256(f"{key_text(key)}\n{execution_id}".encode()).digest()


def segment_of(runs: tuple[Mapping[str, Any], ...]) -> tuple[Segment, bytes]:
    """A segment of ``runs`` and its content; its name is its content's hash, so that writing it twice is harmless."""
    data = json.dumps(list(runs), separators=(",", ":")).encode()
    ids = b"".join(
        run_hash(PipelineKey(run["project"], run["pipeline"]), run["execution_id"])[:_PREFIX] for run in runs
    )
    name = f"runs/{hashlib.sha256(data).hexdigest()[:32]}.json"
    return Segment(name, base64.b64encode(ids).decode()), data


def dump(manifest: Manifest) -> bytes:
    document = {
        "version": VERSION,
        "number": manifest.number,
        "tables": {name: asdict(table) for name, table in manifest.tables.items()},
        "pipelines": manifest.pipelines,
        "watermarks": {
            key: {source: asdict(mark) for source, mark in marks.items()} for key, marks in manifest.watermarks.items()
        },
        "runs": manifest.runs,
        "segments": [asdict(segment) for segment in manifest.segments],
        "quarantine": [[project, asdict(entry)] for project, entry in manifest.quarantine],
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def parse(data: bytes, path: str) -> Manifest:
    """The manifest that :func:`dump` wrote.

    Raises:
        FatalError: STATE_INVALID for anything else.
    """
    try:
        document = json.loads(data)
        if document["version"] != VERSION:
            raise _invalid(path, f"it has version {document['version']}, and this headgate reads version {VERSION}")
        return Manifest(
            int(document["number"]),
            {name: _table(table) for name, table in document["tables"].items()},
            {
                key: (int(epoch), str(run), str(execution))
                for key, (epoch, run, execution) in document["pipelines"].items()
            },
            {
                key: {source: Watermark(**mark) for source, mark in marks.items()}
                for key, marks in document["watermarks"].items()
            },
            tuple(dict(run) for run in document["runs"]),
            tuple(Segment(**segment) for segment in document["segments"]),
            tuple((str(project), QuarantineEntry(**entry)) for project, entry in document["quarantine"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _invalid(path, f"it is no manifest: {error}") from None


def _table(document: Mapping[str, Any]) -> Table:
    return Table(
        str(document["schema"]),
        tuple(document["names"]),
        tuple(DataFile(**file) for file in document["files"]),
        tuple(document["keys"]),
        int(document["changed"]),
    )


def _invalid(path: str, why: str) -> FatalError:
    return FatalError(
        Code.STATE_INVALID,
        why,
        operation="read",
        object=path,
        hint="restore the file from a backup; manifests are never edited by hand",
    )
