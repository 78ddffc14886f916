"""What names say: of systems, in libraries and addresses; of purposes, in functions."""

from __future__ import annotations

import re

from headgate.diagrams.source.flow import Part

SYSTEMS: tuple[tuple[str, str], ...] = (
    ("psycopg", "PostgreSQL"),
    ("asyncpg", "PostgreSQL"),
    ("postgresql", "PostgreSQL"),
    ("postgres", "PostgreSQL"),
    ("pymysql", "MySQL"),
    ("mysql", "MySQL"),
    ("MySQLdb", "MySQL"),
    ("mariadb", "MariaDB"),
    ("sqlite", "SQLite"),
    ("duckdb", "DuckDB"),
    ("cx_Oracle", "Oracle"),
    ("oracle", "Oracle"),
    ("mssql", "SQL Server"),
    ("pymssql", "SQL Server"),
    ("pyodbc", "ODBC"),
    ("snowflake", "Snowflake"),
    ("bigquery", "BigQuery"),
    ("redshift", "Redshift"),
    ("clickhouse", "ClickHouse"),
    ("pymongo", "MongoDB"),
    ("cassandra", "Cassandra"),
    ("pyspark", "Spark"),
    ("trino", "Trino"),
    ("presto", "Presto"),
    ("databricks", "Databricks"),
    ("teradata", "Teradata"),
    ("vertica", "Vertica"),
    ("hive", "Hive"),
)


def system_of(path: str) -> str:
    """The system that a library, a URL's scheme or a hook stands for; "" where that is not known."""
    lower = path.lower()
    return next((name for start, name in SYSTEMS if start.lower() in lower), "")


_WORDS: tuple[tuple[Part, str], ...] = (
    (
        Part.NOTIFY,
        (
            r"(?:send|post|notify|trigger|raise|publish)_?(?:\w*_)?(?:alert|notification|email|mail|slack|message|pager|sms)s?|"
            r"alert\w*|notify\w*|email_\w+"
        ),
    ),
    (
        Part.VALIDATE,
        (
            r"validate\w*|check(?:_\w+|s)?|verify\w*|assert_\w+|(?:run_)?(?:data_)?quality\w*|ensure_\w+|"
            r"expect(?:_\w+)?|(?:is_)?valid(?:_\w+)?|is_\w+_valid"
        ),
    ),
    (
        Part.EXTRACT,
        (
            r"extract\w*|fetch\w*|download\w*|read(?:_\w+)?|ingest\w*|scrape\w*|crawl\w*|pull_\w+|"
            r"collect(?:_\w+)?|get_(?:data|rows|records)\w*|query_\w+"
        ),
    ),
    (
        Part.TRANSFORM,
        (
            r"transform\w*|clean(?:_(?!up)\w+|ed|ing|se\w*)?|normali[sz]e\w*|enrich\w*|aggregat\w*|merge_\w+|filter_\w+|"
            r"parse(?:_\w+)?|convert\w*|compute_\w+|calculate\w*|dedup\w*|standardi[sz]e\w*|mask_\w+|"
            r"anonymi[sz]e\w*|preprocess\w*|process(?:_\w+)?|join_\w+|map_\w+|pivot\w*|apply_\w+|"
            r"build_\w+|prepare_\w+|add_\w+|impute\w*|flatten\w*|decode(?:_\w+)?|decrypt\w*|decompress\w*|unzip\w*|"
            r"gunzip\w*|unpack\w*|deseriali[sz]e\w*"
        ),
    ),
    (
        Part.LOAD,
        (
            r"load(?:_\w+)?|write(?:_\w+)?|save(?:_\w+)?|upload\w*|store(?:_\w+)?|insert\w*|upsert\w*|"
            r"export\w*|publish(?:_\w+)?|push_\w+|persist\w*|sink\w*|dump_\w+"
        ),
    ),
)
_NAMED = tuple((part, re.compile(f"_*(?:{text})$", re.I)) for part, text in _WORDS)


_SMALL = re.compile(r"(^|_)(date|time|timestamp|datetime|str|string|name|url|path|arg|type|key|version|id)s?$")
_SETTINGS = re.compile(
    r"config|credential|secret|token|setting|param|schema|logger|connection|client|session|env(?:ironment)?(?:_|$)"
)


def words(name: str) -> str:
    """``CheckResult`` as ``check_result``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def part_of(name: str) -> Part | None:
    """What a function's own name says it is for; None where it says nothing."""
    snake = words(name)
    part = next((part for part, pattern in _NAMED if pattern.match(snake)), None)
    if part is Part.EXTRACT and _SETTINGS.search(snake):
        return None
    if part is Part.LOAD and re.search(r"(^|_)(log|logs|xcom|variables?|metrics?)(_|$)", snake):
        return None
    if part in (Part.EXTRACT, Part.TRANSFORM) and _SMALL.search(snake):
        return None  # about one value, not rows
    return part
