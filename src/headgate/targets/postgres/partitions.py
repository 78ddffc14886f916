"""Partition tables, made when the first row for them comes: ``sales_2024_01`` for January, a default one for NULL and
for times without end (infinity).

A new partition is built beside the table and then attached, so that readers do not wait. Partitions that somebody made
by hand are used as they are.
"""

from __future__ import annotations

import hashlib
import re

from headgate.core.contracts import Partitioning
from headgate.core.errors import Code, FatalError
from headgate.io.postgres import Statements
from headgate.io.postgres.catalogue import LONGEST_NAME, Relation
from headgate.sql.literals import quote_name, quote_text

LIMIT = 1_000
"""Partitions that one run may make: more is a wrong column rather than a wish."""
_NAMES = {"day": "YYYY_MM_DD", "month": "YYYY_MM", "year": "YYYY"}


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
    ends = "FALSE" if partitioning.by == "value" else f"NOT isfinite({column})"
    odd = f"SELECT count(*) FROM {staged} AS s WHERE {column} IS NULL OR {ends}"
    covered = _covered(statements, target)
    if statements.value(odd) and not _default(statements, target):
        _attach(statements, target, _fitting(target.name, "default"), "DEFAULT")
    found = statements.query(
        f"SELECT DISTINCT {_told(column, partitioning.by)} FROM (SELECT DISTINCT {column} FROM {staged} AS s) AS d"
        f" WHERE {column} IS NOT NULL AND NOT {ends} AND ({covered}) IS NOT TRUE ORDER BY 1 LIMIT {LIMIT + 1}"
    )
    if len(found) > LIMIT:
        many = f"the rows need more than {LIMIT} new partitions"
        raise _unsupported(target, many, "choose another column, or a wider by")
    for first, *others in found:
        if partitioning.by == "value":
            name, bounds = _slug(first), f"IN ({quote_text(first)})"
        else:
            (end, name), start = others, first
            bounds = f"FROM ({quote_text(start)}) TO ({quote_text(end)})"
        _attach(statements, target, _fitting(target.name, name), f"FOR VALUES {bounds}")


def _told(column: str, by: str) -> str:
    """SQL for what a part is known by: the value, or its start, its end and its name.

    It is the server that works them out, since its times reach further than Python's.
    """
    if by == "value":
        return f"{column}::text"
    start = f"date_trunc('{by}', {column}::timestamp)"
    name = f"to_char({start}, '{_NAMES[by]}') || CASE WHEN {start} < '0001-01-01' THEN '_bc' ELSE '' END"
    return f"{start}::date::text, ({start} + interval '1 {by}')::date::text, {name}"


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
    if statements.value("SELECT to_regclass(?) IS NOT NULL", (part,)):
        taken = f'there is a table "{name}", which is no partition of it and has the name of one that the rows need'
        raise _unsupported(target, taken, f"rename that table, or attach it as a partition {bounds}")
    statements.execute(f"CREATE TABLE {part} (LIKE {target.quoted} INCLUDING ALL)")
    statements.execute(f"ALTER TABLE {target.quoted} ATTACH PARTITION {part} {bounds}")


def _slug(value: str) -> str:
    """What a value's partition is called: the value if it is a plain name, else what is plain of it, and a hash."""
    plain = re.sub(r"\W+", "_", value).strip("_").lower()[:30]
    return plain if plain == value != "default" else f"{plain}_{_hash(value)}".lstrip("_")


def _fitting(table: str, part: str) -> str:
    """The name of a partition; where the server would cut it, a shorter one that is still its own."""
    name = f"{table}_{part}"
    if len(name.encode()) <= LONGEST_NAME:
        return name
    end = f"_{_hash(name)}" if len(part.encode()) > LONGEST_NAME // 2 else f"_{_hash(table)}_{part}"
    return name.encode()[: LONGEST_NAME - len(end.encode())].decode(errors="ignore") + end


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def _unsupported(target: Relation, message: str, hint: str) -> FatalError:
    return FatalError(Code.UNSUPPORTED, message, operation="stage", object=target.name, hint=hint)
