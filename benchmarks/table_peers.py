"""How the peers copy one table from PostgreSQL to PostgreSQL, each as its own documents say is fastest.

Nothing is changed or checked on the way, and the target's table is not there before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import peers

DLT = """
import sys, dlt
from dlt.sources.sql_database import sql_table
source, target, folder = sys.argv[1:4]
pipeline = dlt.pipeline(
    "bench", destination=dlt.destinations.postgres(target), dataset_name="loaded", pipelines_dir=folder
)
options = dict(backend_kwargs={"conn": source, "return_type": "arrow_stream"}) if sys.argv[4] == "tuned" else {}
backend = "connectorx" if sys.argv[4] == "tuned" else "sqlalchemy"
rows = sql_table(source, table="lineitem", schema="public", backend=backend, reflection_level="full", **options)
format = dict(loader_file_format="parquet") if sys.argv[4] == "tuned" else {}
pipeline.run(rows, write_disposition="append", **format)
"""
POLARS = """
import sys, polars as pl
rows = pl.read_database_uri("SELECT * FROM lineitem", sys.argv[1], engine="connectorx")
rows.write_database("loaded", sys.argv[2], engine="adbc")
"""

Command = Callable[[str, str, Path], list[str]]


def _dlt(kind: str) -> Command:
    def command(source: str, target: str, folder: Path) -> list[str]:
        return [*peers.script("dlt", DLT), source, target.replace("postgres@", "postgres:none@"), str(folder), kind]

    return command


def _polars(source: str, target: str, _: Path) -> list[str]:
    return [*peers.script("polars", POLARS), source, target]


def _sling(source: str, target: str, folder: Path) -> list[str]:
    replication = {
        "source": source + "?sslmode=disable",
        "target": target + "?sslmode=disable",
        "defaults": {"mode": "full-refresh", "object": "public.loaded"},
        "streams": {"public.lineitem": {}},
    }
    (folder / "replication.json").write_text(json.dumps(replication))
    return [peers.sling(), "run", "-r", str(folder / "replication.json")]


def _ingestr(source: str, target: str, folder: Path) -> list[str]:
    program = str(peers.environment("ingestr") / "ingestr")
    tables = ["--source-table", "public.lineitem", "--dest-table", "public.loaded"]
    addresses = ["--source-uri", source, "--dest-uri", target.replace("postgres@", "postgres:none@")]
    fast = ["--sql-backend", "pyarrow", "--loader-file-format", "parquet"]
    return [program, "ingest", *addresses, *tables, *fast, "--yes", "--progress", "log", "--pipelines-dir", str(folder)]


TABLE_PEERS: Mapping[str, tuple[Command, str]] = {
    "dlt, tuned": (_dlt("tuned"), "loaded.lineitem"),
    "Polars, connectorx and ADBC": (_polars, "loaded"),
    "Sling": (_sling, "loaded"),
    "ingestr": (_ingestr, "loaded"),
    "dlt, defaults": (_dlt("defaults"), "loaded.lineitem"),
}
"""By name: the command (its addresses, an empty folder), and the table that it makes."""
