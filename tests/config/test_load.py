"""A project is loaded whole, or everything that is wrong with it is told at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from tests.config.conftest import HEAD, Folder
from tests.config.kinds import Kinds

from headgate.config.load import find_root, project_problems
from headgate.core.errors import Code, FatalError

GOOD = """
orders:
  source: {connection: db, table: public.orders, mode: incremental, incremental: {column: updated_at, lag: 5m}}
  transformations:
    - {type: calculate, name: priced, columns: {total: "a * b"}}
    - {type: filter, condition: "total > 0"}
  quality_rules:
    - {type: not_null, columns: [id], step: priced}
  target: {table: orders, mode: upsert, keys: [id]}
daily:
  depends_on: [orders]
  sources: [{table: orders}]
  targets:
    - {connection: db, table: daily, mode: overwrite}
    - {table: daily, compression: none}
"""


def test_a_project_gives_what_its_files_say(folder: Folder) -> None:
    folder.write("pipelines/all.yml", GOOD)
    project = folder.load()
    assert (project.name, project.root) == ("shop", folder.root)
    assert list(project.pipelines) == ["orders", "daily"]
    orders = project.pipeline("orders")
    assert orders.type == "batch"
    assert orders.delivery == "exactly_once"
    assert [step.type for step in orders.transformations] == ["calculate", "filter"]
    assert orders.quality_rules[0].step == "priced"
    assert orders.targets[0].keys == ("id",)
    incremental = orders.sources[0].incremental
    assert incremental is not None
    assert incremental.lag == timedelta(minutes=5)
    assert project.lake.type == "iceberg"
    assert project.state.url.reveal() == "sqlite:///.headgate/state.db"
    assert project.defaults.batch_size == 100_000


def test_endpoints_say_where_everything_lies(folder: Folder) -> None:
    folder.write(
        "pipelines/all.yml",
        """
        one: {source: {connection: db, table: a}, target: {table: a}}
        two: {source: {path: in/*.csv}, target: {connection: files, table: a}}
        three: {source: {type: python, function: "m:f"}, target: {connection: lake, table: a}}
        four: {source: {table: a}, target: {table: b}}
        """,
    )
    project = folder.load()
    found = {}
    for name, pipeline in project.pipelines.items():
        ends = pipeline.source_endpoint(0), pipeline.target_endpoint(0)
        assert [end.connection.type for end in ends] == [end.kind for end in ends]
        found[name] = [(end.kind, end.name) for end in ends]
    assert found == {
        "one": [("postgres", "db"), ("iceberg", "lake")],
        "two": [("local", ""), ("local", "files")],
        "three": [("python", ""), ("iceberg", "lake")],
        "four": [("iceberg", "lake"), ("iceberg", "lake")],
    }


def test_steps_and_rules_are_made_when_they_are_asked_for(folder: Folder) -> None:
    folder.write("pipelines/all.yml", GOOD)
    project = folder.load(deep=False)
    assert not {group for group, _ in folder.registry.asked} & {"transforms", "quality"}
    assert project.pipelines["orders"].transformations[1].type == "filter"
    assert ("transforms", "filter") in folder.registry.asked


def test_problems_of_steps_wait_for_who_asks(folder: Folder) -> None:
    folder.write("pipelines/all.yml", GOOD.replace("condition:", "conditoin:"))
    pipeline = folder.load(deep=False).pipeline("orders")
    for ask in (lambda: pipeline.transformations, lambda: pipeline.quality_rules):
        with pytest.raises(FatalError, match="conditoin"):
            ask()
    assert "conditoin" in str(folder.problems()[0])


def test_where_finds_the_line_of_every_place(folder: Folder) -> None:
    folder.write("pipelines/all.yml", GOOD)
    orders, daily = folder.load().pipelines.values()
    file = "pipelines/all.yml"
    assert orders.where(("transformations", 1, "condition")) == (file, 6)
    assert orders.where(("source", "table")) == orders.where(("sources", 0, "table")) == (file, 3)
    assert orders.where(("targets", 0, "from")) == (file, 9)
    assert daily.where(("source",)) == (file, 12)
    assert daily.where(("targets", 1, "table")) == (file, 15)
    assert daily.where(()) == (file, 11)


def wrong(folder: Folder, text: str) -> Sequence[str]:
    """The problems of one pipeline as ``line: path: message (hint)``."""
    folder.write("pipelines/p.yml", text)
    return [str(problem).removeprefix("pipelines/p.yml:") for problem in folder.problems()]


PIPELINE = """\
p:
  source: {connection: db, table: a}
  target: {table: a}
"""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("  shedule: x\n", '4: pipelines.p.shedule: unknown key "shedule" (did you mean "schedule"?)'),
        ("  schedule: '0 25 * * *'\n", '4: pipelines.p.schedule: "25" is not a hour: 0 to 23'),
        ("  schedule: hourly\n", '4: pipelines.p.schedule: "hourly" has 1 fields'),
        ("  timezone: Mars/Olympus\n", '4: pipelines.p.timezone: "Mars/Olympus" is not a time zone'),
        ("  type: lorry\n", "4: pipelines.p.type: expected: 'batch', 'stream', 'hybrid' or 'elt', got 'lorry'"),
        ("  type: stream\n", "4: pipelines.p.type: stream pipelines cannot be run by this version"),
        ("  depends_on: [q]\n", '4: pipelines.p.depends_on.0: there is no pipeline "q"'),
        ("  depends_on: [p]\n", '4: pipelines.p.depends_on.0: "p" would wait for itself'),
        ("  error_handling: {retry: {max_attempt: 3}}\n",
         '4: pipelines.p.error_handling.retry.max_attempt: unknown key "max_attempt" (did you mean "max_attempts"?)'),
        ("  error_handling: {retry: {base: soon}}\n", '"soon" is not a duration'),
        ("  transformations: [{type: filter, name: '', condition: a > 1}]\n",
         "4: pipelines.p.transformations.0.name: expected: a text that is not empty, got ''"),
        ("  quality_rules: [{type: not_null, columns: a, name: ' '}]\n",
         "4: pipelines.p.quality_rules.0.name: expected: a text that is not empty, got ' '"),
        ("  error_handling: {max_error_percentage: 101}\n", "less than or equal to 100"),
        ("  monitoring: {sla: {success_rate: 2}}\n", "less than or equal to 1"),
        ("  monitoring: {alerts: [{type: email}]}\n", 'p.monitoring.alerts.0.recipients: "recipients" is missing'),
        ("  monitoring: {alerts: [{type: slack}]}\n", "say where to: webhook, or channel"),
        ("  monitoring: {alerts: [{type: fax}]}\n", "expected: 'email', 'slack', 'pagerduty', 'webhook', got 'fax'"),
        ("  transformations: {a: 1}\n", 'unknown key "a"'),
        ("  transformations: 5\n", "4: pipelines.p.transformations: expected: a list"),
        ("  transformations: [x]\n", "4: pipelines.p.transformations.0: expected: a mapping of options"),
        ("  transformations: [{name: x}]\n", '4: pipelines.p.transformations.0.type: "type" is missing'),
        ("  transformations: [{type: filtre}]\n", 'unknown step "filtre" (did you mean "filter"?)'),
        ("  transformations: [{type: [x]}]\n", "expected: a kind, got ['x']"),
        ("  transformations:\n    - {type: calculate, colums: {a: b}}\n",
         '5: pipelines.p.transformations.0.colums: unknown key "colums" (did you mean "columns"?)'),
        ("  transformations: [{type: calculate, columns: {a: [b]}}]\n", "expected: a text, got a list"),
        ("  transformations: [{type: filter, name: x, condition: a}, {type: filter, name: x, condition: a}]\n",
         'the name "x" stands twice, first in line 4'),
        ("  transformations: [{type: join, table: t, connection: dw, on: [a]}]\n", 'there is no connection "dw"'),
        ("  quality_rules: [{type: range, column: a, mni: 0}]\n", 'unknown key "mni" (did you mean "min"?)'),
        ("  quality_rules: [{type: not_null, columns: [a], step: gone}]\n", 'there is no step "gone"'),
        ("  quality_rules: [{type: not_null, columns: [a], severity: fatal}]\n", "or 'info', got 'fatal'"),
        ("  variables: {a: [1]}\n", "pipelines.p.variables.a"),
    ],
)  # fmt: skip
def test_what_a_pipeline_gets_wrong_is_told_with_line_path_and_hint(folder: Folder, text: str, told: str) -> None:
    found = wrong(folder, PIPELINE + text)
    assert any(told in one for one in found), found


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("{connection: dbs, table: a}", '2: pipelines.p.source.connection: there is no connection "dbs" (did you'),
        ("{connection: 5, table: a}", "expected: the name of a connection, got 5"),
        ("{connection: db, type: sqlite, table: a}", 'the connection "db" is of type postgres, not sqlite'),
        ("{connection: db, tabel: a}", 'unknown key "tabel" (did you mean "table"?)'),
        ("{connection: db, table: a, query: b}", "table and query say the same"),
        ("{connection: db, table: a, fetch: 0}", "greater than or equal to 1, got 0 (Rows a fetch.)"),
        ("{connection: db, table: a, mode: incremental}", "an incremental source needs a cursor"),
        ("{connection: db, table: a, incremental: {column: u}, mode: full}", "is given, but the mode is full"),
        ("{connection: db, table: a, mode: sometimes}", "got 'sometimes'"),
        ("{type: kafka, topic: t}", 'unknown source "kafka"'),
        ("{type: postgres, table: t}", '"postgres" needs a connection'),
        ("{type: [a], table: t}", "expected: a kind"),
        ("{path: x.csv, format: xlsx}", "'csv', 'json' or 'parquet', got 'xlsx'"),
        ("{connection_string: 'sqlite:///x', table: a}", "connection_string belongs to a connection"),
        ("{}", "it does not say what to read"),
        ("orders", "expected: a mapping of options"),
        ("{connection: db, table: a, query: 'postgres://u:pw@h/d'}", "a password must not stand in the file"),
    ],
)  # fmt: skip
def test_what_a_source_gets_wrong_is_told(folder: Folder, source: str, told: str) -> None:
    found = wrong(folder, f"p:\n  source: {source}\n  target: {{table: a}}\n")
    assert any(told in one for one in found), found


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("{table: a, mode: upsert}", "3: pipelines.p.target.mode: upsert needs keys"),
        ("{connection: archive, table: a}", 'the connection "archive" is read_only'),
        ("{table: headgate_runs}", '"headgate_runs" cannot be a table'),
        ("{connection: db, table: public.Headgate_x}", "cannot be a table"),
        ("{mode: append}", '"table" is missing'),
        ("{table: a, from: gone}", 'there is no step "gone" (the pipeline has no steps)'),
        ("{table: a, compresion: zstd}", '(did you mean "compression"?)'),
        ("{type: python, table: a}", '"python" needs a connection'),
        ("[]", "is missing"),
    ],
)
def test_what_a_target_gets_wrong_is_told(folder: Folder, target: str, told: str) -> None:
    found = wrong(folder, f"p:\n  source: {{table: a}}\n  target: {target}\n")
    assert any(told in one for one in found), found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("project: 'a b'", "1: project: expected: a name of letters"),
        ("{}", '"project" is missing'),
        ("project: p\nversion: 2", "2: version: this version of headgate reads version 1"),
        ("project: p\nconections: {}", 'unknown key "conections" (did you mean "connections"?)'),
        ("project: p\nconnections: []", "2: connections: expected: a mapping"),
        ("project: p\nconnections: {a: 5}", "expected: a mapping of options"),
        ("project: p\nconnections: {a: {path: x}}", '2: connections.a.type: "type" is missing'),
        ("project: p\nconnections: {a: {type: postgers}}", '(did you mean "postgres"?)'),
        ("project: p\nconnections: {a: {type: sqlite}}", '2: connections.a.path: "path" is missing (File.)'),
        ("project: p\nconnections: {a: {type: sqlite, pth: x, path: y}}", '(did you mean "path"?)'),
        ("project: p\nconnections: {lake: {type: sqlite, path: x}}", '"lake" cannot be the name of a connection'),
        ("project: p\nconnections: {'a/b': {type: sqlite, path: x}}", "cannot be the name of a connection"),
        ("project: p\nconnections: {a: {type: postgres}}", "2: connections.a: say where the database is"),
        ("project: p\nlake: {type: hudi}", 'unknown lake "hudi"'),
        ("project: p\ndefaults: {batch_size: none}", "expected: a whole number, got 'none'"),
        ("project: p\ndefaults: {memory: 3 apples}", '"3 apples" is not a size'),
        ("project: p\nalerts: [{type: email, recipients: [a@b], on: [never]}]", "got 'never'"),
        ("project: p\npipelines: [{source: {}}]", "a pipeline in a list needs a name"),
        ("project: p\npipelines: 5", "expected: a mapping of names to pipelines"),
        ("project: p\npipelines: {'../x': {source: {table: a}, target: {table: a}}}", '"../x" cannot be a name'),
        ("project: p\npipelines: {a: 5}", "expected: a mapping with source and target"),
    ],
)  # fmt: skip
def test_what_the_project_gets_wrong_is_told(folder: Folder, text: str, told: str) -> None:
    folder.write("headgate.yml", text)
    found = [str(problem).removeprefix("headgate.yml:") for problem in folder.problems()]
    assert any(told in one for one in found), found


def test_all_problems_of_all_files_come_together(folder: Folder) -> None:
    folder.environment = {}
    folder.write("headgate.yml", HEAD + "defaults: {threads: 0}\n")
    folder.write("pipelines/a.yml", "a:\n  source: {table: x}\n  target: {table: t, mode: upsert}\n")
    folder.write("pipelines/b.yml", "b: [unclosed\n")
    folder.write("pipelines/c.yml", "c: {source: {table: x}, target: {table: t}, transformations: [{type: x}]}\n")
    found = {(problem.file, problem.path) for problem in folder.problems()}
    assert found == {
        ("headgate.yml", "defaults.threads"),
        ("headgate.yml", "connections.db.url"),
        ("pipelines/a.yml", "pipelines.a.target.mode"),
        ("pipelines/b.yml", ""),
        ("pipelines/c.yml", "pipelines.c.transformations.0.type"),
    }


def test_pipelines_stand_in_files_as_people_write_them(folder: Folder) -> None:
    body = "source: {table: a}\ntarget: {table: b}\n"
    folder.write("headgate.yml", HEAD + "pipelines:\n  first: {source: {table: a}, target: {table: b}}\n")
    folder.write("pipelines/second.yml", body)
    folder.write("pipelines/file.yaml", "name: third\n" + body)
    folder.write("pipelines/more.yml", "pipelines:\n  fourth: {source: {table: a}, target: {table: b}}\n")
    folder.write("pipelines/.hidden.yml", "not: [read")
    folder.write("pipelines/empty.yml", "# nothing yet\n")
    assert sorted(folder.load().pipelines) == ["first", "fourth", "second", "third"]


def test_one_name_stands_for_one_pipeline(folder: Folder) -> None:
    folder.write("pipelines/a.yml", PIPELINE)
    folder.write("pipelines/b.yml", "\n" + PIPELINE)
    problem = folder.problem()
    assert (problem.file, problem.line) == ("pipelines/b.yml", 2)
    assert 'the pipeline "p" stands twice, also at pipelines/a.yml:2' in problem.message


def test_connections_do_not_belong_beside_pipelines(folder: Folder) -> None:
    folder.write("pipelines/a.yml", "pipelines: {}\nconnections: {}\n")
    assert folder.problem().hint == "connections belongs in headgate.yml"


def test_circles_of_dependencies_are_told(folder: Folder) -> None:
    one = "{{source: {{table: a}}, target: {{table: b}}, depends_on: [{}]}}"
    folder.write(
        "pipelines/a.yml", f"a: {one.format('b')}\nb: {one.format('c')}\nc: {one.format('a')}\nd: {one.format('a')}\n"
    )
    assert [problem.line for problem in folder.problems()] == [1, 2, 3]


def test_flags_win_over_variables_over_yaml_over_defaults(folder: Folder) -> None:
    assert folder.load().defaults.threads is None
    folder.write("headgate.yml", HEAD + "defaults: {batch_size: 10, threads: 2}\n")
    assert folder.load().defaults.batch_size == 10
    folder.environment["HEADGATE__DEFAULTS__BATCH_SIZE"] = "20"
    project = folder.load()
    assert (project.defaults.batch_size, project.defaults.threads) == (20, 2)
    assert folder.load(overrides={"defaults.batch_size": 30}).defaults.batch_size == 30
    assert folder.load(overrides={"defaults": {"batch_size": 31}}).defaults.batch_size == 31


def test_variables_reach_connections_whatever_their_case_and_may_be_secret(folder: Folder) -> None:
    folder.environment |= {"HEADGATE__CONNECTIONS__DB__PASSWORD": "pw${X}pw", "HEADGATE__LAKE__PATH": "elsewhere"}
    project = folder.load()
    assert dict(project.connections["db"])["password"].reveal() == "pw${X}pw"
    assert dict(project.lake)["path"] == "elsewhere"


@pytest.mark.parametrize("text", ["many", "-5", "0", "1.5", str(10**30)])
def test_a_bad_number_in_a_variable_names_the_variable(folder: Folder, text: str) -> None:
    folder.environment["HEADGATE__DEFAULTS__BATCH_SIZE"] = text
    problem = folder.problem()
    assert problem.hint.startswith("the variable HEADGATE__DEFAULTS__BATCH_SIZE sets it")
    assert problem.path == "defaults.batch_size"


def test_a_bad_number_of_a_flag_names_the_option(folder: Folder) -> None:
    with pytest.raises(FatalError) as caught:
        folder.load(overrides={"defaults.batch_size": 0})
    assert "the option defaults.batch_size sets it" in str(caught.value)


@pytest.mark.parametrize(
    "name", ["HEADGATE__DEFAULTS__BATCHSIZE", "HEADGATE__PIPELINES__A", "HEADGATE__DEFAULTS", "HEADGATE__STATE____URL"]
)
def test_variables_that_set_nothing_are_told(folder: Folder, name: str) -> None:
    folder.environment[name] = "5"
    assert folder.problems()


def test_variables_of_a_pipeline_yield_to_the_command_line(folder: Folder) -> None:
    folder.write("pipelines/p.yml", PIPELINE + "  variables: {region: eu, year: 2024}\n")
    assert folder.load().pipeline("p").variables == {"region": "eu", "year": 2024}
    assert folder.load(variables={"region": "us"}).pipeline("p").variables == {"region": "us", "year": 2024}


def test_an_unknown_pipeline_has_a_nearest(folder: Folder) -> None:
    folder.write("pipelines/all.yml", GOOD)
    with pytest.raises(FatalError) as caught:
        folder.load().pipeline("order")
    assert caught.value.code is Code.NOT_FOUND
    assert caught.value.hint == 'did you mean "orders"?'


def test_the_root_is_found_from_below(folder: Folder) -> None:
    inner = folder.root / "a" / "b"
    inner.mkdir(parents=True)
    assert find_root(inner) == folder.root.resolve()
    with pytest.raises(FatalError) as caught:
        find_root(Path("/"))
    assert caught.value.code is Code.NOT_FOUND
    assert "headgate init" in caught.value.hint


def test_a_folder_without_a_project_says_so(tmp_path: Path) -> None:
    (problem,) = project_problems(tmp_path, Kinds(), environment={})
    assert (problem.file, problem.message) == ("headgate.yml", "there is no such file")


def test_the_canonical_form_loads_to_an_equal_pipeline(folder: Folder) -> None:
    from headgate.config.dump import dump

    folder.write("pipelines/all.yml", GOOD)
    first = folder.load()
    folder.write("pipelines/all.yml", dump({name: one.canonical() for name, one in first.pipelines.items()}))
    second = folder.load()
    assert first.pipelines == second.pipelines
    assert first.pipelines["orders"] != second.pipelines["daily"]
