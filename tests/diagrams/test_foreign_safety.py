"""Whatever lies there: it is read, never run, and what cannot be read is told with file and line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.mermaid.parser import Parser

from headgate.core.errors import FatalError
from headgate.diagrams.readers import draw, found
from headgate.diagrams.render import mermaid
from headgate.diagrams.source.mending import parsed
from headgate.diagrams.source.project import source
from headgate.diagrams.tree import MAX_BYTES, tree

READ = "import pandas as pd\nframe = pd.read_csv('in.csv')\nframe.to_csv('out.csv')\n"


def whats(path: Path) -> list[str]:
    return [step.what for entry in source(tree(path)).entries for step in entry.body.steps()]


def problems(path: Path) -> list[str]:
    scanned = tree(path)
    found(scanned)
    return [str(problem) for problem in scanned.problems]


def test_a_file_that_deletes_on_import_is_only_read(tmp_path: Path) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("alive")
    (tmp_path / "evil.py").write_text(
        f"import os, shutil\nos.remove({str(victim)!r})\nshutil.rmtree({str(tmp_path)!r})\n"
        f"open({str(tmp_path / 'mark')!r}, 'w').write('x')\nexec(\"raise SystemExit\")\n{READ}"
    )
    (tmp_path / "conftest.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w')")
    (tmp_path / "dag.py").write_text(f"from airflow import DAG\nopen({str(tmp_path / 'mark')!r}, 'w')\n")
    drawn, _ = draw(tree(tmp_path), kind="activity")
    assert "read_csv" in mermaid(drawn)
    assert victim.read_text() == "alive"
    assert not (tmp_path / "mark").exists()


def test_a_broken_statement_is_told_and_the_rest_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "half.py").write_text(f"{READ}\ndef broken(:\n    return 1\n\ndef later():\n    pd.read_parquet('x')\n")
    assert whats(tmp_path) == ["read_csv", "to_csv", "read_parquet"]
    assert problems(tmp_path) == ["half.py:5: it is no valid Python: invalid syntax"]


def test_python_2_is_read(tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text(
        "import urllib2\ndef main():\n  try:\n\tx = urllib2.urlopen('http://a.org/x').read()\n"
        "  except IOError, e:\n\tprint 'no', `e`, 0777, 10L\n\traise ValueError, 'no'\n"
        "  if x <> ur'a':\n\tprint\n\texec 'pass'\nmain()\n"
    )
    assert whats(tmp_path)[0] == "urlopen"
    assert problems(tmp_path) == []


@pytest.mark.parametrize(
    "data",
    [
        b"# coding: latin-1\n# \xe9\n" + READ.encode(),
        b"\xef\xbb\xbf" + READ.encode(),
        READ.encode("utf-16"),
        READ.encode("utf-16-le"),
        b"\xff\xfe\x00\x00" + READ.encode("utf-32-le"),
        b"# caf\xe9 without a cookie\n" + READ.encode(),
        READ.replace("\n", "\r\n").encode(),
    ],
)
def test_any_coding_is_read(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "coded.py").write_bytes(data)
    assert whats(tmp_path) == ["read_csv", "to_csv"]


def test_what_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "garbage.py").write_bytes(os.urandom(4096) + b"\0" * 100)
    (tmp_path / "unknown.py").write_bytes(b"# coding: klingon\nx = 1\n")
    (tmp_path / "hex.py").write_bytes(b"# coding: hex\n6162\n")
    (tmp_path / "good.py").write_text(READ)
    assert len(problems(tmp_path)) == 3
    assert whats(tmp_path) == ["read_csv", "to_csv"]


def test_a_huge_file_is_left_out_and_told(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(READ)
    (tmp_path / "huge.py").write_bytes(b"x = 1\n" * (MAX_BYTES // 6 + 1))
    assert whats(tmp_path) == ["read_csv", "to_csv"]
    assert any(one.startswith("huge.py:") and "left out" in one for one in problems(tmp_path))


def test_links_in_a_circle_and_pipes_end(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "self.py").symlink_to(tmp_path / "self.py")
    (tmp_path / "gone.py").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "good.py").write_text(READ)
    assert whats(tmp_path) == ["read_csv", "to_csv"]


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "(" * 5000 + ")" * 5000,
        "x = " + "1 + " * 20_000 + "1",
        "x = " + "not " * 20_000 + "1",
        "x = a" + ".b" * 20_000,
        "x = a" + "()" * 20_000,
        "x = " + "[" * 3000 + "]" * 3000,
        "\n".join("  " * depth + "if x:" for depth in range(99)) + "\n" + "  " * 99 + "pass",
        "x = lambda: " * 3000 + "1",
    ],
)
def test_nesting_without_end_is_a_problem_not_a_crash(tmp_path: Path, text: str) -> None:
    (tmp_path / "deep.py").write_text(text)
    (tmp_path / "good.py").write_text(READ)
    assert whats(tmp_path) == ["read_csv", "to_csv"]
    assert all("deep.py" in one for one in problems(tmp_path))


def test_a_function_of_ten_thousand_lines_is_drawn_smaller(tmp_path: Path, mermaid_parser: Parser) -> None:
    lines = "".join(f"    frame = frame[frame.a > {number}]\n" for number in range(10_000))
    (tmp_path / "long.py").write_text(
        f"import pandas as pd\ndef run():\n    frame = pd.read_csv('a')\n{lines}    frame.to_csv('b')\n"
    )
    drawn, _ = draw(tree(tmp_path), kind="activity")
    assert mermaid_parser.kind(mermaid(drawn)) == "flowchart-v2"


def test_functions_that_call_each_other_for_ever_end(tmp_path: Path) -> None:
    functions = "".join(f"def f{n}(x):\n    return f{(n + 1) % 40}(x) + f{(n + 7) % 40}(x)\n" for n in range(40))
    (tmp_path / "round.py").write_text(f"{READ}{functions}f0(frame)\n")
    assert whats(tmp_path)[:2] == ["read_csv", "to_csv"]


def test_secrets_in_code_are_never_drawn(tmp_path: Path) -> None:
    (tmp_path / "load.py").write_text(
        "import pandas as pd, requests\nfrom sqlalchemy import create_engine\n"
        "engine = create_engine('postgresql://etl:hunter2@db/app')\n"
        "frame = pd.read_sql('select * from t', engine)\n"
        "requests.get('https://bob:hunter2@api.org/x?token=hunter2', headers={'Authorization': 'hunter2'})\n"
        "requests.post('https://hooks.slack.com/services/hunter2', json={'text': 'x'})\n"
        "pd.read_csv('https://me:hunter2@files.org/a.csv?sig=hunter2')\n"
    )
    for kind in ("architecture", "activity", "sequence", "data-flow"):
        drawn, _ = draw(tree(tmp_path), kind=kind)
        assert "hunter2" not in mermaid(drawn)
        assert "hunter2" not in str(drawn)


def test_nothing_recognised_is_an_error_that_says_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing")
    with pytest.raises(FatalError, match="nothing was recognised"):
        draw(tree(tmp_path))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=st.text(st.sampled_from("print except raise, exec `<>0777L:\n\t ()'\"=abc"), max_size=200))
def test_any_text_is_parsed_or_told(text: str) -> None:
    told: list[str] = []
    result = parsed(text, lambda message, _line: told.append(message))
    assert result is not None or told
