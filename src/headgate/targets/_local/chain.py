"""The chain of manifests in a folder: whoever links number N+1 has committed, and exactly one can.

A claim takes a number too, so that a paused run finds its number taken and learns that it was fenced. Old manifests
are pruned; the floor below which nothing may be linked is made durable first, for the same reason.
"""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.core.ledger import PublishedRun
from headgate.core.runs import PipelineKey
from headgate.io import files
from headgate.targets._local.manifest import RECENT, Manifest, dump, parse, run_hash, segment_of

OWN = "_headgate"
KEEP = 200
SLACK = 40
_NAME = re.compile(r"(\d{10})\.json")


class Chain:
    """The manifests below one folder. Reading makes nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.own = root / OWN
        self._folder = self.own / "manifests"

    # ------------------------------------------------------------------------------------------------- reading

    def numbers(self) -> list[int]:
        try:
            names = [entry.name for entry in self._folder.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise files.explain(error, "read", self._folder) from error
        return sorted(int(found[1]) for name in names if (found := _NAME.fullmatch(name)))

    def head(self) -> Manifest:
        """The newest manifest; an empty one when there is none."""
        while numbers := self.numbers():
            with contextlib.suppress(FileNotFoundError):  # pruned while we looked: there is a newer one
                return self._read(numbers[-1])
        return Manifest()

    def at(self, number: int) -> Manifest:
        """An older manifest. Raises FatalError NOT_FOUND when it was never there or is pruned."""
        try:
            if number >= self._floor():
                return self._read(number)
        except FileNotFoundError:
            pass
        kept = [known for known in self.numbers() if known >= self._floor()]
        raise FatalError(
            Code.NOT_FOUND,
            f"there is no version {number}",
            operation="read",
            object=str(self.root),
            hint=f"versions {kept[0]} to {kept[-1]} are kept" if kept else "nothing was published yet",
        )

    def published(self, manifest: Manifest, key: PipelineKey, execution_id: str) -> PublishedRun | None:
        """The run that published an execution, from the manifest or its segments."""
        found = _find(manifest.runs, key, execution_id)
        if found is not None:
            return found
        id_ = run_hash(key, execution_id)
        for segment in reversed(manifest.segments):
            if segment.may_hold(id_):
                path = self.own / segment.path
                try:
                    held = files.read_json(path)
                except (OSError, ValueError) as error:
                    raise FatalError(
                        Code.OUTCOME_UNKNOWN,
                        f"the record of older runs cannot be read: {error}",
                        operation="read",
                        object=str(path),
                        hint="restore the file from a backup; until then nobody can tell what was published",
                    ) from None
                found = _find(held, key, execution_id)
                if found is not None:
                    return found
        return None

    def _read(self, number: int) -> Manifest:
        path = self._path(number)
        try:
            return parse(path.read_bytes(), str(path))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise files.explain(error, "read", path) from error

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:010}.json"

    def _floor(self) -> int:
        try:
            return int((self.own / "floor").read_text())
        except FileNotFoundError:
            return 1

    # ------------------------------------------------------------------------------------------------- writing

    def commit(self, owner: str, change: Callable[[Manifest], Manifest]) -> Manifest:
        """Build on the head until nobody was faster. ``owner`` names the writer's leftovers, should it die."""
        while True:
            proposed = change(self.head())
            beside = self.beside(owner, proposed)
            try:
                if self.link(beside, proposed.number):
                    return proposed
            finally:
                self.forget(beside)

    def beside(self, owner: str, manifest: Manifest) -> Path:
        """Write a manifest durably, where no reader looks."""
        path = self._folder / f".{owner}.{uuid.uuid4().hex}.tmp"
        with files.told("write", path):
            files.make_folder(self._folder)
            files.write_new(path, dump(manifest))
        return path

    def link(self, beside: Path, number: int) -> bool:
        """Commit; False when the number is taken, or lies below the floor.

        Raises:
            FatalError: FENCED when a later run of the pipeline has swept ``beside`` away; OUTCOME_UNKNOWN when the
                name is there but may not be durable.
        """
        name = self._path(number)
        try:
            if not files.link_new(beside, name):
                return False
        except FileNotFoundError:
            raise FatalError(
                Code.FENCED,
                "another run has taken over and cleaned up",
                operation="publish",
                object=str(self.root),
                hint="nothing of this run was published; see the newer run with: headgate runs",
            ) from None
        except OSError as error:
            if name.exists() and name.samefile(beside):
                raise FatalError(
                    Code.OUTCOME_UNKNOWN,
                    f"the commit is there, but may not survive a power cut: {error}",
                    operation="publish",
                    object=str(name),
                    hint="look after the disk, then run again: the next run asks whether this one was published",
                ) from error
            raise files.explain(error, "publish", name) from error
        if number < self._floor():  # others published so much meanwhile that the number was free again
            self.forget(name)
            return False
        return True

    def forget(self, path: Path) -> None:
        """Remove a file that no manifest names, if that works; a sweep does it otherwise."""
        with contextlib.suppress(OSError):
            files.unlink(path)

    def archived(self, manifest: Manifest) -> Manifest:
        """The same with older runs in a segment, which is durable when this returns."""
        if len(manifest.runs) <= RECENT:
            return manifest
        half = len(manifest.runs) // 2
        segment, data = segment_of(manifest.runs[:half])
        path = self.own / segment.path
        with files.told("write", path):
            files.make_folder(path.parent)
            files.replace_text(path, data.decode())
        return replace(manifest, runs=manifest.runs[half:], segments=(*manifest.segments, segment))

    # ------------------------------------------------------------------------------------------------- cleaning

    def leftovers(self, prefix: str) -> list[Path]:
        """Manifests that were written beside by owners whose name starts so, and never linked or not removed."""
        return sorted(self._folder.glob(f".{prefix}*.tmp")) if self._folder.is_dir() else []

    def named_since(self, floor: int = 0) -> set[str]:
        """Paths of all files that any kept manifest from ``floor`` on names."""
        found: set[str] = set()
        for number in self.numbers():
            if number >= floor:
                with contextlib.suppress(FileNotFoundError):
                    found.update(self._read(number).files())
        return found

    def prune(self) -> int:
        """Forget manifests beyond :data:`KEEP`, and the files that only they name; how many things went."""
        numbers = self.numbers()
        if len(numbers) <= KEEP + SLACK:
            return 0
        floor = numbers[-KEEP]
        kept = self.named_since(floor)
        old = [number for number in numbers if number < floor]
        gone: set[str] = set()
        for number in old:
            with contextlib.suppress(FileNotFoundError, HeadgateError):
                gone.update(self._read(number).files())
        with files.told("prune", self.own):
            files.replace_text(self.own / "floor", str(floor))
            for path in sorted(gone - kept):
                files.unlink(self.root / path)
            for number in old:
                files.unlink(self._path(number))
        return len(old) + len(gone - kept)


def _find(runs: Sequence[Mapping[str, Any]], key: PipelineKey, execution_id: str) -> PublishedRun | None:
    """The newest record of an execution: under ``--force`` a later one replaces it."""
    wanted = (key.project, key.pipeline, execution_id)
    for run in reversed(runs):
        if (run["project"], run["pipeline"], run["execution_id"]) == wanted:
            return _published(run)
    return None


def _published(run: Mapping[str, Any]) -> PublishedRun:
    return PublishedRun(
        str(run["run_id"]), str(run["execution_id"]), str(run["plan_hash"]), int(run["epoch"]), run["receipt"]
    )
