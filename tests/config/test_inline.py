"""No secret stands in a file."""

from __future__ import annotations

import pytest
from tests.config.conftest import Folder

REFUSED = [
    "connections: {a: {type: postgres, database: d, password: hunter2}}",
    "connections: {a: {type: postgres, database: d, password: 12345}}",
    "connections: {a: {type: postgres, database: d, password: '${P:-hunter2}'}}",
    "connections: {a: {type: postgres, url: 'postgresql://u:hunter2@h/d'}}",
    "connections: {a: {type: postgres, url: 'postgresql://u:hunter2@${HOST}/d'}}",
    "connections: {a: {type: postgres, url: 'postgresql:///d?password=hunter2'}}",
    "connections: {a: {type: postgres, url: 'host=h password=hunter2'}}",
    "connections: {a: {type: postgres, url: '${U:-postgresql://u:hunter2@h/d}'}}",
    "state: {url: 'postgresql://u:hunter2@h/d'}",
    "alerts: [{type: slack, webhook: 'https://hooks.slack.com/services/hunter2'}]",
    "alerts: [{type: pagerduty, service_key: hunter2}]",
]
ALLOWED = [
    "connections: {a: {type: postgres, database: d, password: '${P}'}}",
    "connections: {a: {type: postgres, database: d, password: '${P:-}'}}",
    "connections: {a: {type: postgres, url: 'postgresql://u@h:5432/d'}}",
    "connections: {a: {type: postgres, url: 'postgresql://u:${P}@h/d'}}",
    "connections: {a: {type: postgres, url: 'postgresql:///d?host=/tmp&user=me'}}",
    "connections: {a: {type: postgres, url: 'postgresql:///d?password=${P}'}}",
]


@pytest.mark.parametrize("text", REFUSED)
def test_a_secret_in_the_file_is_refused_and_not_repeated(folder: Folder, text: str) -> None:
    folder.write("headgate.yml", f"project: p\n{text}\n")
    problem = folder.problems()[0]
    assert "must not stand in the file" in problem.message or "default" in problem.message
    assert problem.line == 2
    assert "hunter2" not in " ".join(str(one) for one in folder.problems())


@pytest.mark.parametrize("text", ALLOWED)
def test_references_and_urls_without_a_password_are_fine(folder: Folder, text: str) -> None:
    folder.write("headgate.yml", f"project: p\n{text}\n")
    folder.environment = {"P": "secret"}
    assert "a" in folder.load().connections


def test_sql_about_passwords_is_fine(folder: Folder) -> None:
    query = "SELECT * FROM users WHERE password = 'x' AND token = 'y'"
    folder.write("pipelines/p.yml", f'p: {{source: {{connection: db, query: "{query}"}}, target: {{table: t}}}}\n')
    assert folder.load().pipeline("p").sources[0].query == query


def test_a_wrong_value_of_a_secret_is_not_shown(folder: Folder) -> None:
    folder.write("headgate.yml", "project: p\nconnections: {a: {type: postgres, database: d, passwort: hunter2x}}\n")
    assert "hunter2x" not in str(folder.problem())
