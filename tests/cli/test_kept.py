"""Watermarks and the quarantine from the command line."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

CHANGES = """\
changes:
  source: {connection: books, table: ledger, mode: incremental, incremental: {column: id, key: id}}
  target: {table: changes}
"""


@pytest.fixture
def ledger(project: Path) -> Path:
    """A pipeline that reads a growing table of SQLite."""
    (project / "pipelines").mkdir()
    (project / "pipelines" / "changes.yml").write_text(CHANGES)
    with closing(sqlite3.connect(project / "books.db")) as books, books:
        books.execute("CREATE TABLE ledger (id INTEGER PRIMARY KEY, amount INTEGER)")
        books.executemany("INSERT INTO ledger VALUES (?, ?)", [(1, 10), (2, 20), (3, 30)])
    return project


def test_watermarks_are_shown_set_and_forgotten(headgate: Call, ledger: Path) -> None:
    assert ledger.is_dir()
    assert headgate("state", "show", "-o", "json").json == []
    assert "from the beginning" in headgate("state", "show").out
    run = headgate("run", "changes", "-o", "json").json["run_id"]
    (mark,) = headgate("state", "show", "changes", "-o", "json").json
    assert (mark["pipeline"], mark["column"], str(mark["value"]), mark["run_id"]) == ("changes", "id", "3", run)
    assert "id" in headgate("state", "show").out
    assert headgate("state", "set", "changes", "1").status == 0
    assert headgate("run", "changes", "-o", "json").json["rows"]["extracted"] == 2
    assert headgate("state", "reset", "changes", "-o", "json").status == 0
    assert headgate("state", "show", "-o", "json").json == []


def test_a_watermark_that_the_source_cannot_go_on_from_is_refused(headgate: Call, ledger: Path) -> None:
    assert ledger.is_dir()
    headgate("run", "changes")
    answer = headgate("state", "set", "changes", "yesterday", "-o", "json")
    assert (answer.status, answer.json["error"]["code"]) == (2, "USAGE")
    assert "'yesterday' cannot be a position in id" in answer.json["error"]["message"]
    assert headgate("run", "changes", "-o", "json").json["status"] == "skipped"


def test_a_store_that_does_not_answer_hides_only_its_own_watermarks(headgate: Call, ledger: Path) -> None:
    run = headgate("run", "changes", "-o", "json").json["run_id"]
    file = ledger / "headgate.yml"
    file.write_text(
        file.read_text().replace("path: books.db}", "path: books.db}\n  gone: {type: sqlite, path: gone.db}")
    )
    with (ledger / "pipelines" / "changes.yml").open("a") as pipelines:
        for name in ("lost", "missed"):
            pipelines.write(f"{name}: {{source: {{table: changes}}, target: {{connection: gone, table: {name}}}}}\n")
    (ledger / "gone.db").write_bytes(b"this is no database" * 500)
    answer = headgate("state", "show")
    assert answer.status == 1
    assert run in answer.out
    assert "the watermarks of lost, missed cannot be told: " in answer.err
    assert answer.err.count("gone.db") == 1
    document = headgate("state", "show", "-o", "json")
    assert (document.status, [mark["run_id"] for mark in document.json["watermarks"]]) == (1, [run])
    assert document.json["error"]["operation"] == "state show"
    assert headgate("state", "show", "changes", "-o", "json").json[0]["run_id"] == run


def test_a_watermark_needs_a_cursor(headgate: Call) -> None:
    headgate("run", "orders")
    answer = headgate("state", "set", "orders", "5", "-o", "json")
    assert answer.status == 2
    assert answer.json["error"]["code"] == "UNSUPPORTED"
    assert headgate("state", "show", "nonsense").status == 2


def test_held_rows_are_listed_and_shown_with_their_reasons(headgate: Call) -> None:
    assert headgate("quarantine", "list").out == "no rows were held back\n"
    run = headgate("run", "orders", "-o", "json").json
    (entry,) = headgate("quarantine", "list", "-o", "json").json
    assert entry == {
        "id": run["quarantine"][0], "run_id": run["run_id"], "pipeline": "orders", "rule": "not_null", "rows": 1,
        "status": "held",
    }  # fmt: skip
    assert "not_null" in headgate("quarantine", "list", "orders").out
    shown = headgate("quarantine", "show", entry["id"], "-o", "json").json
    assert shown["columns"][-1] == "_reasons"
    assert shown["rows"][0][:2] == [2, None]
    assert "not_null" in shown["rows"][0][-1][0]
    assert "not_null" in headgate("quarantine", "show", entry["id"], "--limit", "1").out


def test_held_rows_are_replayed_once_the_rule_allows_them(headgate: Call, project: Path) -> None:
    headgate("run", "orders")
    entry = headgate("quarantine", "list", "-o", "json").json[0]["id"]
    still = headgate("quarantine", "replay", entry, "-o", "json")
    assert still.json["rows"]["quarantined"] == 1
    file = project / "headgate.yml"
    file.write_text(file.read_text().replace("columns: [customer], on_fail: quarantine", "columns: [id]"))
    held = [one["id"] for one in headgate("quarantine", "list", "-o", "json").json if one["status"] == "held"]
    replayed = headgate("quarantine", "replay", held[-1], "-o", "json")
    assert replayed.status == 0
    assert replayed.json["rows"]["loaded"] == 1
    assert headgate("query", "SELECT id FROM orders ORDER BY id", "-o", "json").json["rows"] == [[1], [2], [4]]
    again = headgate("quarantine", "replay", held[-1])
    assert again.status == 2


def test_held_rows_are_discarded(headgate: Call) -> None:
    headgate("run", "orders")
    entry = headgate("quarantine", "list", "-o", "json").json[0]["id"]
    assert headgate("quarantine", "discard", entry).out == f"{entry}: discarded\n"
    assert headgate("quarantine", "list", "-o", "json").json[0]["status"] == "discarded"
    assert headgate("quarantine", "discard", entry, "-o", "json").status == 2
    shown = headgate("quarantine", "show", entry, "-o", "json")
    assert shown.json["error"]["message"] == "the entry is discarded, and its rows were removed"


def test_the_evidence_of_a_refused_run_is_listed_and_shown(headgate: Call, project: Path) -> None:
    (project / "inbox" / "orders" / "2.csv").write_text("id,customer,quantity,price,status\n9,Dan,101,1,paid\n")
    headgate("run", "orders")
    entries = headgate("quarantine", "list", "-o", "json").json
    assert {(entry["rule"], entry["status"]) for entry in entries} == {("not_null", "evidence"), ("range", "evidence")}
    broken = next(entry["id"] for entry in entries if entry["rule"] == "range")
    assert headgate("quarantine", "show", broken, "-o", "json").json["rows"][0][0] == 9
    assert headgate("quarantine", "replay", broken).status == 2
    assert headgate("quarantine", "discard", broken, "-o", "json").json == {"id": broken, "status": "discarded"}


@pytest.mark.parametrize("command", ["show", "replay", "discard"])
def test_an_unknown_entry_is_not_found(headgate: Call, command: str) -> None:
    answer = headgate("quarantine", command, "nonsense", "-o", "json")
    assert answer.status == 2
    assert answer.json["error"]["code"] == "NOT_FOUND"


def test_held_rows_are_exported_mended_and_expired(headgate: Call, project: Path) -> None:
    headgate("run", "orders")
    (entry,) = headgate("quarantine", "list", "-o", "json").json
    answer = headgate("quarantine", "export", entry["id"], str(project / "bad.csv"), "-o", "json")
    assert answer.json == {"id": entry["id"], "file": str(project / "bad.csv"), "rows": 1}
    columns = (project / "bad.csv").read_text().splitlines()[0].split(",")
    wrong = headgate("quarantine", "mend", entry["id"], "-o", "json")
    assert (wrong.status, wrong.json["error"]["code"]) == (2, "USAGE")
    assert "--set" in wrong.json["error"]["hint"]
    assert headgate("quarantine", "mend", entry["id"], "--set", f"nonsense{columns[0]}='1'").status == 2
    assert headgate("quarantine", "expire", "--older-than", "soon").status == 2
    assert headgate("quarantine", "expire", "--older-than", "30d", "-o", "json").json["expired"] == []
    assert headgate("quarantine", "expire", "--older-than", "0s").out == "1 entry expired; the rows of 1 removed\n"
    assert headgate("quarantine", "list", "-o", "json").json[0]["status"] == "expired"
