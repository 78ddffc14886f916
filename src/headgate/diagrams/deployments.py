"""What runs where, as infrastructure files say it: parts, how many, how large, and who needs whom. Plain data."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

Area = Literal["orchestration", "source", "processing", "target", "monitoring", "metadata"]

AREAS: dict[Area, str] = {
    "orchestration": "Orchestration",
    "source": "Source Systems",
    "processing": "ETL Processing",
    "target": "Target Systems",
    "monitoring": "Monitoring & Logging",
    "metadata": "Metadata & Config",
}
_NAMES: tuple[tuple[Area, str], ...] = (
    ("target", r"warehouse|dwh|\bdw\b|target|sink|destination|data.?lake|lakehouse|\bmart\b|curated|gold"),
    ("source", r"source|\bsrc\b|\bcrm\b|\berp\b|\boltp\b|upstream|landing|\braw\b"),
    ("metadata", r"metadata|metastore|catalog|schema.?registry|airflow.?db"),
    ("monitoring", r"monitor|metric|\blogs?\b|logging|alert|tracing"),
)
_WHAT: tuple[tuple[Area, str], ...] = (
    (
        "metadata",
        (
            r"config_?map|secret|vault|consul|etcd|zookeeper|schema.?registry|hive.?metastore|metastore|atlas|"
            r"datahub|amundsen|openmetadata|\bredis\b|ssm_parameter|glue_catalog|kms|iam_|efs|persistentvolume"
        ),
    ),
    (
        "monitoring",
        (
            r"prometheus|grafana|loki|elasticsearch|kibana|logstash|fluent|datadog|jaeger|otel|opentelemetry|"
            r"cloudwatch|statsd|alertmanager|flower|cadvisor|exporter|sentry|newrelic|log_group|sns_topic|"
            r"metric_alarm"
        ),
    ),
    (
        "orchestration",
        (
            r"airflow|dagster|prefect|luigi|argo|temporal|kestra|mage|nifi|oozie|cron|mwaa|step_?function|sfn_|"
            r"composer|eventbridge|event_rule|scheduler|cloudwatch_event"
        ),
    ),
    (
        "target",
        (
            r"redshift|snowflake|bigquery|clickhouse|synapse|athena|druid|pinot|vertica|teradata|superset|"
            r"metabase|tableau"
        ),
    ),
    (
        "processing",
        (
            r"spark|flink|dask|ray\b|trino|presto|hadoop|\bemr|dataproc|databricks|\bglue|dbt|beam|dataflow|"
            r"lambda|ecs_|batch_job|jupyter|python|debezium|connect\b|airbyte|meltano|worker|etl|job\b|"
            r"cloud_run|container|instance$|kinesis_firehose"
        ),
    ),
    (
        "source",
        (
            r"postgres|mysql|mariadb|mongo|oracle|mssql|sqlserver|sql-server|cassandra|kafka|rabbitmq|redpanda|"
            r"kinesis|pubsub|minio|localstack|s3_bucket|storage_bucket|storage_account|ftp|db_instance|rds|"
            r"dynamodb|sql_database|cockroach|neo4j|couchdb|couchbase|\bmsk|sqs"
        ),
    ),
)
_BY_NAME = tuple((area, re.compile(text, re.I)) for area, text in _NAMES)
_BY_WHAT = tuple((area, re.compile(text, re.I)) for area, text in _WHAT)
STORES = re.compile(
    r"postgres|mysql|mariadb|mongo|redis|oracle|mssql|cassandra|clickhouse|redshift|snowflake|bigquery|minio|bucket|s3|"
    r"elasticsearch|db_instance|rds|dynamodb|sqlserver|volume|storage|database",
    re.I,
)


@dataclass
class Part:
    """``detail``: what the file gives of it: image, count, memory, ports; nothing is added."""

    id: str
    label: str
    area: Area
    detail: list[str] = field(default_factory=list)
    store: bool = False


@dataclass
class Deployment:
    name: str
    parts: dict[str, Part] = field(default_factory=dict)
    edges: list[tuple[str, str, str]] = field(default_factory=list)

    def part(self, id_: str, label: str, what: str, detail: list[str]) -> Part:
        """Add a part; ``what`` is the image or the type of resource that tells what it is."""
        found = Part(
            id_, label, area_of(label, what), [line for line in detail if line], bool(STORES.search(f"{what} {label}"))
        )
        return self.parts.setdefault(id_, found)

    def needs(self, one: str, other: str, label: str = "") -> None:
        if one != other and one in self.parts and other in self.parts and (one, other, label) not in self.edges:
            self.edges.append((one, other, label))

    def settle(self) -> None:
        """A database that nobody but schedulers needs holds their metadata."""
        for id_, part in self.parts.items():
            users = {self.parts[user].area for user, used, _ in self.edges if used == id_}
            if part.area == "source" and part.store and users == {"orchestration"}:
                part.area = "metadata"


def area_of(name: str, what: str) -> Area:
    """Where a part belongs: what its own name says of its use, then what it is."""
    spaced = name.replace("_", "-").replace("-", " ")
    is_store = bool(STORES.search(what))
    for area, pattern in _BY_NAME:
        if pattern.search(spaced) and (is_store or area in ("metadata", "monitoring")):
            return area
    for text in (what.rpartition("/")[2] or what, what, spaced):
        found = next((area for area, pattern in _BY_WHAT if pattern.search(text.replace(" ", "-"))), None)
        if found:
            return found
    return "processing"
