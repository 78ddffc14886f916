"""Every command takes the same options, and every failure is one message with the right exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from headgate import __version__
from headgate.cli.main import app
from headgate.core.secrets import remember

if TYPE_CHECKING:
    from collections.abc import Callable

COMMANDS = (
    "init", "demo", "check", "plan", "run", "runs", "show", "publish", "discard", "query", "health", "schema",
    "state show", "state set", "state reset", "quarantine list", "quarantine show", "quarantine replay",
    "quarantine discard", "connections list", "connections test", "config list", "config show", "config create",
    "config set", "config delete",
)  # fmt: skip
OPTIONS = ("--output", "--directory", "--quiet", "--log-format", "--debug", "--var", "--version")
HEAVY = ("pydantic", "yaml", "pyarrow", "duckdb", "pyiceberg", "sqlglot", "rich", "structlog", "headgate.core")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_takes_the_options_of_all(command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert all(option in result.stdout for option in OPTIONS)


def test_help_imports_nothing_heavy() -> None:
    code = f"""
import sys
from headgate.cli.main import app
try:
    app(["--help"])
except SystemExit as end:
    assert not end.code
found = [name for name in {HEAVY!r} if name in sys.modules]
assert not found, found
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)  # noqa: S603 - our own code


def test_the_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"headgate {__version__}\n"
    assert CliRunner().invoke(app, ["runs", "--version"]).stdout == f"headgate {__version__}\n"


def test_options_stand_before_or_after_the_command(project: Path) -> None:
    before = CliRunner().invoke(app, ["-C", str(project), "-o", "json", "config", "list"])
    after = CliRunner().invoke(app, ["config", "list", "-o", "json", "-C", str(project)])
    assert before.exit_code == after.exit_code == 0
    assert json.loads(before.stdout) == json.loads(after.stdout)


def test_the_project_is_found_from_a_folder_inside_it(headgate: Callable[..., Any], project: Path) -> None:
    assert headgate("config", "list", directory=project / "inbox" / "orders").status == 0


@pytest.mark.parametrize(
    "arguments", [["run", "--limt", "3"], ["nonsense"], ["run", "orders", "--limit", "none"], ["show"]]
)
def test_a_misused_command_says_what_is_wrong_and_leaves_with_2(arguments: list[str]) -> None:
    text = CliRunner().invoke(app, arguments)
    assert text.exit_code == 2
    assert text.stderr.startswith("error[USAGE] usage headgate")
    assert "--help" in text.stderr
    assert text.stdout == ""
    document = CliRunner().invoke(app, [*arguments, "-o", "json"])
    assert document.exit_code == 2
    assert json.loads(document.stdout)["error"]["code"] == "USAGE"


def test_a_variable_needs_a_name_and_a_value(headgate: Callable[..., Any]) -> None:
    answer = headgate("check", "--offline", "--var", "day")
    assert answer.status == 2
    assert '"day" is not NAME=VALUE' in answer.err


def test_without_a_project_there_is_a_hint_to_make_one(headgate: Callable[..., Any], tmp_path: Path) -> None:
    answer = headgate("runs", "-o", "json", directory=tmp_path)
    assert answer.status == 2
    error = answer.json["error"]
    assert error["code"] == "NOT_FOUND"
    assert "headgate init" in error["hint"]


def test_secrets_are_masked_in_errors_and_results(headgate: Callable[..., Any], project: Path) -> None:
    remember("hunter_two_and_a_half")
    document = project / "headgate.yml"
    document.write_text(document.read_text().replace('condition: "status <>', 'condition: "hunter_two_and_a_half <>'))
    for output in ("text", "json"):
        answer = headgate("check", "orders", "-o", output)
        assert answer.status == 2
        assert "hunter" not in answer.out + answer.err
        assert "***" in answer.out


def test_an_interrupt_that_duckdb_took_is_told_as_one(
    headgate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise RuntimeError("Query interrupted")

    monkeypatch.setattr("headgate.queries.history.runs", interrupted)
    answer = headgate("runs")
    assert answer.status == 1
    assert answer.err.startswith("error[INTERRUPTED] command: interrupted")


def test_a_fault_is_reported_without_a_traceback_unless_asked(
    headgate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("it broke")

    monkeypatch.setattr("headgate.queries.history.runs", broken)
    answer = headgate("runs")
    assert answer.status == 1
    assert answer.err.startswith("error[INTERNAL]")
    assert "RuntimeError: it broke" in answer.err
    debug = CliRunner().invoke(app, ["runs", "--debug", "-C", str(project)])
    assert "Traceback" in debug.stderr
    assert debug.stderr.count("error[INTERNAL]") == 1


@pytest.mark.parametrize("place", ["headgate.execute.runner._probe", "headgate.execute.runner.recover"])
def test_debug_shows_where_the_fault_of_a_run_is(
    headgate: Callable[..., Any], project: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def here_it_breaks(*_: object, **__: object) -> None:
        raise RuntimeError("it broke")

    monkeypatch.setattr(place, here_it_breaks)
    answer = headgate("run", "orders")
    assert answer.status == 1
    assert "RuntimeError: it broke" in answer.err
    for form in ([], ["-o", "json"]):
        debug = CliRunner().invoke(app, ["run", "orders", "--debug", *form, "-C", str(project)])
        assert debug.exit_code == 1
        assert "Traceback" in debug.stderr
        assert "in here_it_breaks" in debug.stderr


def test_a_reader_that_goes_away_is_no_error_message(project: Path) -> None:
    program = "from headgate.cli.main import main; main()"
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", program, "schema", "-C", str(project)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) in (0, 1)


def test_a_ctrl_c_outside_a_run_is_one_line(headgate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("headgate.queries.history.runs", interrupted)
    answer = headgate("runs", "-o", "json")
    assert answer.status == 1
    assert answer.json["error"]["code"] == "INTERRUPTED"


def test_a_ctrl_c_while_the_program_is_still_imported_is_one_line() -> None:
    program = """
import sys
class CtrlC:
    def find_spec(self, name, *_):
        if name == "typer":
            raise KeyboardInterrupt
sys.meta_path.insert(0, CtrlC())
from headgate.cli.start import main
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error[INTERRUPTED]")
    assert "Traceback" not in done.stderr
