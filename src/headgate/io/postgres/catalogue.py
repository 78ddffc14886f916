"""What the live catalogue knows of tables: names, kinds, columns, keys. No Arrow here: probes must start quickly."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from headgate.core.errors import Code, FatalError, nearest
from headgate.core.ledger import PREFIX
from headgate.io.postgres.errors import explained
from headgate.io.postgres.statements import Statements
from headgate.sql.literals import quote_name

_QUOTED = re.compile(r'"((?:[^"]|"")+)"(?:\."((?:[^"]|"")+)")?')
LONGEST_NAME = 63
"""Bytes; the server cuts longer ones without an error."""

Kind = Literal["r", "p", "v", "m", "f"]
"""Table, partitioned table, view, materialised view, foreign table: as ``pg_class.relkind`` has them."""


@dataclass(frozen=True)
class Relation:
    """Something in the catalogue that rows can be read from."""

    oid: int
    schema: str
    name: str
    kind: Kind

    @property
    def quoted(self) -> str:
        return f"{quote_name(self.schema)}.{quote_name(self.name)}"


@dataclass(frozen=True)
class ServerColumn:
    """A column as the server announces it: domains as what they stand on."""

    name: str
    oid: int
    typmod: int


def spellings(table: str) -> list[tuple[str, ...]]:
    """What a configured name may mean, first choice first: ``(name,)`` or ``(schema, name)``.

    ``"a"."b"`` in quotes is taken as it stands; elsewhere the first dot separates schema and table.
    """
    found = _QUOTED.fullmatch(table)
    if found:
        return [tuple(part.replace('""', '"') for part in found.groups() if part is not None)]
    schema, dot, name = table.partition(".")
    return [(table,), (schema, name)] if dot and schema and name else [(table,)]


def quoted(parts: tuple[str, ...]) -> str:
    return ".".join(quote_name(part) for part in parts)


def find(statements: Statements, table: str) -> Relation | None:
    """The relation that a configured name means, or None."""
    for parts in spellings(table):
        rows = statements.query(
            "SELECT c.oid::bigint, n.nspname, c.relname, c.relkind::text FROM pg_catalog.pg_class c"
            " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.oid = pg_catalog.to_regclass(?) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
            (quoted(parts),),
        )
        if rows:
            oid, schema, name, kind = rows[0]
            return Relation(oid, schema, name, cast("Kind", kind))
    return None


def need(statements: Statements, table: str, operation: str) -> Relation:
    """The relation. Raises FatalError TABLE_NOT_FOUND with the nearest known name."""
    found = find(statements, table)
    if found is None:
        raise FatalError(
            Code.TABLE_NOT_FOUND,
            f'there is no table "{table}"',
            operation=operation,
            object=table,
            hint=nearest(table, tables(statements)) or "check the name, the schema, and what the role may see",
        )
    return found


def tables(statements: Statements) -> list[str]:
    """Names of all readable relations of users: plain in the default schema, ``schema.name`` elsewhere."""
    rows = statements.query(
        "SELECT n.nspname = current_schema(), n.nspname, c.relname FROM pg_catalog.pg_class c"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition"
        " AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'"
        " ORDER BY 1 DESC, 2, 3"
    )
    return [name if default else f"{schema}.{name}" for default, schema, name in rows if not name.startswith(PREFIX)]


def columns(statements: Statements, select: str, name: str = "") -> list[ServerColumn]:
    """The columns that a SELECT would give; it is planned, and not run. Errors call it by its ``name``."""
    with explained("schema", (name or select)[:100], Code.EXTRACTION_FAILED), statements.connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM ({select}\n) AS q LIMIT 0")
        result, described = cursor.pgresult, cursor.description
        modifiers = [result.fmod(number) for number in range(result.nfields)] if result else []
        return [
            ServerColumn(column.name, column.type_code, modifier)
            for column, modifier in zip(described or (), modifiers, strict=True)
        ]


def column_names(statements: Statements, relation: Relation) -> list[str]:
    """The names of all columns, also of those that the role may not read."""
    rows = statements.query(
        "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = ? AND attnum > 0 AND NOT attisdropped"
        " ORDER BY attnum",
        (relation.oid,),
    )
    return [name for (name,) in rows]


def primary_key(statements: Statements, relation: Relation) -> tuple[str, ...]:
    """Columns of the primary key in its order; none if there is none."""
    rows = statements.query(
        "SELECT a.attname FROM pg_catalog.pg_index i"
        " CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, place)"
        " JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum"
        " WHERE i.indrelid = ? AND i.indisprimary AND k.place <= i.indnkeyatts ORDER BY k.place",
        (relation.oid,),
    )
    return tuple(name for (name,) in rows)


def cascades(statements: Statements, relation: Relation, *, own: bool) -> list[str]:
    """Tables whose foreign keys delete or change their rows when rows of this one are deleted; ``own``: itself too."""
    rows = statements.query(
        "SELECT DISTINCT k.conrelid::regclass::text FROM pg_catalog.pg_constraint k WHERE k.contype = 'f'"
        " AND k.conparentid = 0 AND k.confrelid = ? AND k.confdeltype IN ('c', 'n', 'd')"
        " AND (? OR k.conrelid <> k.confrelid) ORDER BY 1",
        (relation.oid, own),
    )
    return [name for (name,) in rows]


def enforces_unique(statements: Statements, relation: Relation, keys: tuple[str, ...]) -> bool:
    """Whether a valid unique index stands on exactly these columns, so that ON CONFLICT can use it."""
    rows = statements.query(
        "SELECT array_agg(a.attname::text) FROM pg_catalog.pg_index i"
        " CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, place)"
        " JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum"
        " WHERE i.indrelid = ? AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL"
        " AND i.indexprs IS NULL AND k.place <= i.indnkeyatts GROUP BY i.indexrelid",
        (relation.oid,),
    )
    return any(set(found) == set(keys) for (found,) in rows)


def check_name(name: str, what: str, operation: str = "stage") -> None:
    """Refuse a name that the server would silently cut."""
    if len(name.encode()) > LONGEST_NAME:
        raise FatalError(
            Code.UNSUPPORTED,
            f'the {what} name "{name}" is longer than {LONGEST_NAME} bytes, which PostgreSQL would cut off',
            operation=operation,
            object=name,
            hint="rename it",
        )
