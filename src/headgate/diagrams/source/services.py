"""Services and files of known libraries, as rows of the table of calls."""

from __future__ import annotations

from collections.abc import Iterator

from headgate.diagrams.source.meaning import PANDAS, C, E, L, Meaning, N, T, V


def services() -> Iterator[Meaning]:  # noqa: C901 - one loop a service
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
    for library in ("confluent_kafka", "kafka"):
        yield Meaning(f"{library}.*Consumer.subscribe", E, "topic", 0, ("topics",), how="subscribed", system="Kafka")
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
    for one in (".copy_expert", "psycopg.*copy"):
        yield Meaning(one, L, None, 0, ("sql", "statement"), (), "sql", needs="unknown")
    yield Meaning(".copy_from", L, "table", 1, ("table",), ("sep",), needs="unknown")
    yield Meaning(".bulk_insert_mappings", L, "table", 0, (), needs="unknown")
    yield Meaning(".bulk_save_objects", L, None, needs="unknown")
    for one in ("validate", "expect"):
        yield Meaning(f"pandera.*{one}", V)
    yield Meaning("great_expectations.*validate", V)
    yield Meaning("great_expectations.*run", V)
    yield Meaning("bs4.BeautifulSoup", T, needs="given", how="quiet")


def standard() -> Iterator[Meaning]:
    for one in ("csv.reader", "csv.DictReader"):
        yield Meaning(one, E, "file", 0, ("f", "csvfile"), ("delimiter",), gives="csv.rows")
    for one in (
        "json.load",
        "ijson.items",
        "pickle.load",
        "openpyxl.load_workbook",
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
        "ruamel.yaml.YAML.load",
        "tomli.load",
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
    yield Meaning("boto3.client.publish", N, "topic", None, ("TopicArn", "TargetArn"), system="SNS")
    yield Meaning("boto3.client.send_message", L, "topic", None, ("QueueUrl",), system="SQS")
