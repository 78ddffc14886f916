"""``headgate diagram --from PATH``: what people and scripts see of foreign code."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Call

SCRIPT = "import pandas as pd\nframe = pd.read_csv('in.csv')\nframe.merge(frame, on='id').to_csv('out.csv')\n"


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "first.py").write_text(SCRIPT)
    (folder / "second.py").write_text(SCRIPT)
    (folder / "broken.py").write_text("def x(:\n  pass\n\n\n")
    return folder


def test_no_project_of_headgate_is_needed(headgate: Call, code: Path, tmp_path: Path) -> None:
    answer = headgate("diagram", "--from", str(code / "first.py"), directory=tmp_path)
    assert answer.status == 0
    assert "Transform#58; merge<br/>JOIN ON id" in answer.out


def test_problems_are_told_beside_with_file_and_line(headgate: Call, code: Path) -> None:
    answer = headgate("diagram", "--from", str(code))
    assert answer.status == 0
    assert "broken.py:1: it is no valid Python: invalid syntax" in answer.err
    assert "there are also" in answer.err


def test_a_name_chooses_what_is_drawn(headgate: Call, code: Path) -> None:
    answer = headgate("diagram", "second", "--from", str(code), "--kind", "activity")
    assert 'title: "What second does"' in answer.out
    assert "there are also" not in answer.err
    answer = headgate("diagram", "secund", "--from", str(code))
    assert (answer.status, "second" in answer.err) == (2, True)


def test_json_is_one_document(headgate: Call, code: Path) -> None:
    document = headgate("diagram", "--from", str(code / "first.py"), "-o", "json").json
    assert document["type"] == "graph"
    assert {node["role"] for node in document["nodes"]} >= {"extract", "transform", "load"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--kind", "er"), "kinds: architecture, activity, sequence, data-flow, dag, deployment"),
        (("--kind", "deployment"), "there is nothing to draw as deployment"),
        (("--run", "x"), "leave --run out"),
    ],
)
def test_what_cannot_be_drawn_is_refused(headgate: Call, code: Path, arguments: tuple[str, ...], message: str) -> None:
    answer = headgate("diagram", "--from", str(code), *arguments)
    assert answer.status == 2
    assert message in answer.err


def test_a_path_that_is_not_there_is_an_error(headgate: Call, code: Path) -> None:
    answer = headgate("diagram", "--from", str(code / "nothing"))
    assert (answer.status, "there is no such file or folder" in answer.err) == (2, True)


def test_direction_and_file_are_chosen(headgate: Call, code: Path, tmp_path: Path) -> None:
    answer = headgate("diagram", "--from", str(code / "first.py"), "--direction", "LR", "-o", str(tmp_path / "x.mmd"))
    assert (answer.status, answer.out) == (0, "")
    assert "flowchart LR" in (tmp_path / "x.mmd").read_text()
