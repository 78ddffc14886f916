"""DuckDB in memory, able to reach only what it was given: the engine, file schemas and merges of files share it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.sql.literals import quote_text

if TYPE_CHECKING:
    import duckdb

MEMORY = 512 * 1024**2
KEPT_FOOTERS = 32
"""Files of which the engine keeps what it knows of them, since a run asks them many times; it takes some 50 KB each."""


def connect(
    workdir: Path, memory: int = MEMORY, threads: int | None = None, paths: Sequence[str] = ()
) -> duckdb.DuckDBPyConnection:
    """A database that reads ``paths``, writes only into ``workdir``, and whose settings cannot be changed again.

    Rows keep no order: that would halve the speed, and no result may hang on it.
    """
    import duckdb

    spill = workdir / "spill"
    spill.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {"memory_limit": f"{memory}B", "temp_directory": str(spill)}
    if threads:
        config["threads"] = threads
    connection = duckdb.connect(":memory:", config=config)
    settings(connection)
    folders = [str(workdir), *(path for path in paths if Path(path).is_dir())]
    single = [path for path in paths if not Path(path).is_dir()]
    connection.execute("SET GLOBAL preserve_insertion_order = false")
    if len(single) <= KEPT_FOOTERS:
        connection.execute("SET GLOBAL parquet_metadata_cache = true")
    connection.execute(f"SET GLOBAL allowed_directories = [{', '.join(map(quote_text, folders))}]")
    connection.execute(f"SET GLOBAL allowed_paths = [{', '.join(map(quote_text, single))}]")
    seal(connection)
    return connection


def bare() -> duckdb.DuckDBPyConnection:
    """A database that holds nothing and reaches nothing: it tells types, and what statements over empty tables give.

    Each time a new one: a forked process that let go of one that it inherited would wait for threads it does not have.
    """
    import duckdb

    connection = duckdb.connect(":memory:", config={"threads": 1})
    settings(connection)
    seal(connection)
    return connection


def settings(connection: duckdb.DuckDBPyConnection) -> None:
    """What all databases here have in common, so that all deliver the same types."""
    for statement in (
        "SET enable_progress_bar = false",
        "SET GLOBAL TimeZone = 'UTC'",
        "SET GLOBAL Calendar = 'gregorian'",
        "SET GLOBAL autoinstall_known_extensions = false",
        "SET GLOBAL autoload_known_extensions = false",
        "SET GLOBAL python_enable_replacements = false",
    ):
        connection.execute(statement)


def seal(connection: duckdb.DuckDBPyConnection) -> None:
    """From now on nothing else can be reached, and no setting changed."""
    connection.execute("SET GLOBAL enable_external_access = false")
    connection.execute("SET GLOBAL lock_configuration = true")


def file_list(paths: Sequence[str]) -> str:
    """A SQL list of paths; glob characters in names stand for themselves."""
    return "[" + ", ".join(quote_text("".join(f"[{c}]" if c in "*?[" else c for c in path)) for path in paths) + "]"


def parquet_rows(paths: Sequence[str], *, union: bool = True, file_column: str = "") -> str:
    """The table function over these Parquet files.

    A file's statistics leave NaN out, and DuckDB takes them for the bounds of all values unless it is told otherwise:
    it would pass over rows whose value is NaN where a condition or a join looks for those that are greater or equal.

    Args:
        union: match the columns by name; for files of one shape it costs a look at each footer.
        file_column: the name of a column that tells each row's file.
    """
    options = ["can_have_nan=true", "hive_partitioning=false"]
    if union:
        options.append("union_by_name=true")
    if file_column:
        options.append(f"filename={quote_text(file_column)}")
    return f"read_parquet({file_list(paths)}, {', '.join(options)})"
