"""No picture and no page shows a secret."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.diagrams.conftest import Shop

VALUE = 'hunter2 & "so <on>'
PROJECT = """
version: 1
project: quiet
connections:
  db: {type: sqlite, path: "db-${PASSWORD_NAME}.sqlite"}
  other: {type: postgres, host: localhost, database: d, username: u, password: "${PASSWORD}"}
alerts: [{type: slack, webhook: "${PASSWORD}", on: [failed]}]
pipelines:
  quiet:
    description: it says hunter2 & "so <on>
    owner: 'hunter2 & "so <on>'
    source: {connection: db, query: "SELECT a FROM t WHERE a <> 'hunter2 & \\"so <on>'"}
    transformations:
      - {type: filter, condition: "a <> 'hunter2 & \\"so <on>'"}
    target: {table: quiet, mode: overwrite, allow_empty: true}
"""


@pytest.fixture
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("PASSWORD", VALUE)
    monkeypatch.setenv("PASSWORD_NAME", "x")
    (tmp_path / "headgate.yml").write_text(PROJECT)
    with sqlite3.connect(tmp_path / "db-x.sqlite") as database:
        database.execute("CREATE TABLE t (a TEXT)")
    return Shop(tmp_path)


@pytest.mark.parametrize("kind", ["architecture", "activity", "sequence", "lineage", "dag", "er"])
@pytest.mark.parametrize("form", ["mermaid", "json", "dot", "text"])
def test_a_diagram_shows_no_secret(quiet: Shop, kind: str, form: str) -> None:
    if form == "dot" and kind in ("sequence", "er"):
        return
    text = quiet.call("diagram", "quiet", "--kind", kind, "--format", form)
    assert "hunter2" not in text
    assert "so <on>" not in text
    assert "#60;on" not in text


def test_a_page_shows_no_secret(quiet: Shop) -> None:
    quiet.call("docs", "--live")
    files = [file for file in (quiet.root / "site").rglob("*") if file.is_file()]
    assert len(files) > 30
    assert [file for file in files if b"hunter2" in file.read_bytes()] == []
    assert "***" in (quiet.root / "site" / "pipelines" / "quiet.html").read_text()
