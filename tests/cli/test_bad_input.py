"""Bad input gives one clear message, the right exit status and no traceback; afterwards the next run works."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import Server

Call = Callable[..., Any]
HEADER = "id,customer,quantity,price,status\n"
ROWS = HEADER + "1,Ann,2,10,paid\n"


def orders(project: Path) -> Path:
    return project / "inbox" / "orders" / "1.csv"


def recovers(headgate: Call, project: Path) -> None:
    """The next run, on good input, works and publishes exactly that."""
    orders(project).write_text(ROWS)
    answer = headgate("run", "orders", "-o", "json")
    assert answer.status == 0, answer.out + answer.err
    assert headgate("query", "SELECT id FROM orders", "-o", "json").json["rows"] == [[1]]


def refused(headgate: Call, status: int, code: str, *words: str, name: str = "orders") -> None:
    """The run fails with one message that has all words, as text and in JSON."""
    text = headgate("run", name, "--quiet")
    assert text.status == status, text.out + text.err
    assert text.err.count("error[") == 1
    assert text.err.startswith(f"error[{code}]")
    for word in words:
        assert word in text.err, text.err
    document = headgate("run", name, "-o", "json")
    assert document.status == status
    assert document.json["error"]["code"] == code
    assert document.json["error"]["message"]
    assert document.json["error"]["operation"]


def test_a_missing_file(headgate: Call, project: Path) -> None:
    orders(project).unlink()
    refused(headgate, 2, "SOURCE_NOT_FOUND", "orders/*.csv", "hint:")
    recovers(headgate, project)


def test_a_missing_folder(headgate: Call, project: Path) -> None:
    shutil.rmtree(project / "inbox")
    refused(headgate, 2, "SOURCE_NOT_FOUND", "hint:")
    (project / "inbox" / "orders").mkdir(parents=True)
    recovers(headgate, project)


def test_an_empty_file(headgate: Call, project: Path) -> None:
    orders(project).write_text("")
    answer = headgate("run", "orders", "--quiet")
    assert answer.status != 0
    assert answer.err.count("error[") == 1
    assert "empty" in answer.err
    recovers(headgate, project)


def test_a_file_with_nothing_but_a_header_has_no_rows(headgate: Call, project: Path) -> None:
    file = project / "headgate.yml"
    text = file.read_text()
    start, end = text.index("    transformations:"), text.index("    target: {table: orders")
    file.write_text(text[:start] + text[end:])
    orders(project).write_text(HEADER)
    answer = headgate("run", "orders", "-o", "json")
    assert answer.status == 0, answer.err
    assert answer.json["rows"]["extracted"] == 0


def test_a_wrong_delimiter(headgate: Call, project: Path) -> None:
    file = project / "headgate.yml"
    file.write_text(file.read_text().replace('path: "orders/*.csv",', 'path: "orders/*.csv", delimiter: ";",'))
    answer = headgate("run", "orders", "-o", "json")
    assert answer.status != 0
    assert "delimiter" in answer.json["error"]["message"] + answer.json["error"]["hint"]
    file.write_text(file.read_text().replace(', delimiter: ";"', ""))
    recovers(headgate, project)


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("id,custmer,quantity,price,status", 'column "custmer" is new; did you mean "customer"?'),
        ("id,customer,quantity,price,status,note", 'column "note" is new'),
        ("id,customer,quantity,price", 'column "status" is missing'),
        ("customer,id,quantity,price,status", "the columns are customer, id,"),
        ("id;customer;quantity;price;status", "another delimiter?"),
    ],
)
def test_other_columns_in_a_new_file_are_found_by_check_and_plan(
    headgate: Call, project: Path, header: str, told: str
) -> None:
    assert headgate("run", "orders").status == 0
    (project / "inbox" / "orders" / "2.csv").write_text(header + "\n9,Zoe,1,1,paid\n")
    for command in ("check", "plan"):
        answer = headgate(command, "orders")
        assert answer.status == 2 or (command, answer.status) == ("plan", 1)
        assert "2.csv" in answer.out + answer.err
        assert told in answer.out + answer.err
    assert headgate("check", "orders", "--offline").status == 0
    refused(headgate, 1, "SCHEMA_MISMATCH", "2.csv", told)


def test_bytes_that_are_no_utf_8(headgate: Call, project: Path) -> None:
    orders(project).write_bytes(ROWS.encode() + b"2,\xff\xfe,1,1,paid\n")
    answer = headgate("run", "orders", "--quiet")
    assert answer.status == 1, answer.err
    assert answer.err.count("error[") == 1
    assert "UTF-8" in answer.err or "unicode" in answer.err.lower()
    recovers(headgate, project)


def test_a_row_with_too_many_columns(headgate: Call, project: Path) -> None:
    orders(project).write_text(ROWS + "2,Bob,1,1,paid,and,more\n")
    refused(headgate, 1, "ROW_ERROR", "1 of 2 rows")
    recovers(headgate, project)


def test_a_row_with_too_many_columns_is_held_back_if_wanted(headgate: Call, project: Path) -> None:
    file = project / "headgate.yml"
    held = "    error_handling: {on_row_error: quarantine}\n    target: {table: orders"
    file.write_text(file.read_text().replace("    target: {table: orders", held))
    orders(project).write_text(ROWS + "2,Bob,1,1,paid,and,more\n")
    answer = headgate("run", "orders", "-o", "json")
    assert answer.status == 0, answer.err
    assert (answer.json["rows"]["loaded"], answer.json["rows"]["quarantined"]) == (1, 1)


def test_a_hint_can_be_typed_as_it_stands(headgate: Call, project: Path) -> None:
    assert headgate("run", "orders").status == 0
    (orders(project).parent / "2.csv").write_text(HEADER.replace("price", "cost") + "2,Bob,1,1,paid\n")
    answer = headgate("run", "orders", "-o", "json")
    assert answer.status == 1
    command = "headgate state reset orders"
    assert command in answer.json["error"]["hint"]
    assert headgate(*command.split()[1:]).status == 0


def test_an_unknown_table(headgate: Call) -> None:
    refused(headgate, 2, "TABLE_NOT_FOUND", "orders", name="totals")
    assert headgate("run", "orders", "totals").status == 0


def test_an_unknown_column(headgate: Call, project: Path) -> None:
    file = project / "headgate.yml"
    file.write_text(file.read_text().replace("quantity * price", "quantty * price"))
    refused(headgate, 2, "PLAN_INVALID", 'did you mean "quantity"?', "headgate.yml:12")
    file.write_text(file.read_text().replace("quantty * price", "quantity * price"))
    recovers(headgate, project)


def test_a_lake_that_cannot_be_written(headgate: Call, project: Path) -> None:
    state = project / ".headgate"
    state.mkdir()
    (state / "lake").write_text("a file where a folder should be")
    answer = headgate("run", "orders", "--quiet")
    assert answer.status == 1, answer.err
    assert answer.err.count("error[") == 1
    assert "lake" in answer.err
    (state / "lake").unlink()
    recovers(headgate, project)


def write_connection(project: Path, url: str) -> None:
    file = project / "headgate.yml"
    file.write_text(file.read_text().replace("{type: sqlite, path: books.db}", f'{{type: postgres, url: "{url}"}}'))


def test_a_dead_server(headgate: Call, project: Path, tmp_path: Path) -> None:
    write_connection(project, f"postgresql:///nothing?host={tmp_path}")
    headgate("run", "orders")
    refused(headgate, 1, "CONNECTION_FAILED", "is the server running", name="totals")
    health = headgate("health")
    assert health.status == 1
    assert "FAIL books (postgres)" in health.out


def test_a_wrong_password(
    headgate: Call, project: Path, postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOKS_URL", postgres_server.url("postgres", "guarded") + "&password=not-the-password")
    write_connection(project, "${BOOKS_URL}")
    headgate("run", "orders")
    refused(headgate, 1, "AUTHENTICATION_FAILED", name="totals")
    for arguments in (["run", "totals"], ["connections", "test", "books"], ["health", "-o", "json"]):
        answer = headgate(*arguments)
        assert answer.status == 1
        assert "not-the-password" not in answer.out + answer.err


def test_a_connection_of_an_unknown_kind_is_told_once(headgate: Call, project: Path) -> None:
    """Who uses it is not told that there is none."""
    file = project / "headgate.yml"
    file.write_text(file.read_text().replace("{type: local, path: inbox}", "{type: locl, path: inbox}"))
    answer = headgate("check")
    assert answer.status == 2
    assert 'unknown kind of connection "locl" (did you mean "local"?)' in answer.out + answer.err
    assert "there is no connection" not in answer.out + answer.err


def test_health_tells_what_a_run_could_not_write(
    headgate: Call, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    headgate("run", "orders")
    real = os.access
    closed = project / ".headgate"

    def access(path: Path, mode: int) -> bool:
        return real(path, mode) and not (mode & os.W_OK and Path(path).is_relative_to(closed))

    monkeypatch.setattr(os, "access", access)
    answer = headgate("health")
    assert answer.status == 1
    assert "FAIL lake (iceberg): " in answer.out
    assert "FAIL state (history): " in answer.out
    assert answer.out.count("not writable") == 2


def test_health_tells_of_a_full_disk(headgate: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    headgate("run", "orders")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(1 << 30, 1 << 30, 4096))
    answer = headgate("health", "-o", "json")
    assert answer.status == 1
    codes = {check["name"]: check["code"] for check in answer.json["checks"]}
    assert (codes["lake"], codes["state"]) == ("DISK_FULL", "DISK_FULL")


def test_a_condition_that_the_server_refuses_is_found_by_check(
    headgate: Call, project: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a run reads anything, and the query is told as it was written."""
    monkeypatch.setenv("BOOKS_URL", postgres_url)
    write_connection(project, "${BOOKS_URL}")
    with (project / "headgate.yml").open("a") as file:
        file.write("""
  wrong: {source: {connection: books, table: pg_catalog.pg_class, where: "relnme > 'a'"}, target: {table: t}}
  broken: {source: {connection: books, query: "SELECT * FRM pg_class"}, target: {table: t}}
""")
    answer = headgate("check", "wrong", "broken", "-o", "json")
    assert answer.status == 2
    where, query = answer.json["problems"]
    assert 'column "relnme" does not exist' in where["message"]
    assert query["message"] == 'SELECT * FRM pg_class: syntax error at or near "FRM"'


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("table: nowhere.totals", 'there is no schema "nowhere"'),
        ("table: pg_catalog.pg_views", "not into views"),
        ("table: absent, create: false", 'there is no table "absent"'),
    ],
)
def test_a_table_that_the_server_could_not_write_is_found_by_check(
    headgate: Call, project: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch, target: str, told: str
) -> None:
    """With its line, also before the table is there that the pipeline reads; a run ends before it reads anything."""
    monkeypatch.setenv("BOOKS_URL", postgres_url)
    write_connection(project, "${BOOKS_URL}")
    file = project / "headgate.yml"
    file.write_text(file.read_text().replace("connection: books, table: totals", f"connection: books, {target}"))
    line = next(number for number, text in enumerate(file.read_text().splitlines(), 1) if target in text)
    answer = headgate("check", "totals", "-o", "json")
    assert answer.status == 2
    (problem,) = answer.json["problems"]
    assert told in problem["message"]
    assert (problem["file"], problem["line"]) == ("headgate.yml", line)
    assert problem["path"].startswith("pipelines.totals.target")
    assert told in headgate("run", "orders", "totals").err


def test_an_unknown_lake_is_one_problem(headgate: Call, project: Path) -> None:
    file = project / "headgate.yml"
    file.write_text(file.read_text() + "lake: {type: icebreg, path: there}\n")
    for arguments in (["check"], ["check", "--offline"]):
        answer = headgate(*arguments, "-o", "json")
        assert answer.status == 2
        (problem,) = answer.json["problems"]
        assert (problem["path"], problem["hint"]) == ("lake.type", 'did you mean "iceberg"?')


@pytest.mark.parametrize("url", ["mysql://etl@db/history", "${HISTORY_URL}"])
def test_a_history_of_another_kind_is_found_by_check(
    headgate: Call, project: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HISTORY_URL", "mysql://etl:canary@db/history")
    file = project / "headgate.yml"
    file.write_text(file.read_text() + f'state: {{url: "{url}"}}\n')
    answer = headgate("check", "--offline", "-o", "json")
    assert answer.status == 2
    (problem,) = answer.json["problems"]
    assert (problem["path"], "postgresql://" in problem["hint"]) == ("state.url", True)
    assert "canary" not in answer.out
    assert headgate("run", "orders").status == 2


def test_what_was_done_already_is_told_once(headgate: Call) -> None:
    headgate("run", "orders")
    headgate("run", "totals", "--date", "2024-01-01")
    again = headgate("run", "totals", "--date", "2024-01-01")
    assert again.out.count("already done by run") == 1
