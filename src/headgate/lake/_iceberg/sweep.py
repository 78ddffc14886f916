"""Removing what dead runs left. Names tell whose a file is; the catalogue tells which runs ever committed.

A file belongs to a snapshot only if its tag was committed with it, so a tag that the catalogue does not know, that no
parked run has and that is not the sweeper's own is garbage: no manifest needs to be read, and pyiceberg not imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headgate.core.ledger import Claim
from headgate.io import files
from headgate.lake._iceberg import metadata, names, parked
from headgate.lake._iceberg.catalog import NAME, Catalogue, Session
from headgate.lake._iceberg.metadata import TableState


@dataclass(frozen=True)
class _Known:
    """Tags of one pipeline's runs, and the tables that there are."""

    pipeline: str
    own: str
    own_commit: str
    committed: set[str]
    parked: set[str]
    pointers: dict[Path, str]

    @property
    def safe(self) -> set[str]:
        return {self.own, self.own_commit} | self.committed | self.parked


def sweep(catalogue: Catalogue, claim: Claim) -> int:
    """Remove data, metadata, staged and held files of dead runs of the claim's pipeline; how many things went."""
    with catalogue.reading() as session:
        if session is None:
            return 0
        known = _known(session, claim)
    removed = 0
    for path in list(_garbage(catalogue.root, known)):
        with files.told("sweep", path):
            if path.is_dir():
                files.remove_tree(path)
            else:
                files.unlink(path)
        removed += 1
    return removed


def _known(session: Session, claim: Claim) -> _Known:
    pipeline = names.pipeline_digest(claim.key)
    committed = session.query("SELECT tag FROM headgate_tags WHERE tag LIKE ?", (f"{pipeline}-%",))
    pointers = session.query(
        "SELECT table_namespace, table_name, metadata_location FROM iceberg_tables WHERE catalog_name = ?", (NAME,)
    )
    return _Known(
        pipeline,
        names.tag(claim),
        names.commit_tag(claim),
        {str(tag) for (tag,) in committed},
        parked.tags(session, claim.key),
        {Path(names.local_path(location)).parent: location for _, _, location in pointers},
    )


def _garbage(root: Path, known: _Known) -> Iterator[Path]:
    for entry in _entries(root / names.STAGING):
        tag = names.tag_of(entry.name, known.pipeline)
        if tag and tag != known.own and tag not in known.parked:  # a committed run needs its staged rows no more
            yield entry
    for entry in _entries(root / names.QUARANTINE):
        if (tag := names.tag_of(entry.name, known.pipeline)) and tag not in known.safe:
            yield entry
    for namespace in _entries(root):
        if namespace.is_dir() and not namespace.name.startswith("_"):
            for table in _entries(namespace):
                yield from _of_table(table.absolute(), known)


def _of_table(folder: Path, known: _Known) -> Iterator[Path]:
    for entry in _entries(folder / "data"):
        if (tag := names.tag_of(entry.name, known.pipeline)) and tag not in known.safe:
            yield entry
    safe = {names.tag_digest(tag) for tag in known.safe}
    versions: list[Path] = []
    for entry in _entries(folder / "metadata"):
        commit = names.commit_of(entry.name, known.pipeline)
        if commit and commit not in safe:
            yield entry
        elif commit and entry.name.endswith(".metadata.json"):
            versions.append(entry)
    yield from _fallen_out(versions, known.pointers.get(folder / "metadata"))


def _fallen_out(versions: list[Path], pointer: str | None) -> Iterator[Path]:
    """Metadata files of committed runs that the table's log has forgotten: a crash kept them from being removed."""
    if pointer is None or len(versions) <= 2:
        return
    state: TableState = metadata.load("", pointer)
    log = {names.local_path(entry["metadata-file"]) for entry in state.document.get("metadata-log") or []}
    kept = {Path(path).name for path in log} | {Path(names.local_path(pointer)).name}
    newest = metadata.version_number(pointer)
    for path in versions:
        if path.name not in kept and metadata.version_number(path.name) < newest:
            yield path


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(Path(entry.path) for entry in os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
