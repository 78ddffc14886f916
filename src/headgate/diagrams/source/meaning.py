"""The one table of known calls: what a call from outside means for data, and which of its arguments tell something.

A pattern is dotted: ``pandas.read_csv`` in full; ``.to_sql`` for any receiver; ``*`` for anything between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from headgate.diagrams.source.flow import Part, PlaceKind

E, T, L, V, N, C = Part.EXTRACT, Part.TRANSFORM, Part.LOAD, Part.VALIDATE, Part.NOTIFY, Part.CONFIG


@dataclass(frozen=True)
class Meaning:
    """What a call means.

    Args:
        place: what kind of place an argument names: at this position, or under one of these names.
        detail: arguments to show, ``name`` or ``name>shown``.
        how: a way of showing the arguments (see shown.py).
        gives: the path of the result; "" for that of the receiver.
        needs: ``rows``: only when the receiver holds rows; ``given``: only when an argument does; ``unknown``: only
            where the receiver is not known to be something else.
    """

    pattern: str
    part: Part
    place: PlaceKind | None = None
    at: int | None = 0
    names: tuple[str, ...] = ()
    detail: tuple[str, ...] = ()
    how: str = ""
    gives: str = ""
    needs: str = ""
    system: str = ""


PANDAS, POLARS, SPARK, DUCK = "pandas.DataFrame", "polars.DataFrame", "pyspark.DataFrame", "duckdb.DataFrame"
READ = (
    "sep",
    "delimiter",
    "sheet_name",
    "usecols",
    "columns",
    "parse_dates",
    "chunksize",
    "batch_size",
    "encoding",
    "nrows",
)
WRITE = ("mode", "if_exists", "chunksize>batch_size", "method", "partition_cols", "partition_by", "compression", "sep")


def _files(prefix: str, gives: str, formats: str) -> Iterator[Meaning]:
    for one in formats.split():
        yield Meaning(
            f"{prefix}{one}",
            E,
            "file",
            0,
            ("filepath_or_buffer", "path", "io", "source", "path_or_buf"),
            READ,
            gives=gives,
        )


def _frame(
    part: Part, names: str, how: str = "", needs: str = "rows", detail: tuple[str, ...] = ()
) -> Iterator[Meaning]:
    for one in names.split():
        yield Meaning(f".{one}", part, how=how, needs=needs, detail=detail)


def _spark() -> Iterator[Meaning]:
    for one in ["csv", "json", "parquet", "orc", "text", "avro"]:
        yield Meaning(f"*.read.*{one}", E, "file", 0, ("path",), how="chain", gives=SPARK)
        yield Meaning(f"*.readStream.*{one}", E, "file", 0, ("path",), how="chain", gives=SPARK)
        yield Meaning(f"*.write.*{one}", L, "file", 0, ("path",), ("mode",), "chain")
    for one in ("read", "readStream"):
        yield Meaning(f"*.{one}.*load", E, "file", 0, ("path",), how="chain", gives=SPARK)
        yield Meaning(f"*.{one}.*table", E, "table", 0, ("tableName",), how="chain", gives=SPARK)
        yield Meaning(f"*.{one}.*jdbc", E, "table", 1, ("table",), how="chain", gives=SPARK)
    for one in ("write", "writeStream"):
        yield Meaning(f"*.{one}.*save", L, "file", 0, ("path",), ("mode", "format"), "chain")
        yield Meaning(f"*.{one}.*start", L, "file", 0, ("path",), how="chain")
        yield Meaning(f"*.{one}.*saveAsTable", L, "table", 0, ("name",), ("mode",), "chain")
        yield Meaning(f"*.{one}.*toTable", L, "table", 0, (), how="chain")
        yield Meaning(f"*.{one}.*insertInto", L, "table", 0, ("tableName",), how="chain")
        yield Meaning(f"*.{one}.*jdbc", L, "table", 1, ("table",), ("mode",), "chain")
    yield Meaning(".writeTo", L, "table", 0, (), how="chain", needs="unknown")
    yield Meaning("*spark.table", E, "table", gives=SPARK)
    yield Meaning("*.getOrCreate.table", E, "table", gives=SPARK)
    yield Meaning(".createDataFrame", E, None, needs="nothing", gives=SPARK)
    for one in [
        "withColumn",
        "withColumns",
        "withColumnRenamed",
        "dropDuplicates",
        "selectExpr",
        "unionByName",
        "crossJoin",
        "groupBy",
        "orderBy",
        "na.fill",
        "na.drop",
        "fillna",
    ]:
        how = {"withColumn": "column", "dropDuplicates": "columns", "groupBy": "group", "crossJoin": "join"}.get(
            one, "plain"
        )
        yield Meaning(f".{one}", T, how=how, needs="unknown")


def _table() -> Iterator[Meaning]:
    yield from _files(
        "pandas.read_",
        PANDAS,
        "csv excel json parquet feather orc xml fwf pickle hdf table html stata sas spss clipboard",
    )
    yield Meaning("pandas.ExcelFile", E, "file", gives="pandas.ExcelFile")
    for one in ("read_sql", "read_sql_query"):
        yield Meaning(f"pandas.{one}", E, None, 0, ("sql",), ("chunksize", "params"), "sql", PANDAS)
    yield Meaning(
        "pandas.read_sql_table", E, "table", 0, ("table_name",), ("chunksize", "columns", "schema"), gives=PANDAS
    )
    yield Meaning("pandas.read_gbq", E, None, 0, ("query",), (), "sql", PANDAS, system="BigQuery")
    for one in ("DataFrame", "DataFrame.from_dict", "DataFrame.from_records", "json_normalize", "Series"):
        yield Meaning(f"pandas.{one}", T, None, needs="given", gives=PANDAS, how="quiet")
    yield Meaning("pandas.concat", T, how="plain", needs="given", gives=PANDAS)
    for one in ("merge", "merge_asof", "merge_ordered"):
        yield Meaning(f"pandas.{one}", T, how="join", needs="given", gives=PANDAS)
    yield Meaning("pandas.pivot_table", T, how="columns", needs="given", gives=PANDAS)
    yield Meaning("pandas.melt", T, how="columns", needs="given", gives=PANDAS)
    yield Meaning("pandas.get_dummies", T, how="plain", needs="given", gives=PANDAS)
    for prefix in ("polars.read_", "polars.scan_"):
        yield from _files(prefix, POLARS, "csv excel json ndjson parquet ipc avro delta iceberg pyarrow_dataset")
    for one in ("read_database", "read_database_uri"):
        yield Meaning(f"polars.{one}", E, None, 0, ("query",), (), "sql", POLARS)
    yield Meaning("polars.concat", T, how="plain", needs="given", gives=POLARS)
    for one in ("DataFrame", "LazyFrame", "from_dicts", "from_pandas", "from_arrow"):
        yield Meaning(f"polars.{one}", T, needs="given", gives=POLARS, how="quiet")
    yield from _files("duckdb.read_", DUCK, "csv json parquet")
    yield from _files("duckdb.connect.*read_", DUCK, "csv json parquet")
    for one in [
        "csv",
        "parquet",
        "json",
        "excel",
        "feather",
        "orc",
        "pickle",
        "hdf",
        "html",
        "stata",
        "delta",
        "ndjson",
        "ipc",
        "avro",
        "iceberg",
        "xml",
        "markdown",
    ]:
        for verb in ("to", "write", "sink"):
            yield Meaning(
                f".{verb}_{one}",
                L,
                "file",
                0,
                ("path_or_buf", "path", "excel_writer", "file", "fname", "target"),
                WRITE,
                needs="frame",
            )
    yield Meaning(".to_sql", L, "table", 0, ("name",), (*WRITE, "schema"))
    yield Meaning(".write_database", L, "table", 0, ("table_name",), ("if_table_exists>if_exists", "engine"))
    yield Meaning(".to_gbq", L, "table", 0, ("destination_table",), ("if_exists",), system="BigQuery")
    yield Meaning(".read_sql", E, None, 0, ("sql",), (), "sql", PANDAS, "unknown")
    yield from _spark()
    yield from _frame(T, "merge join join_asof merge_asof", "join")
    yield from _frame(T, "groupby group_by resample rolling", "group")
    yield from _frame(T, "group_by_dynamic rolling", "group")
    yield from _frame(T, "agg aggregate", "agg")
    yield from _frame(T, "drop_duplicates unique distinct dedup", "columns")
    yield from _frame(T, "dropna drop_nulls", "columns")
    yield from _frame(T, "fillna fill_null fill_nan ffill bfill interpolate", "values")
    yield from _frame(T, "pivot_table pivot melt unpivot explode transpose stack unstack", "columns")
    yield from _frame(T, "sort_values sort orderBy order_by sort_index", "sorted")
    yield from _frame(T, "query filter where", "condition")
    yield from _frame(T, "assign with_columns", "named")
    yield from _frame(T, "rename astype cast convert_dtypes", "plain")
    yield from _frame(T, "drop select select_dtypes", "columns")
    yield from _frame(T, "apply map applymap transform map_rows mapInPandas pipe map_elements", "function")
    yield from _frame(T, "union unionAll append concat vstack extend_frame intersect subtract", "plain")
    yield from _frame(T, "nlargest nsmallest sample shift cumsum diff rank clip cut", "plain")
    yield from (Meaning(f".{one}", T, how=how, needs="unknown") for one, how in (
        ("drop_duplicates", "columns"), ("groupby", "group"), ("pivot_table", "columns"), ("sort_values", "sorted"),
        ("with_columns", "named"), ("reset_index", "quiet"), ("set_index", "quiet"), ("fillna", "values"),
        ("dropna", "columns"), ("drop_nulls", "columns"), ("group_by", "group"), ("applymap", "function"),
        ("to_datetime", "quiet"),
    ))  # fmt: skip
    yield Meaning(".merge", T, how="join", needs="joined")
    yield Meaning(".join", T, how="join", needs="joined")
    yield from _services()
    yield from _standard()


def _services() -> Iterator[Meaning]:  # noqa: C901 - one loop a service
    for library in (
        "requests",
        "httpx",
        "aiohttp.ClientSession",
        "requests.Session",
        "httpx.Client",
        "httpx.AsyncClient",
        "requests.sessions.Session",
        "urllib3.PoolManager",
    ):
        yield Meaning(f"{library}.get", E, "api", 0, ("url",), ("params", "timeout"), gives="web.Response")
        yield Meaning(f"{library}.request", E, "api", 1, ("url",), ("timeout",), gives="web.Response")
        for verb in ("post", "put", "patch"):
            yield Meaning(f"{library}.{verb}", L, "api", 0, ("url",), (), "sent", "web.Response")
    yield Meaning("*session.get", E, "api", 0, ("url",), ("params",), gives="web.Response", needs="unknown")
    yield Meaning("*session.post", L, "api", 0, ("url",), (), "sent", "web.Response", needs="unknown")
    for one in (
        "urllib.request.urlopen",
        "urllib2.urlopen",
        "urllib.urlopen",
        "urllib.request.urlretrieve",
        "urllib.urlretrieve",
    ):
        yield Meaning(one, E, "api", 0, ("url",), gives="web.Response")
    for one in ("download_file", "download_fileobj", "get_object", "select_object_content"):
        yield Meaning(f"*.{one}", E, "object", None, how="bucket", gives="object.Body", needs="unknown", system="S3")
    for one in ("upload_file", "upload_fileobj", "put_object", "copy_object"):
        yield Meaning(f"*.{one}", L, "object", None, how="bucket", needs="unknown", system="S3")
    yield Meaning("boto3.resource.*put", L, "object", None, how="bucket", system="S3")
    yield Meaning("boto3.resource.*get", E, "object", None, how="bucket", gives="object.Body", system="S3")
    for one, part in (
        ("upload_from_filename", L),
        ("upload_from_string", L),
        ("upload_from_file", L),
        ("upload_blob", L),
        ("download_as_text", E),
        ("download_as_string", E),
        ("download_to_filename", E),
        ("download_as_bytes", E),
        ("download_blob", E),
    ):
        yield Meaning(f".{one}", part, "object", None, how="bucket", needs="unknown", system="object store")
    yield Meaning("*.load_table_from_dataframe", L, "table", 1, ("destination",), system="BigQuery")
    yield Meaning("*.load_table_from_uri", L, "table", 1, ("destination",), system="BigQuery")
    yield Meaning("*.load_table_from_file", L, "table", 1, ("destination",), system="BigQuery")
    yield Meaning("*.load_table_from_json", L, "table", 1, ("destination",), system="BigQuery")
    yield Meaning("*.insert_rows_json", L, "table", 0, ("table",), system="BigQuery")
    yield Meaning("*.write_pandas", L, "table", 2, ("table_name",), system="Snowflake")
    yield Meaning("snowflake.connector.pandas_tools.write_pandas", L, "table", 2, ("table_name",), system="Snowflake")
    yield Meaning("kafka.KafkaConsumer", E, "topic", 0, ("topic",), ("group_id",), gives="kafka.KafkaConsumer")
    yield Meaning("confluent_kafka.Consumer.subscribe", E, "topic", 0, ("topics",), system="Kafka")
    yield Meaning("confluent_kafka.Consumer.poll", E, None, how="quiet", gives="kafka.Message")
    for one in ("kafka.KafkaProducer.send", "confluent_kafka.Producer.produce", "*producer.send", "*producer.produce"):
        yield Meaning(one, L, "topic", 0, ("topic",), ("key",), system="Kafka")
    for one in ("find", "aggregate", "find_one"):
        yield Meaning(
            f"pymongo.MongoClient.*{one}", E, "table", None, how="collection", gives="mongo.Cursor", system="MongoDB"
        )
    for one in ("insert_many", "insert_one", "bulk_write", "replace_one", "update_one", "update_many"):
        yield Meaning(f".{one}", L, "table", None, how="collection", needs="unknown", system="MongoDB")
    yield Meaning("elasticsearch.helpers.bulk", L, "table", None, how="plain", system="Elasticsearch")
    yield Meaning("awswrangler.*read_*", E, "file", 0, ("path",), gives=PANDAS, how="chain")
    for one in ("parquet", "csv", "json"):
        yield Meaning(f"awswrangler.s3.read_{one}", E, "object", 0, ("path",), gives=PANDAS, system="S3")
        yield Meaning(f"awswrangler.s3.to_{one}", L, "object", 1, ("path",), ("mode", "dataset"), system="S3")
    yield Meaning("awswrangler.athena.read_sql_query", E, None, 0, ("sql",), (), "sql", PANDAS, system="Athena")
    for one in ("read_table", "ParquetFile", "read_pandas"):
        yield Meaning(f"pyarrow.parquet.{one}", E, "file", 0, ("source",), gives="pyarrow.Table")
    yield Meaning("pyarrow.csv.read_csv", E, "file", gives="pyarrow.Table")
    yield Meaning("pyarrow.dataset.dataset", E, "file", gives="pyarrow.Table")
    yield Meaning("pyarrow.parquet.write_table", L, "file", 1, ("where",), ("compression",))
    yield Meaning("pyarrow.parquet.write_to_dataset", L, "file", 1, ("root_path",), ("partition_cols",))
    yield Meaning("pyarrow.dataset.write_dataset", L, "file", 1, ("base_dir",), ("format",))
    yield Meaning("deltalake.write_deltalake", L, "file", 0, (), ("mode",))
    yield Meaning("deltalake.DeltaTable", E, "file", gives="pyarrow.Table")
    for one in ("psycopg2.extras.execute_values", "psycopg2.extras.execute_batch"):
        yield Meaning(one, L, None, 1, ("sql",), ("page_size>batch_size",), "sql")
    yield Meaning(".copy_expert", L, None, 0, ("sql",), (), "sql", needs="unknown")
    yield Meaning(".copy_from", L, "table", 1, ("table",), ("sep",), needs="unknown")
    yield Meaning(".bulk_insert_mappings", L, "table", 0, (), needs="unknown")
    yield Meaning(".bulk_save_objects", L, None, needs="unknown")
    for one in ("validate", "expect"):
        yield Meaning(f"pandera.*{one}", V)
    yield Meaning("great_expectations.*validate", V)
    yield Meaning("great_expectations.*run", V)
    yield Meaning("bs4.BeautifulSoup", T, needs="given", how="quiet")


def _standard() -> Iterator[Meaning]:
    for one in ("csv.reader", "csv.DictReader"):
        yield Meaning(one, E, "file", 0, ("f", "csvfile"), ("delimiter",), gives="csv.rows")
    for one in (
        "json.load",
        "ijson.items",
        "pickle.load",
        "xml.etree.ElementTree.parse",
        "lxml.etree.parse",
        "openpyxl.load_workbook",
        "gzip.open",
        "toml.load",
        "tomllib.load",
        "orjson.load",
    ):
        yield Meaning(one, E, "file", 0, ("fp",), gives="rows")
    for one in ("csv.writer.writerow", "csv.writer.writerows", "csv.DictWriter.writerow", "csv.DictWriter.writerows"):
        yield Meaning(one, L, "file", None, how="writer")
    for one in ("json.dump", "pickle.dump", "yaml.dump", "yaml.safe_dump"):
        yield Meaning(one, L, "file", 1, ("fp",))
    for one in ("shutil.copy", "shutil.copyfile", "shutil.move"):
        yield Meaning(one, L, "file", 1, ("dst",))
    for one in (
        "yaml.safe_load",
        "yaml.load",
        "yaml.full_load",
        "configparser.ConfigParser.read",
        "dotenv.load_dotenv",
        "toml.load",
        "tomllib.load",
        "configparser.RawConfigParser.read",
        "ConfigParser.ConfigParser.read",
        "configparser.SafeConfigParser.read",
        "omegaconf.OmegaConf.load",
    ):
        yield Meaning(one, C, "file", 0, ("stream", "filenames", "dotenv_path"), gives="?config")
    for one in (
        "smtplib.SMTP.send_message",
        "smtplib.SMTP.sendmail",
        "smtplib.SMTP_SSL.send_message",
        "smtplib.SMTP_SSL.sendmail",
        "*.send_email",
        "*.chat_postMessage",
        "slack_sdk.*send",
        "slack.*send",
        "*.publish_alert",
        "pymsteams.*send",
        "twilio.*create",
        "telegram.*send_message",
        "sendgrid.*send",
        "airflow.utils.email.send_email",
    ):
        yield Meaning(one, N)
    yield Meaning("boto3.client.publish", N, None, how="sns", system="SNS")
    yield Meaning("boto3.client.send_message", L, "topic", None, ("QueueUrl",), system="SQS")


TABLE = tuple(_table())


def _compiled(pattern: str) -> re.Pattern[str]:
    text = pattern if not pattern.startswith(".") else f"*{pattern}"
    return re.compile("".join(".*" if part == "*" else re.escape(part) for part in re.split(r"(\*)", text)) + "$")


_BY_LAST: dict[str, list[tuple[re.Pattern[str], Meaning]]] = {}
for _one in TABLE:
    _BY_LAST.setdefault(_one.pattern.rpartition(".")[2].removeprefix("*"), []).append((_compiled(_one.pattern), _one))


@lru_cache(maxsize=8192)
def meanings(path: str) -> tuple[Meaning, ...]:
    """What a call of that path may mean; the first whose needs are met holds. ``path`` has no brackets."""
    last = path.rpartition(".")[2]
    return tuple(meaning for pattern, meaning in _BY_LAST.get(last, ()) if pattern.match(path))
