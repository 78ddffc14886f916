"""Making a project, and changing its pipelines as records."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from typer.testing import CliRunner

from headgate.cli.main import app

Call = Callable[..., Any]


def test_a_new_project_checks_and_runs_as_it_is(headgate: Call, tmp_path: Path) -> None:
    made = CliRunner().invoke(app, ["init", str(tmp_path / "new"), "-o", "json"])
    assert made.exit_code == 0
    root = tmp_path / "new"
    assert set(json.loads(made.stdout)["files"]) == {
        "headgate.yml", "pipelines/orders.yml", "data/orders/2024-03-01.csv", ".gitignore", ".headgate/schema.json",
    }  # fmt: skip
    assert headgate("check", directory=root).status == 0
    receipt = headgate("run", "orders", "-o", "json", directory=root).json
    assert receipt["status"] == "success"
    assert [target["table"] for target in receipt["targets"]] == ["orders", "daily_sales"]
    assert receipt["rows"]["quarantined"] == 2
    total = headgate("query", "SELECT SUM(revenue) AS r FROM daily_sales", "-o", "json", directory=root).json
    assert total["rows"] == [["1003.40"]]
    assert ".env" in (root / ".gitignore").read_text()


def test_init_tells_the_next_two_commands(tmp_path: Path) -> None:
    made = CliRunner().invoke(app, ["init", str(tmp_path / "new")])
    lines = made.stdout.splitlines()
    assert [line.split()[:2] for line in lines[-2:]] == [["headgate", "check"], ["headgate", "run"]]


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "headgate.yml").write_text("mine")
    made = CliRunner().invoke(app, ["init", str(tmp_path), "-o", "json"])
    assert made.exit_code == 2
    assert "headgate.yml is there already" in json.loads(made.stdout)["error"]["message"]
    assert [path.name for path in tmp_path.iterdir()] == ["headgate.yml"]
    assert (tmp_path / "headgate.yml").read_text() == "mine"


def test_the_schema_knows_a_good_project(tmp_path: Path) -> None:
    CliRunner().invoke(app, ["init", str(tmp_path / "new")])
    schema = json.loads(CliRunner().invoke(app, ["schema"]).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    document = yaml.safe_load((tmp_path / "new" / "headgate.yml").read_text())
    jsonschema.validate(document, schema)


def test_pipelines_are_listed(headgate: Call) -> None:
    assert [one["name"] for one in headgate("config", "list", "-o", "json").json] == ["orders", "totals"]
    assert "orders  headgate.yml" in headgate("config", "list").out


def test_pipelines_are_shown_in_the_canonical_spelling(headgate: Call, project: Path) -> None:
    file = project / "headgate.yml"
    file.write_text(file.read_text().replace("mode: append}", "write_mode: append}"))
    shown = headgate("config", "show", "orders", "-o", "json").json
    assert shown["target"]["mode"] == "append"
    text = headgate("config", "show", "orders").out
    assert yaml.safe_load(text) == {"pipelines": {"orders": shown}}
    assert set(headgate("config", "show", "-o", "json").json) == {"orders", "totals"}
    assert headgate("config", "show", "nonsense").status == 2


def test_secrets_are_shown_as_references(headgate: Call, project: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("CUSTOMER", "the-secret-customer")
    file = project / "headgate.yml"
    file.write_text(file.read_text().replace("status <> 'test'", "customer <> '${CUSTOMER}'"))
    for output in ("text", "json"):
        answer = headgate("config", "show", "orders", "-o", output)
        assert answer.status == 0
        assert "${CUSTOMER}" in answer.out
        assert "the-secret-customer" not in answer.out


def test_a_pipeline_is_created_changed_and_deleted(headgate: Call, project: Path) -> None:
    definition = json.dumps({"source": {"table": "orders"}, "target": {"table": "copy", "mode": "overwrite"}})
    created = headgate("config", "create", "copy", "--from", "-", "-o", "json", stdin=definition)
    assert created.json == {"name": "copy", "file": "pipelines/copy.yml"}
    assert headgate("config", "create", "copy", "--from", "-", stdin=definition).status == 2
    assert headgate("config", "set", "copy", "owner", "data-team").status == 0
    assert headgate("config", "set", "copy", "tags", "[a, b]").status == 0
    shown = headgate("config", "show", "copy", "-o", "json").json
    assert (shown["owner"], shown["tags"]) == ("data-team", ["a", "b"])
    assert headgate("config", "create", "copy", "--from", "-", "--replace", stdin=definition).status == 0
    assert "owner" not in headgate("config", "show", "copy", "-o", "json").json
    assert headgate("config", "delete", "copy").out == "deleted copy in pipelines/copy.yml\n"
    assert not (project / "pipelines" / "copy.yml").exists()
    assert headgate("config", "delete", "copy", "-o", "json").json["error"]["code"] == "NOT_FOUND"


def test_a_change_that_would_break_the_project_is_refused(headgate: Call, project: Path) -> None:
    before = (project / "headgate.yml").read_text()
    answer = headgate("config", "set", "orders", "source.mode", "sideways", "-o", "json")
    assert answer.status == 2
    assert answer.json["error"]["problems"][0]["path"] == "pipelines.orders.source.mode"
    assert headgate("config", "delete", "orders").status == 2
    assert (project / "headgate.yml").read_text() == before


def test_a_definition_that_cannot_be_read_is_refused(headgate: Call, tmp_path: Path) -> None:
    assert headgate("config", "create", "x", "--from", str(tmp_path / "none.yml")).status == 2
    (tmp_path / "bytes.yml").write_bytes(b"\xff\xfe\xfa")
    assert headgate("config", "create", "x", "--from", str(tmp_path / "bytes.yml")).status == 2
    assert headgate("config", "create", "x", "--from", "-", stdin="").status == 2
    assert headgate("config", "create", "x", "--from", "-", stdin="a: [").status == 2
