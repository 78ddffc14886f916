"""Partition tables, made when the first row for them comes: ``sales_2024_01`` for January, a default one for NULL.

A new partition is built beside the table and then attached, so that readers do not wait. Partitions that somebody made
by hand are used as they are.
"""

from __future__ import annotations

import hashlib
import re
from datetime import date, timedelta
from typing import Any

from headgate.core.contracts import Partitioning
from headgate.core.errors import Code, FatalError
from headgate.io.postgres import Statements
from headgate.io.postgres.catalogue import Relation
from headgate.sql.literals import quote_name, quote_text

LIMIT = 1_000
"""Partitions that one run may make: more is a wrong column rather than a wish."""


def clause(partitioning: Partitioning) -> str:
    """What makes a new table a partitioned one."""
    kind = "LIST" if partitioning.by == "value" else "RANGE"
    return f" PARTITION BY {kind} ({quote_name(partitioning.column)})"


def ensure(statements: Statements, target: Relation, staged: str, partitioning: Partitioning) -> None:
    """Make the partitions that staged rows need and that are not there; ``staged`` is a FROM clause.

    Raises:
        FatalError: UNSUPPORTED when the table is not partitioned, or more than a thousand would be made.
    """
    if statements.value("SELECT relkind::text FROM pg_catalog.pg_class WHERE oid = ?", (target.oid,)) != "p":
        raise _unsupported(target, "the table is there, and is not partitioned", "drop partitioning, or make it anew")
    column = quote_name(partitioning.column)
    nulls, covered = f"SELECT count(*) FROM {staged} AS s WHERE s.{column} IS NULL", _covered(statements, target)
    if statements.value(nulls) and not _default(statements, target):
        _attach(statements, target, f"{target.name}_default", "DEFAULT")
    derived = column
    if partitioning.by != "value":
        derived = f"date_trunc('{partitioning.by}', {column}::timestamp)::date"
    found = statements.query(
        f"SELECT DISTINCT {derived} AS part FROM (SELECT DISTINCT {column} FROM {staged} AS s) AS d"
        f" WHERE {column} IS NOT NULL AND ({covered}) IS NOT TRUE ORDER BY 1 LIMIT {LIMIT + 1}"
    )
    if len(found) > LIMIT:
        many = f"the rows need more than {LIMIT} new partitions"
        raise _unsupported(target, many, "choose another column, or a wider by")
    for (value,) in found:
        name, bounds = _part(target.name, value, partitioning.by)
        _attach(statements, target, name, f"FOR VALUES {bounds}")


def _covered(statements: Statements, target: Relation) -> str:
    """The condition that a value has a partition already, the default one left out."""
    rows = statements.query(
        "SELECT pg_get_partition_constraintdef(c.oid) FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c"
        " ON c.oid = i.inhrelid WHERE i.inhparent = ? AND pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT'",
        (target.oid,),
    )
    return " OR ".join(f"({definition})" for (definition,) in rows) or "FALSE"


def _default(statements: Statements, target: Relation) -> bool:
    query = "SELECT partdefid <> 0 FROM pg_catalog.pg_partitioned_table WHERE partrelid = ?"
    return bool(statements.value(query, (target.oid,)))


def _attach(statements: Statements, target: Relation, name: str, bounds: str) -> None:
    part = f"{quote_name(target.schema)}.{quote_name(name)}"
    statements.execute(f"CREATE TABLE {part} (LIKE {target.quoted} INCLUDING ALL)")
    statements.execute(f"ALTER TABLE {target.quoted} ATTACH PARTITION {part} {bounds}")


def _part(table: str, value: Any, by: str) -> tuple[str, str]:
    """Name and bounds of the partition that holds a value, which is its first day for days, months and years."""
    if by == "value":
        slug = re.sub(r"\W+", "_", str(value)).strip("_").lower()[:30]
        if slug != str(value):
            slug = f"{slug}_{hashlib.sha256(str(value).encode()).hexdigest()[:6]}".lstrip("_")
        return f"{table}_{slug}", f"IN ({quote_text(str(value))})"
    assert isinstance(value, date)
    match by:
        case "day":
            name, end = f"{value:%Y_%m_%d}", value + timedelta(days=1)
        case "month":
            name, end = f"{value:%Y_%m}", date(value.year + value.month // 12, value.month % 12 + 1, 1)
        case _:
            name, end = f"{value:%Y}", date(value.year + 1, 1, 1)
    return f"{table}_{name}", f"FROM ({quote_text(value.isoformat())}) TO ({quote_text(end.isoformat())})"


def _unsupported(target: Relation, message: str, hint: str) -> FatalError:
    return FatalError(Code.UNSUPPORTED, message, operation="stage", object=target.name, hint=hint)
