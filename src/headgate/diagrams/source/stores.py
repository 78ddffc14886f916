"""Key-value stores, time series, remote folders, archives and Airflow's hooks, as rows of the table of calls."""

from __future__ import annotations

from collections.abc import Iterator

from headgate.diagrams.source.flow import Part, PlaceKind
from headgate.diagrams.source.meaning import PANDAS, E, L, Meaning, N, T


def stores() -> Iterator[Meaning]:
    yield from _redis()
    yield from _series()
    yield from _dynamo()
    yield from _folders()
    yield from _archives()
    yield from _databases()


def _each(
    prefix: str,
    names: str,
    part: Part,
    place: PlaceKind | None,
    at: int | None = 0,
    keys: tuple[str, ...] = (),
    *,
    how: str = "",
    gives: str = "",
    needs: str = "",
    system: str = "",
) -> Iterator[Meaning]:
    for name in names.split():
        yield Meaning(f"{prefix}{name}", part, place, at, keys, how=how, gives=gives, needs=needs, system=system)


def _redis() -> Iterator[Meaning]:
    reads = "get mget hget hgetall hmget hscan_iter lrange lpop rpop blpop brpop smembers zrange zrangebyscore"
    writes = "set setex mset hset hmset hsetnx lpush rpush sadd zadd incr incrby setnx"
    for library in ("redis", "aioredis", "valkey"):
        yield from _each(f"{library}.*", reads, E, "table", keys=("name",), gives="value", system="Redis")
        yield from _each(f"{library}.*", writes, L, "table", keys=("name",), system="Redis")
        yield from _each(f"{library}.*", "publish xadd", L, "topic", keys=("name", "channel"), system="Redis")
        yield from _each(f"{library}.*", "xread xreadgroup", E, "topic", None, ("streams",), system="Redis")


def _series() -> Iterator[Meaning]:
    system = "InfluxDB"
    yield from _each("influxdb_client.*write_api.", "write", L, "table", keys=("bucket",), system=system)
    yield from _each(
        "influxdb_client.*query_api.", "query query_data_frame query_stream", E, None, how="plain", system=system
    )
    yield from _each("influxdb.*", "write_points", L, "table", None, ("measurement", "database"), system=system)
    yield from _each("influxdb.*", "query", E, None, system=system)
    for one in ("questdb.ingress.*", "prometheus_client.*"):
        yield from _each(one, "dataframe push_to_gateway", L, "table", None, ("table_name", "job"))


def _dynamo() -> Iterator[Meaning]:
    for prefix in ("boto3.resource.*", "boto3.client.*", "aioboto3.*"):
        yield from _each(
            prefix, "get_item batch_get_item scan", E, "table", how="dynamo", gives="dynamo.Item", system="DynamoDB"
        )
        yield from _each(
            prefix, "put_item update_item delete_item batch_write_item", L, "table", how="dynamo", system="DynamoDB"
        )
        yield from _each(
            prefix, "list_objects list_objects_v2", E, "object", None, how="bucket", gives="object.List", system="S3"
        )
    yield from _each(
        "boto3.resource.*Table.", "query", E, "table", how="dynamo", gives="dynamo.Item", system="DynamoDB"
    )
    yield from _each(
        "boto3.*get_paginator.", "paginate", E, "object", None, how="bucket", gives="object.List", system="S3"
    )
    yield from _each("boto3.client.", "get_records", E, "topic", None, ("StreamName",), system="Kinesis")
    yield from _each(
        "boto3.client.",
        "put_record put_records",
        L,
        "topic",
        None,
        ("StreamName", "DeliveryStreamName"),
        system="Kinesis",
    )
    yield from _each("boto3.client.", "receive_message", E, "topic", None, ("QueueUrl",), system="SQS")


def _folders() -> Iterator[Meaning]:
    """Folders of other machines."""
    for library in ("paramiko", "pysftp", "asyncssh"):
        yield from _each(
            f"{library}.*",
            "listdir listdir_attr listdir_iter",
            E,
            "file",
            keys=("path",),
            gives="remote.Files",
            needs="handle",
        )
        yield from _each(
            f"{library}.*",
            "get getfo",
            E,
            "file",
            keys=("remotepath", "remotepaths"),
            gives="remote.File",
            needs="handle",
        )
        yield from _each(f"{library}.*", "put putfo", L, "file", 1, ("remotepath",), needs="handle")
        yield from _each(f"{library}.*", "remove unlink", L, "file", keys=("path",), needs="handle")
        yield from _each(f"{library}.*", "rename posix_rename", L, "file", 1, ("newpath",), needs="handle")
    for kind in ("FTP", "FTP_TLS"):
        yield from _each(
            f"ftplib.{kind}.", "retrbinary retrlines", E, "file", keys=("cmd",), how="command", gives="remote.File"
        )
        yield from _each(f"ftplib.{kind}.", "storbinary storlines", L, "file", keys=("cmd",), how="command")
        yield from _each(f"ftplib.{kind}.", "delete", L, "file", keys=("filename",))
        yield from _each(f"ftplib.{kind}.", "rename", L, "file", 1, ("toname",))


def _archives() -> Iterator[Meaning]:
    """Archives unpacked, bytes unfolded; where the bytes came from is known by who read them."""
    yield from _each("zipfile.ZipFile.", "extractall extract", T, None, how="plain")
    yield from _each("tarfile.open.", "extractall extract extractfile", T, None, how="plain")
    yield from _each("shutil.", "unpack_archive", T, None, how="plain")
    for library in ("gzip", "bz2", "lzma", "zlib", "snappy", "zstandard.*", "lz4.frame"):
        yield from _each(f"{library}.", "decompress", T, None, how="plain", gives="bytes", needs="given")
    for parser in ("xml.etree.ElementTree", "lxml.etree", "xml.etree.cElementTree", "defusedxml.ElementTree"):
        yield from _each(f"{parser}.", "iterparse parse", E, "file", keys=("source",), gives="xml.Elements")


def _databases() -> Iterator[Meaning]:
    yield from _each(".", "copy_records_to_table", L, "table", keys=("table_name",))
    yield from _each(".", "copy_to_table", L, "table", keys=("table_name",))
    yield from _each(".", "copy_from_table", E, "table", keys=("table_name",))
    yield from _each(
        "clickhouse_connect.*", "insert insert_df insert_arrow", L, "table", keys=("table",), system="ClickHouse"
    )
    yield from _each(
        "clickhouse_connect.*",
        "query_df query_arrow",
        E,
        None,
        0,
        ("query",),
        how="sql",
        gives=PANDAS,
        system="ClickHouse",
    )
    yield from _each(
        "gspread.*", "get_all_records get_all_values get_values", E, "table", None, how="sheet", system="Google Sheets"
    )
    yield from _each(
        "gspread.*", "append_rows append_row update", L, "table", None, how="sheet", system="Google Sheets"
    )
    yield from _each("feedparser.", "parse", E, "api", keys=("url_file_stream_or_string",), gives="web.Response")
    yield from _each("pandas.ExcelFile.", "parse", E, None, gives=PANDAS)


def hooks() -> Iterator[Meaning]:
    """What the hooks of Airflow do beside running SQL."""
    yield from _each("*S3Hook.", "load_file load_file_obj", L, "object", 1, ("key", "s3_key"), system="S3")
    yield from _each("*S3Hook.", "load_string load_bytes", L, "object", 1, ("key", "s3_key"), system="S3")
    yield from _each(
        "*S3Hook.",
        "read_key get_key download_file list_keys",
        E,
        "object",
        0,
        ("key", "prefix"),
        gives="object.Body",
        system="S3",
    )
    yield from _each("*GCSHook.", "upload", L, "object", 1, ("object_name",), system="GCS")
    yield from _each(
        "*GCSHook.", "download list", E, "object", 1, ("object_name", "prefix"), gives="object.Body", system="GCS"
    )
    yield from _each("*SFTPHook.", "retrieve_file", E, "file", 0, ("remote_full_path",), gives="remote.File")
    yield from _each("*SFTPHook.", "store_file", L, "file", 0, ("remote_full_path",))
    yield from _each("*SFTPHook.", "list_directory", E, "file", 0, ("path",), gives="remote.Files")
    yield from _each("airflow.*Hook.", "insert_rows bulk_load", L, "table", 0, ("table",))
    yield from _each("airflow.*Hook.", "bulk_dump", E, "table", 0, ("table",))
    yield from _each("*HttpHook.", "run", E, "api", 0, ("endpoint",), gives="web.Response")
    for kind in ("SlackWebhookHook", "SlackHook", "DiscordWebhookHook", "OpsgenieAlertHook", "PagerdutyEventsHook"):
        yield from _each(f"*{kind}.", "send send_text send_dict call execute create_alert create_event", N, None)
