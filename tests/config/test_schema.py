"""The JSON Schema says what the loader says."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from tests.config.conftest import HEAD, Folder
from tests.config.kinds import Kinds
from tests.config.test_load import GOOD
from tests.config.test_spellings import CANONICAL

from headgate.config.schema import project_schema
from headgate.config.yaml import parse, plain


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads(json.dumps(project_schema(Kinds())))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def document(pipelines: str) -> Any:
    both = {**plain(parse(HEAD, "")), "pipelines": plain(parse(pipelines, ""))}
    return json.loads(json.dumps(both, default=str))


@pytest.mark.parametrize("pipelines", [GOOD, CANONICAL])
def test_what_the_loader_takes_the_schema_takes(validator: jsonschema.Draft202012Validator, pipelines: str) -> None:
    assert [error.message for error in validator.iter_errors(document(pipelines))] == []


def test_the_canonical_form_of_what_was_loaded_is_in_the_schema(
    validator: jsonschema.Draft202012Validator, folder: Folder
) -> None:
    folder.write("pipelines/all.yml", GOOD)
    found = {name: one.canonical() for name, one in folder.load().pipelines.items()}
    assert validator.is_valid(json.loads(json.dumps({"project": "p", "pipelines": found}, default=str)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"conections": {}},
        {"version": 2},
        {"connections": {"a": {"type": "nosql"}}},
        {"connections": {"a": {"path": "x"}}},
        {"connections": {"a": {"type": "sqlite"}}},
        {"connections": {"a": {"type": "sqlite", "path": "x", "pth": 1}}},
        {"defaults": {"batch_size": "many"}},
        {"alerts": [{"type": "email"}]},
        {"pipelines": {"p": {"source": {"table": "a"}}}},
        {"pipelines": {"p": {"source": {"tabel": "a"}, "target": {"table": "b"}}}},
        {"pipelines": {"p": {"source": {"table": "a"}, "target": {"table": "b", "mode": "replace"}}}},
        {"pipelines": {"p": {"source": {"table": "a"}, "target": {"table": "b"}, "shedule": "x"}}},
        {"pipelines": {"p": {"source": {"table": "a"}, "target": {"table": "b"}, "transformations": [{"type": "x"}]}}},
        {
            "pipelines": {
                "p": {"source": {"table": "a"}, "target": {"table": "b"}, "quality_rules": [{"type": "range"}]}
            }
        },
    ],
)
def test_what_the_loader_refuses_the_schema_refuses(
    validator: jsonschema.Draft202012Validator, wrong: dict[str, Any]
) -> None:
    assert not validator.is_valid({"project": "p", **wrong})


def test_references_stand_wherever_a_value_stands(validator: jsonschema.Draft202012Validator) -> None:
    text = 'db: {type: postgres, url: "${U}", port: "${PORT:-5432}", read_only: "${RO}"}'
    assert validator.is_valid({"project": "p", "connections": plain(parse(text, ""))})


def test_every_option_is_described() -> None:
    schema = project_schema(Kinds())
    assert schema["$defs"]["transformation"]["properties"]["type"]["enum"] == Kinds().kinds("transforms")
    pipeline = schema["$defs"]["pipeline"]["properties"]
    for key in ("schedule", "depends_on", "error_handling", "timezone"):
        assert pipeline[key].get("description"), key
