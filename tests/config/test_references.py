"""References are substituted once, as text, and only where the value is used."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from tests.config.conftest import Folder

from headgate.config.references import Given, References, asks
from headgate.core.errors import Code, FatalError
from headgate.core.secrets import mask


def text(value: str, root: Path = Path(), **environment: str) -> str:
    found, missing = References(environment, root).substitute({"k": value})
    assert not missing, missing
    return str(found["k"])


def why(value: str, root: Path = Path(), **environment: str) -> str:
    _, missing = References(environment, root).substitute({"k": [value]})
    assert [one.path for one in missing] == [("k", 0)]
    return missing[0].message


def test_variables_and_their_defaults() -> None:
    assert text("${A}", A="x") == "x"
    assert text("a${A}b${B}", A="1", B="2") == "a1b2"
    assert text("${A:-y}") == "y"
    assert text("${A:-y}", A="") == "y"
    assert text("${A}", A="") == ""
    assert text("${A:-}") == ""
    assert why("${A}") == "the variable A is not set"


def test_what_comes_out_is_not_read_again() -> None:
    assert text("${A}", A="${B}", B="no") == "${B}"
    assert text("{{7*7}} $(id) `id` ${A}", A="__class__") == "{{7*7}} $(id) `id` __class__"


@pytest.mark.parametrize(
    "wrong", ["${}", "${1A}", "${A B}", "${A-b}", "${vault:x}", "${file:}", "${A", "x${", "${${A}}"]
)
def test_what_is_no_reference_is_told(wrong: str) -> None:
    assert why(wrong, A="1")


def test_files_are_read_and_masked(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("hunter2hunter2\n")
    (tmp_path / "bin").write_bytes(b"\xff\xfe")
    assert text("${file:pw}", tmp_path) == "hunter2hunter2"
    assert text(f"${{file:{tmp_path}/pw}}", tmp_path) == "hunter2hunter2"
    assert "hunter2" not in mask("password hunter2hunter2")
    assert "cannot be read" in why("${file:gone}", tmp_path)
    assert "not UTF-8" in why("${file:bin}", tmp_path)


def test_given_text_holds_no_references() -> None:
    found, missing = References({}, Path()).substitute({"k": Given("${A}")})
    assert (found, missing) == ({"k": "${A}"}, [])
    assert not asks({"k": Given("${aws-sm:x}")})


def test_the_secrets_manager_is_asked_only_on_use(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Client:
        def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803 - the client's own name
            asked.append(SecretId)
            return {"SecretString": '{"password": "s3cr3tvalue"}'}

    failures = SimpleNamespace(BotoCoreError=OSError, ClientError=LookupError)
    monkeypatch.setitem(sys.modules, "boto3", SimpleNamespace(client=lambda _: Client()))
    monkeypatch.setitem(sys.modules, "botocore", ModuleType("botocore"))
    monkeypatch.setitem(sys.modules, "botocore.exceptions", failures)
    folder.write(
        "headgate.yml",
        """
        project: shop
        connections:
          db: {type: postgres, database: d, password: "${aws-sm:prod/db#password}"}
          other: {type: postgres, database: d, password: "${aws-sm:prod/db#gone}"}
        """,
    )
    project = folder.load()
    assert asked == []
    connection = dict(project.connections["db"])
    assert connection["password"].reveal() == "s3cr3tvalue"
    assert "s3cr3t" not in repr(project.connections["db"])
    with pytest.raises(FatalError, match='no key "gone"'):
        _ = project.connections["other"]
    assert asked == ["prod/db", "prod/db"]


def test_a_missing_client_names_what_to_install(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    folder.write(
        "headgate.yml",
        """
        project: shop
        connections:
          db: {type: postgres, database: d, password: "${aws-sm:prod/db}"}
        """,
    )
    with pytest.raises(FatalError, match="boto3 is not installed") as caught:
        _ = folder.load().connections["db"]
    assert caught.value.code is Code.DRIVER_MISSING


PIPELINES = """
one:
  source: {connection: db, table: a}
  target: {table: a}
two:
  source: {connection: files, path: x.csv}
  target: {table: b}
"""


def test_an_unset_variable_stops_only_those_who_need_it(folder: Folder) -> None:
    folder.write("pipelines/all.yml", PIPELINES)
    folder.environment = {}
    project = folder.load()
    assert project.pipeline("two").source_endpoint(0).name == "files"
    with pytest.raises(FatalError) as caught:
        project.pipeline("one")
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.path) == ("headgate.yml", 4, "connections.db.url")
    assert problem.message == "the variable DB_URL is not set"
    assert project.problems() == (problem,) == project.problems_of("one")
    assert project.problems_of("two") == ()
    with pytest.raises(FatalError, match="DB_URL"):
        _ = project.connections["db"]
    assert "db" in project.connections
    assert project.connections.kinds["db"] == "postgres"


def test_an_unset_variable_in_a_pipeline_is_its_own(folder: Folder) -> None:
    folder.write("pipelines/all.yml", PIPELINES.replace("x.csv", '"${WHERE}/x.csv"'))
    project = folder.load()
    assert project.pipeline("one").name == "one"
    with pytest.raises(FatalError, match="WHERE"):
        project.pipeline("two")
    folder.environment["WHERE"] = "in"
    source = folder.load().pipeline("two").sources[0]
    assert source.model_dump()["path"] == "in/x.csv"


def test_numbers_may_be_references(folder: Folder) -> None:
    folder.write("pipelines/all.yml", PIPELINES.replace("path: x.csv", 'path: x.csv, batch_size: "${ROWS:-50}"'))
    assert folder.load().pipeline("two").sources[0].batch_size == 50
    folder.environment["ROWS"] = "many"
    assert "a whole number" in folder.problem().message


def test_dot_env_is_read_and_the_environment_wins(folder: Folder) -> None:
    folder.write(".env", "# a comment\nexport A=1\nB='two words' # said\nC=\"x#y\"\nD=z # w\nDB_URL=from_file\n")
    folder.write("pipelines/all.yml", PIPELINES.replace("x.csv", '"${A}-${B}-${C}-${D}"'))
    project = folder.load()
    assert project.pipeline("two").sources[0].model_dump()["path"] == "1-two words-x#y-z"
    assert dict(project.connections["db"])["url"].reveal() == "postgresql:///shop"


def test_a_broken_dot_env_is_told_with_its_line(folder: Folder) -> None:
    folder.write(".env", "A=1\nnot a pair\nB='open\n")
    assert [(one.file, one.line) for one in folder.problems()] == [(".env", 2), (".env", 3)]
    folder.write(".env", b"\xff")
    assert folder.problem().message == "it is not UTF-8"


def test_the_secrets_manager_is_for_connections(folder: Folder) -> None:
    folder.write("pipelines/all.yml", PIPELINES.replace("x.csv", '"${aws-sm:x}"'))
    with pytest.raises(FatalError, match="for connections only"):
        folder.load().pipeline("two")


def test_an_unset_variable_in_a_step_waits_for_who_needs_the_step(folder: Folder) -> None:
    step = '  transformations: [{type: filter, condition: "a > ${LEAST}"}]\n'
    folder.write("pipelines/all.yml", PIPELINES + step)
    project = folder.load()
    assert project.pipeline("one").transformations == ()
    assert [problem.line for problem in project.problems_of("two")] == [8]
    with pytest.raises(FatalError, match="LEAST"):
        _ = project.pipeline("two").transformations


def test_what_a_reference_gives_is_not_shown(folder: Folder) -> None:
    folder.write("headgate.yml", 'project: p\nconnections: {a: {type: postgres, database: d, port: "${PORT}"}}\n')
    folder.write(".env", "ZONE=hunter2\n")
    folder.environment = {"PORT": "hunter2"}
    assert "hunter2" not in str(folder.problem())
    folder.write("headgate.yml", 'project: p\ndefaults: {timezone: "${ZONE}"}\n')
    assert folder.problem().message == "what the reference gives does not fit"
