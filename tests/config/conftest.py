"""Projects in temporary folders, read with the small kinds."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from tests.config.kinds import Kinds

from headgate.config.load import load_project
from headgate.config.models import Project
from headgate.core.errors import Code, FatalError, Problem

HEAD = """\
version: 1
project: shop
connections:
  db: {type: postgres, url: "${DB_URL}"}
  files: {type: local, path: data}
  archive: {type: sqlite, path: archive.db, read_only: true}
"""


class Folder:
    """A project under test: write files, then load it or collect its problems."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.registry = Kinds()
        self.environment: dict[str, str] = {"DB_URL": "postgresql:///shop"}
        self.write("headgate.yml", HEAD)

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
        return path

    def load(self, **options: Any) -> Project:
        options.setdefault("environment", self.environment)
        return load_project(self.root, self.registry, **options)

    def problems(self, **options: Any) -> tuple[Problem, ...]:
        """What loading refuses; it must be refused, as configuration, and each with its file."""
        with pytest.raises(FatalError) as caught:
            self.load(**options)
        assert caught.value.code is Code.CONFIG_INVALID
        assert caught.value.problems
        assert all(problem.file for problem in caught.value.problems)
        return caught.value.problems

    def problem(self, **options: Any) -> Problem:
        """The only thing that is refused."""
        found = self.problems(**options)
        assert len(found) == 1, [str(one) for one in found]
        return found[0]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)
