"""What a call from outside means for data, and which of its arguments tell something; tables in memory, as rows of it.

A pattern is dotted: ``pandas.read_csv`` in full; ``.to_sql`` for any receiver; ``*`` for anything between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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


def frames() -> Iterator[Meaning]:
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
    yield Meaning("pandas.json_normalize", T, how="plain", needs="given", gives=PANDAS)
    for one in ("DataFrame", "DataFrame.from_dict", "DataFrame.from_records", "Series"):
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
    yield from _frame(T, "replace", "values", "frame only")
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
