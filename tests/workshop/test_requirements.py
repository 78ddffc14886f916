"""What is installed is locked: every version with hashes, from nowhere in particular."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from tests.needs import absent

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for path in (ROOT / "requirements").glob("*.txt") if path.name != "debian.txt")
LOCKED = (
    r"[A-Za-z0-9._-]+(\[[^]]*\])?==[A-Za-z0-9.+!_-]+( ; [A-Za-z_0-9 ()<>=!.'\"]+)?(\s+--hash=sha256:[0-9a-f]{64})+\s*"
)
"""A name, a version, where it is wanted, and hashes: no option, no address, no folder."""
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def locked(file: str) -> dict[str, Version]:
    found = re.findall(
        r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", (ROOT / "requirements" / file).read_text(), re.MULTILINE
    )
    return {name.lower(): Version(version) for name, version in found}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_requirement_is_pinned_with_hashes_and_names_no_place(path: Path) -> None:
    joined = path.read_text().replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert lines
    for line in lines:
        assert re.fullmatch(LOCKED, line), line
    assert not re.search(r"://|file:|@ |(^|\s)--?(?!hash=)[a-z]", joined), "no option but hashes, no address"


def _declared(*groups: str) -> list[Requirement]:
    project = PROJECT["project"]
    texts = list(project["dependencies"])
    texts += [text for name, extra in project["optional-dependencies"].items() if name != "pandas" for text in extra]
    texts += [text for group in groups for text in PROJECT["dependency-groups"][group]]
    return [wanted for wanted in map(Requirement, texts) if wanted.name != "headgate"]


@pytest.mark.parametrize(("file", "groups"), [("run.txt", ()), ("dev.txt", ("dev",))])
def test_the_locks_satisfy_what_the_project_declares(file: str, groups: tuple[str, ...]) -> None:
    versions = locked(file)
    for wanted in _declared(*groups):
        assert wanted.name.lower() in versions, f"{wanted} is not locked: run make lock"
        assert versions[wanted.name.lower()] in wanted.specifier, f"{wanted} is locked otherwise: run make lock"


def test_what_runs_in_production_is_what_was_tested() -> None:
    tested = locked("dev.txt")
    assert {name: tested.get(name) for name in locked("run.txt")} == locked("run.txt")


def test_no_lock_installs_a_package_called_headgate_from_a_registry() -> None:
    assert all("headgate" not in locked(path.name) for path in FILES)
    groups = [text for group in PROJECT["dependency-groups"].values() for text in group]
    assert not [text for text in groups if Requirement(text).name == "headgate"]


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_what_is_missing_is_skipped_at_home_and_fails_in_ci(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="no such program"):
        absent("no such program")
