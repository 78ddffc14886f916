"""What an operator is for, and which of its arguments tell something."""

from __future__ import annotations

import re

from headgate.diagrams.drawings.words import ROLES, part_of
from headgate.diagrams.palette import Role
from headgate.diagrams.source import names, shown, sql
from headgate.diagrams.source.flow import Block
from headgate.diagrams.source.values import Called, Known, Pairs, Thing, Value

_OPERATORS: tuple[tuple[Role, str], ...] = (
    (
        Role.DEPENDENCY,
        (r"Sensor(Async)?$|TriggerDagRun|ExternalTask|@task\.sensor"),
    ),
    (
        Role.DECISION,
        (r"Branch|ShortCircuit|@task\.(branch|short_circuit)"),
    ),
    (
        Role.NOTIFICATION,
        (r"Email|Slack|Sns|Telegram|Teams|Discord|PagerDuty|Opsgenie|Notif"),
    ),
    (
        Role.VALIDATION,
        (r"Check|GreatExpectations|Soda|DataQuality|Quality|Validat"),
    ),
    (
        Role.PROCESS,
        (r"^(Dummy|Empty)Operator$|LatestOnly"),
    ),
    (
        Role.LOAD,
        (
            r"To(Redshift|Snowflake|BigQuery|Postgres|MySql|Hive|Warehouse|Elasticsearch|Mongo|Cassandra|Database|Db)|"
            r"Load|Stage\w*Operator|CopyInto|CopyFrom"
        ),
    ),
    (
        Role.EXTRACT,
        (r"To(S3|GCS|Gcs|GoogleCloudStorage|Adls|AzureBlob|Local|Wasb)|Http|Extract|Download|Ingest"),
    ),
    (
        Role.TRANSFORM,
        (r"Spark|Databricks|Emr|Dataproc|Dataflow|Glue|Athena|Dbt|BigQuery\w*Job|Transform|Hive"),
    ),
)
_TABLE = tuple((role, re.compile(pattern)) for role, pattern in _OPERATORS)
_COMMANDS = (
    (Role.VALIDATION, re.compile(r"\bdbt\b.*\b(test|source freshness)\b|\bpytest\b|\bsoda scan\b", re.S)),
    (Role.TRANSFORM, re.compile(r"\bdbt\b.*\b(run|build|snapshot)\b|\bspark-submit\b", re.S)),
    (
        Role.LOAD,
        re.compile(r"\bdbt\b.*\bseed\b|\baws s3 (cp|sync|mv)\b.*\bs3://|\bgsutil\b.*\bgs://|\bbq load\b", re.S),
    ),
    (Role.EXTRACT, re.compile(r"\b(curl|wget)\b", re.S)),
)
"""What a shell command is for, where it is one of these."""
_SETTINGS = (
    "retries",
    "retry_delay",
    "retry_exponential_backoff",
    "trigger_rule",
    "timeout",
    "poke_interval",
    "mode",
    "execution_timeout",
    "external_dag_id",
    "external_task_id",
    "trigger_dag_id",
    "bash_command",
    "table",
    "destination_table",
    "bucket_name",
    "bucket",
    "bucket_key",
    "s3_bucket",
    "s3_key",
    "key",
    "filepath",
    "endpoint",
    "application",
    "pool",
    "queue",
    "sla",
    "image",
    "destination_project_dataset_table",
    "source_table",
    "to",
    "channel",
)


def role_of(operator: str, name: str, call: Called, body: Block | None) -> Role:
    """By the operator's class, then by what its function does, its SQL, and the names of task and function."""
    found = next((role for role, pattern in _TABLE if pattern.search(operator)), None)
    if found in (Role.DEPENDENCY, Role.DECISION, Role.NOTIFICATION, Role.VALIDATION):
        return found
    function = call.kwargs.get("python_callable")
    command = shown.listed(call.argument(None, "bash_command", "command", "cmds", "arguments"))
    said = next((role for role, pattern in _COMMANDS if pattern.search(command)), None)
    if said is not None:
        return said
    named = by_name(name) or (by_name(shown.listed(function)) if function is not None else None)
    if named is not None:
        return named
    if found is not None:
        return found
    part = part_of(body) if body is not None else None
    if part is not None:
        return ROLES[part]
    text = call.argument(None, "sql", "query", "hql")
    if text is not None:
        kinds = {one.kind for one in sql.statements(text.text)}
        return Role.LOAD if kinds & {"write", "define"} else Role.EXTRACT if "read" in kinds else Role.PROCESS
    return Role.PROCESS


def by_name(name: str) -> Role | None:
    """The role that a word of a name says: the first word, else any."""
    part = names.part_of(name)
    if part is None:
        words = name.split("_")
        part = next(
            (one for word in (words[0], words[-1], *words[1:-1]) if (one := names.part_of(word)) is not None), None
        )
    if part is None and re.search(r"(^|_)(wait|sensor)(_|$)", name):
        return Role.DEPENDENCY
    return ROLES[part] if part is not None else None


def told(call: Called, defaults: Pairs | None) -> list[str]:
    """``name=value`` of settings, those of the DAG's default arguments included where they matter."""
    given: dict[str, Value] = {}
    for name in ("retries", "retry_delay") if defaults is not None else ():
        if defaults is not None and name in defaults.pairs:
            given[name] = defaults.pairs[name]
    given.update(call.kwargs)
    lines = []
    for name in _SETTINGS:
        value = given.get(name)
        if value is None or (isinstance(value, Known) and value.value is None):
            continue
        text = duration(value) or shown.listed(value)
        if text:
            lines.append(shown.cut(f"{name}={shown.clean(text)}", 70))
    statement = call.argument(None, "sql", "query", "hql")
    if statement is not None:
        lines += _tables(statement)
    return lines


def _tables(value: Value) -> list[str]:
    found = [one for text in value.texts() for one in sql.statements(text)]
    if not found:
        return [f"sql={shown.cut(value.text, 50)}"] if isinstance(value, Known) else []
    lines = []
    for one in found[:3]:
        where = ", ".join(one.writes) or ", ".join(one.reads)
        lines.append(shown.cut(f"{one.verb} {where}".strip()))
    return lines


def duration(value: Value) -> str:
    """``timedelta(minutes=5)`` as 5 minutes."""
    if isinstance(value, Thing) and value.calls and value.calls[-1].name in ("timedelta", "duration"):
        return " ".join(f"{shown.listed(one)} {key}" for key, one in value.calls[-1].kwargs.items())
    return ""
