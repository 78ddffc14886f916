"""Other spellings of sources and targets."""

from __future__ import annotations

from headgate.config.renames import as_items, flatten, lift, rename, replace, section_of
from headgate.config.report import Path, Report
from headgate.config.yaml import Section

_SOURCE = {
    "table_name": "table", "source_table": "table", "sql": "query", "sql_query": "query",
    "source_name": "connection", "connection_name": "connection", "source_connection": "connection",
    "file_path": "path", "chunk_size": "batch_size", "params": "parameters", "query_parameters": "parameters",
    "extract_mode": "mode", "extraction_mode": "mode", "extraction_type": "mode",
}  # fmt: skip
_CURSOR = ("timestamp_column", "incremental_column", "watermark_column", "cursor_column", "last_updated_column")
_KEYS = ("unique_key", "primary_key", "key_column", "id_column")
_TARGET = {
    "table_name": "table", "target_table": "table", "target_connection": "connection", "connection_name": "connection",
    "load_mode": "mode", "write_mode": "mode", "if_exists": "mode", "write_disposition": "mode",
    "merge_keys": "keys", "merge_key": "keys", "conflict_columns": "keys", "business_key": "keys",
    "upsert_keys": "keys", "unique_key": "keys", "primary_key": "keys", "key": "keys", "on_conflict": "keys",
    "create_table_if_not_exists": "create", "track_columns": "track", "tracked_columns": "track",
    "partition_column": "partition_by", "partition_columns": "partition_by", "partitioned_by": "partition_by",
}  # fmt: skip
_MODES = {
    "replace": "overwrite", "truncate": "overwrite", "truncate_insert": "overwrite", "full": "overwrite",
    "insert": "append", "update": "upsert", "upsert_merge": "upsert", "scd_type2": "scd2", "scd_type_2": "scd2",
    "history": "scd2", "insert_overwrite": "overwrite",
}  # fmt: skip
_ELSEWHERE = ("connection_string", "credentials")


def canonical_source(section: Section, report: Report, path: Path) -> None:
    """Rewrite one source in place."""
    _nested(section, "source", report, path)
    rename(section, _SOURCE, report, path)
    replace(section, "mode", {"full_refresh": "full"})
    _schema(section, report, path)
    _cursor(section, report, path)
    _refuse_connection(section, report, path)


def canonical_target(section: Section, report: Report, path: Path) -> None:
    """Rewrite one target in place."""
    _nested(section, "target", report, path)
    rename(section, _TARGET, report, path)
    replace(section, "mode", _MODES)
    _schema(section, report, path)
    if section.get("truncate_before_load") is not None:
        _emptied(section, report, path)
    if isinstance(section.get("keys"), str):
        line = section.line_of("keys")
        section.put("keys", as_items(section["keys"], line), line)
    if section.get("evolve") in (True, False):
        section.put("evolve", "evolve" if section["evolve"] else "freeze", section.line_of("evolve"))
    _refuse_connection(section, report, path)


def _emptied(section: Section, report: Report, path: Path) -> None:
    """Rows that are added to a table that was emptied replace it; a merge is about the rows that are there."""
    line = section.line_of("truncate_before_load")
    if not section.take("truncate_before_load"):
        return
    mode = section.get("mode", "append")
    if mode == "append":
        section.put("mode", "overwrite", line)
    elif mode != "overwrite":
        what = f"truncate_before_load empties the table, and mode {mode} is about the rows that are there"
        report.note(what, (*path, "truncate_before_load"), "drop it, or say mode: overwrite", line=line)


def _nested(section: Section, key: str, report: Report, path: Path) -> None:
    """``extraction: {source: …}``: a mapping is the source itself, a text its connection."""
    inner = section.get(key)
    if isinstance(inner, Section):
        section.take(key)
        lift(section, inner, report, (*path, key))
    elif isinstance(inner, str):
        rename(section, {key: "connection"}, report, path)


def _schema(section: Section, report: Report, path: Path) -> None:
    """``schema: {table, columns}`` are options; ``schema: public`` belongs to the table's name."""
    schema = section.get("schema")
    if isinstance(schema, Section) and set(schema) <= {"table", "columns"}:
        flatten(section, "schema", report, path)
    elif isinstance(schema, str) and isinstance(section.get("table"), str):
        line = section.line_of("table")
        section.take("schema")
        section.put("table", f"{schema}.{section['table']}", line)


def _cursor(section: Section, report: Report, path: Path) -> None:
    """The cursor under ``incremental``, wherever it stood."""
    _short_incremental(section)
    inner = section.get("incremental")
    names = {**dict.fromkeys(_CURSOR, "column"), **dict.fromkeys(_KEYS, "key"), "initial_value": "start"}
    if isinstance(inner, Section):
        rename(inner, names, report, (*path, "incremental"))
    loose = [key for key in _CURSOR if key in section]
    if not loose or section.get("mode", "incremental") != "incremental":
        return
    line = section.line_of(loose[0])
    if inner is None:
        inner = Section(section.file, line)
        section.put("incremental", inner, line)
    if "mode" not in section:
        section.put("mode", "incremental", line)
    if isinstance(inner, Section):
        _gather(section, inner, {**dict.fromkeys(loose, "column"), **dict.fromkeys(_KEYS, "key")}, report, path)


def _short_incremental(section: Section) -> None:
    """``incremental: true`` is a mode, ``incremental: updated_at`` a mode with its cursor."""
    given, line = section.get("incremental"), section.line_of("incremental")
    if isinstance(given, bool):
        section.take("incremental")
    elif isinstance(given, str):
        section.put("incremental", section_of([("column", given)], section.file, line), line)
    else:
        return
    if "mode" not in section:
        section.put("mode", "full" if given is False else "incremental", line)


def _gather(section: Section, inner: Section, names: dict[str, str], report: Report, path: Path) -> None:
    for old, new in names.items():
        if old not in section:
            continue
        if new in inner:
            report.note(f'"{old}" and "incremental.{new}" say the same', (*path, old), f"keep incremental.{new}")
        else:
            inner.put(new, section[old], section.line_of(old))
        section.take(old)


def _refuse_connection(section: Section, report: Report, path: Path) -> None:
    """Where a system is, and who may enter, stands once, under connections."""
    if "connection" in section:
        return
    for key in _ELSEWHERE:
        if key in section:
            hint = "name it under connections:, and write connection: NAME here"
            report.note(f"{key} belongs to a connection", (*path, key), hint)
            section.take(key)
