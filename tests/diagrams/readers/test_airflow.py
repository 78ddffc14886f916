"""DAG files in every style give their tasks, order, schedule and settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.mermaid.parser import Parser

from headgate.diagrams.dags import Dag
from headgate.diagrams.graph import Graph
from headgate.diagrams.palette import Role
from headgate.diagrams.readers import draw
from headgate.diagrams.readers.airflow import read
from headgate.diagrams.render import mermaid
from headgate.diagrams.tree import tree

IMPORTS = """
from datetime import datetime, timedelta
from airflow import DAG
from airflow.decorators import dag, task, task_group
from airflow.models.baseoperator import chain, cross_downstream
from airflow.operators.bash import BashOperator
from airflow.operators.email import EmailOperator
from airflow.operators.empty import EmptyOperator
from airflow.operators.python import BranchPythonOperator, PythonOperator
from airflow.sensors.external_task import ExternalTaskSensor
from airflow.utils.edgemodifier import Label
from airflow.utils.task_group import TaskGroup
"""
SALES = (
    IMPORTS
    + """
import pandas as pd
default_args = {"retries": 3, "retry_delay": timedelta(minutes=5)}

def extract_sales():
    pd.read_sql("select * from sales", None).to_parquet("/tmp/sales.parquet")

with DAG("daily_sales_etl", default_args=default_args, schedule_interval="0 2 * * *", catchup=False) as dag:
    wait = ExternalTaskSensor(task_id="wait_for_crm", external_dag_id="crm", timeout=3600)
    sales = PythonOperator(task_id="extract_sales", python_callable=extract_sales)
    people = PythonOperator(task_id="extract_customers", python_callable=print)
    join = PythonOperator(task_id="transform_sales", python_callable=print)
    load = PythonOperator(task_id="load_warehouse", python_callable=print, retries=5)
    check = BashOperator(task_id="validate_load", bash_command="check.sh")
    mail = EmailOperator(task_id="send_notification", to="a@b.c", trigger_rule="all_done")
    wait >> [sales, people] >> join >> load
    load.set_downstream(check)
    mail.set_upstream(check)
"""
)


def dags(folder: Path, text: str) -> list[Dag]:
    (folder / "dag.py").write_text(text)
    return read(tree(folder))


def order(dag: Dag) -> set[str]:
    return {f"{before} > {after}" + (f": {label}" if label else "") for before, after, label in dag.edges}


def one(folder: Path, body: str) -> Dag:
    return dags(folder, IMPORTS + body)[0]


def test_tasks_stand_in_the_frames_of_what_they_are_for(tmp_path: Path) -> None:
    (tmp_path / "dag.py").write_text(SALES)
    found, _ = draw(tree(tmp_path))
    assert isinstance(found, Graph)
    assert (found.title, found.direction) == ("Airflow DAG: daily_sales_etl", "LR")
    groups = {group.id: group.label for group in found.groups}
    assert {node.label: groups[node.group] for node in found.nodes} == {
        "2 AM Daily": "Schedule",
        "wait_for_crm": "Dependency",
        "extract_sales": "Extract",
        "extract_customers": "Extract",
        "transform_sales": "Transform",
        "load_warehouse": "Load",
        "validate_load": "Validation",
        "send_notification": "Notification",
    }
    assert len(found.edges) == 8  # the trigger's, and seven between tasks


def test_settings_are_those_of_the_task_or_the_dags_defaults(tmp_path: Path) -> None:
    tasks = dags(tmp_path, SALES)[0].tasks
    assert {"ExternalTaskSensor", "timeout=3600", "external_dag_id=crm", "retries=3"} <= set(
        tasks["wait_for_crm"].detail
    )
    assert {"retries=5", "retry_delay=5 minutes"} <= set(tasks["load_warehouse"].detail)
    assert "trigger_rule=all_done" in tasks["send_notification"].detail
    assert "Extract: read_sql sales" in tasks["extract_sales"].detail


STYLES = (
    """
dag = DAG('d', schedule='@daily')
a = BashOperator(task_id='a', bash_command='x', dag=dag)
b = BashOperator(task_id='b', bash_command='x', dag=dag)
a >> b
""",
    """
with DAG(dag_id='d', schedule='@daily'):
    a = EmptyOperator(task_id='a')
    b = EmptyOperator(task_id='b')
    b << a
""",
    """
with DAG('d', schedule='@daily') as dag:
    EmptyOperator(task_id='a') >> EmptyOperator(task_id='b')
""",
    """
with DAG('d', schedule='@daily') as dag:
    chain(*[EmptyOperator(task_id=x) for x in ['a', 'b']])
""",
    """
with DAG('d', schedule='@daily') as dag:
    tasks = {}
    for x in ('a', 'b'):
        tasks[x] = EmptyOperator(task_id=x)
    tasks['a'].set_downstream(tasks['b'])
""",
    """
def make(name):
    with DAG(name, schedule='@daily') as made:
        a = EmptyOperator(task_id='a')
        a >> EmptyOperator(task_id='b')
    return made
globals()['d'] = make('d')
""",
    """
@dag(schedule='@daily')
def d():
    @task
    def a(): return 1
    @task
    def b(x): print(x)
    b(a())
d()
""",
    """
@dag('d', schedule='@daily')
def never_called():
    @task()
    def a(): return {}
    @task(task_id='b')
    def other(x): ...
    other(a()['k'])
""",
    """
class My(BashOperator):
    pass
with DAG('d', schedule='@daily'):
    My(task_id='a') >> My(task_id='b')
""",
)


@pytest.mark.parametrize("body", STYLES)
def test_every_style_gives_the_same(tmp_path: Path, body: str) -> None:
    found = one(tmp_path, body)
    assert (found.id, found.words, list(found.tasks), order(found)) == ("d", "12 AM Daily", ["a", "b"], {"a > b"})


def test_groups_are_frames_and_their_ends_are_joined(tmp_path: Path) -> None:
    found = one(
        tmp_path,
        "with DAG('d') as dag:\n  start = EmptyOperator(task_id='start')\n  with TaskGroup('g') as g:\n"
        "    a = EmptyOperator(task_id='a')\n    b = EmptyOperator(task_id='b')\n    a >> b\n"
        "    with TaskGroup('inner'):\n      c = EmptyOperator(task_id='c')\n"
        "  start >> g >> EmptyOperator(task_id='end')",
    )
    assert found.groups == {"g": ("g", ""), "g.inner": ("inner", "g")}
    assert list(found.tasks) == ["start", "g.a", "g.b", "g.inner.c", "end"]
    assert order(found) == {"g.a > g.b", "start > g.a", "start > g.inner.c", "g.b > end", "g.inner.c > end"}


def test_branches_labels_mapping_and_crossing(tmp_path: Path) -> None:
    found = one(
        tmp_path,
        "with DAG('d') as dag:\n  branch = BranchPythonOperator(task_id='branch', python_callable=print)\n"
        "  a, b, c, d = [EmptyOperator(task_id=x) for x in ('a', 'b', 'c', 'd')]\n"
        "  branch >> Label('yes') >> a\n  branch >> Label('no') >> b\n  cross_downstream([a, b], [c, d])\n"
        "  BashOperator.partial(task_id='many', retries=2).expand(bash_command=['x', 'y'])",
    )
    assert found.tasks["branch"].role is Role.DECISION
    assert found.tasks["many"].detail[:2] == ["BashOperator (mapped)", "retries=2"]
    assert {"branch > a: yes", "branch > b: no", "a > c", "a > d", "b > c", "b > d"} == order(found)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("'@hourly'", "Every hour"),
        ("'30 6 * * 1-5'", "6:30 AM Monday to Friday"),
        ("timedelta(hours=6)", "Every 6 hours"),
        ("None", "Started by hand"),
        ("'@once'", "Once"),
        ("[Dataset('s3://orders')]", "After s3://orders"),
    ],
)
def test_schedules_in_plain_words(tmp_path: Path, schedule: str, words: str) -> None:
    found = one(
        tmp_path,
        f"from airflow.datasets import Dataset\nwith DAG('d', schedule={schedule}):\n  EmptyOperator(task_id='a')",
    )
    assert found.words == words


def test_every_dag_parses(tmp_path: Path, mermaid_parser: Parser) -> None:
    (tmp_path / "a.py").write_text(SALES)
    (tmp_path / "b.py").write_text(
        f"{IMPORTS}with DAG('end') as dag:\n  EmptyOperator(task_id='end') >> EmptyOperator(task_id='graph')"
    )
    scanned = tree(tmp_path)
    for name in ("", "end", "daily_sales_etl"):
        assert mermaid_parser.kind(mermaid(draw(scanned, name, "dag")[0])) == "flowchart-v2"


def test_loops_over_ranges_and_classes_make_a_task_each(tmp_path: Path) -> None:
    found = one(
        tmp_path,
        "from airflow.models import Log, XCom\nwith DAG('d') as dag:\n  for n in range(2):\n"
        "    EmptyOperator(task_id=f'hour_{n}')\n  for model in [Log, XCom]:\n"
        "    EmptyOperator(task_id='cleanup_' + model.__name__, trigger_rule=TriggerRule.ALL_DONE)",
    )
    assert list(found.tasks) == ["hour_0", "hour_1", "cleanup_Log", "cleanup_XCom"]
    assert found.tasks["cleanup_Log"].detail == ["EmptyOperator", "trigger_rule=ALL_DONE"]
    assert found.tasks["cleanup_Log"].role is Role.PROCESS


@pytest.mark.parametrize(
    ("command", "role"),
    [
        ("cd x && dbt run", Role.TRANSFORM),
        ("dbt test --select a", Role.VALIDATION),
        ("curl -O http://a.org", Role.EXTRACT),
    ],
)
def test_shell_commands_say_what_a_task_is_for(tmp_path: Path, command: str, role: Role) -> None:
    found = one(tmp_path, f"with DAG('d') as dag:\n  BashOperator(task_id='x', bash_command={command!r})")
    assert found.tasks["x"].role is role
