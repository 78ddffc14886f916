"""A new project is there whole, and a user's own files stay."""

from __future__ import annotations

from pathlib import Path

from headgate.commands.init import init_project
from headgate.commands.models import InitProject
from headgate.core.errors import Code
from headgate.execute.workspace import Workspace


def test_the_project_is_named_after_its_folder(tmp_path: Path) -> None:
    made = init_project(InitProject(folder=str(tmp_path / "my shop"))).unwrap()
    assert made["folder"] == str(tmp_path / "my shop")
    assert Workspace.load(tmp_path / "my shop", deep=True).project.name == "my_shop"


def test_a_gitignore_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n")
    result = init_project(InitProject(folder=str(tmp_path)))
    assert ".gitignore" not in result.unwrap()["files"]
    assert (tmp_path / ".gitignore").read_text() == "mine\n"


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = init_project(InitProject(folder=str(tmp_path / "file" / "new")))
    assert result.error_code is Code.STORAGE_FAILED
