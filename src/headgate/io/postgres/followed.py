"""What the catalogue says of a table whose changes are followed, and of the publication that tells them.

The log tells of rows, not of what is done to tables and publications; so a position remembers them, and a later run
compares. Everything is one statement, so that it holds of one moment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from headgate.io.postgres.catalogue import Relation
from headgate.io.postgres.connection import Connection, connect
from headgate.io.postgres.statements import Statements
from headgate.sql.literals import quote_name, quote_text

Query = Callable[[str], list[tuple[Any, ...]]]
KINDS = ("insert", "update", "delete", "truncate")
_SCHEMAS = 150_000
"""The version from which publications have schemas, row filters and column lists."""
GENERATED = 180_000
"""The version from which publications may have generated columns, if they are stored."""


@dataclass(frozen=True)
class Publication:
    """What a publication tells of one table.

    Args:
        identity: another text once it, or the table's place in it, was altered or made anew.
        listed: whether it has the table, under the table's own name.
        parts: whether it has partitions of the table, each under its own name.
        columns: those that it tells; None: all.
        condition: the rows that it tells, as SQL; "": all.
        silent: kinds of changes that it does not tell.
    """

    name: str
    identity: str
    listed: bool
    parts: bool
    columns: tuple[str, ...] | None
    condition: str
    silent: tuple[str, ...]


@dataclass(frozen=True)
class Followed:
    """A table as it is at one moment.

    Args:
        columns: number → [name, type's oid, modifier, type as people write it].
        width: the highest number that a column ever had.
        filled: names of columns that rows may have got without being told of: by a default, or as they are generated.
        generated: name of each generated column → s, if it is stored, or v.
        identity: ``pg_class.relreplident``: what the log tells of a row's old values.
        persistent: ``pg_class.relpersistence``: p for tables whose changes are in the log.
        parts: oid of each partition → [where its rows are stored, the transaction that said so]: the former is another
            once they were truncated or rewritten.
        attached: oids of partitions that were tables of their own before.
        children: whether other tables inherit from it.
        secured: whether row security hides rows from this role, which the log does not.
        own: whether this role may publish it.
    """

    oid: int
    columns: Mapping[str, list[Any]]
    width: int
    filled: frozenset[str]
    generated: Mapping[str, str]
    identity: str
    persistent: bool
    parts: Mapping[str, list[int]]
    attached: frozenset[str]
    children: bool
    secured: bool
    own: bool
    publication: Publication | None


def followed(query: Query, relation: Relation, publication: str, version: int) -> Followed:
    """What the catalogue says in the snapshot of ``query``; ``version`` is the server's."""
    found = json.loads(query(_statement(relation, publication, version))[0][0])
    return Followed(
        relation.oid,
        found["columns"] or {},
        found["width"],
        frozenset(found["filled"] or ()),
        found["generated"] or {},
        found["identity"],
        found["persistent"],
        found["parts"] or {},
        frozenset(found["attached"] or ()),
        found["children"],
        found["secured"],
        found["own"],
        _publication(publication, found["publication"]),
    )


def version_of(statements: Statements) -> int:
    return statements.connection.info.server_version


def publish(connection: Connection, name: str, relation: Relation, *, anew: bool) -> None:
    """Make a publication that tells everything of the table, in place of one of that name if ``anew``."""
    session = connect(connection)
    try:
        statements = Statements(session, "scan", name)
        with statements.transaction():
            if anew:
                statements.execute(f"DROP PUBLICATION IF EXISTS {quote_name(name)}")
            statements.execute(published(name, relation, version_of(statements)))
    finally:
        session.close()


def published(name: str, relation: Relation, version: int) -> str:
    """The statement that makes such a publication."""
    options = ["publish_via_partition_root = true"] if relation.kind == "p" else []
    if version >= GENERATED:
        options.append("publish_generated_columns = stored")
    settings = f" WITH ({', '.join(options)})" if options else ""
    return f"CREATE PUBLICATION {quote_name(name)} FOR TABLE {relation.quoted}{settings}"


def _publication(name: str, found: Mapping[str, Any] | None) -> Publication | None:
    if found is None:
        return None
    listed = found["listed"]
    columns = (listed or {}).get("attnames")
    return Publication(
        name,
        found["identity"],
        listed is not None,
        found["parts"],
        None if columns is None else tuple(columns),
        (listed or {}).get("rowfilter") or "",
        tuple(kind for kind in KINDS if not found[kind]),
    )


def _statement(relation: Relation, publication: str, version: int) -> str:
    oid = relation.oid
    above = f"(SELECT {oid} UNION SELECT relid::bigint FROM pg_catalog.pg_partition_ancestors({oid}::regclass))"
    members = (
        "(SELECT coalesce(string_agg(r.oid::text, ' ' ORDER BY r.oid), '') FROM pg_catalog.pg_publication_rel r"
        f" WHERE r.prpubid = p.oid AND r.prrelid::bigint IN {above})"
    )
    if version >= _SCHEMAS:
        members += (
            " || ' ' || (SELECT coalesce(string_agg(n.oid::text, ' ' ORDER BY n.oid), '')"
            " FROM pg_catalog.pg_publication_namespace n WHERE n.pnpubid = p.oid AND n.pnnspid IN"
            f" (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid::bigint IN {above}))"
        )
    told = ", ".join(f"'{kind}', p.pub{kind}" for kind in KINDS)
    tables = "FROM pg_catalog.pg_publication_tables t WHERE t.pubname = p.pubname"
    return (
        "SELECT json_build_object("
        "'columns', (SELECT json_object_agg(a.attnum, json_build_array(a.attname, a.atttypid::bigint, a.atttypmod,"
        " format_type(a.atttypid, a.atttypmod))) FROM pg_catalog.pg_attribute a"
        f" WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped),"
        " 'filled', (SELECT json_agg(a.attname) FROM pg_catalog.pg_attribute a"
        f" WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped"
        " AND (a.atthasdef OR a.atthasmissing OR a.attidentity <> '')),"
        " 'generated', (SELECT json_object_agg(a.attname, a.attgenerated) FROM pg_catalog.pg_attribute a"
        f" WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> ''),"
        " 'width', c.relnatts, 'identity', c.relreplident, 'persistent', c.relpersistence = 'p',"
        " 'parts', (SELECT json_object_agg(l.oid, json_build_array(l.relfilenode::bigint, l.xmin::text::bigint))"
        f" FROM pg_catalog.pg_partition_tree({oid}::regclass) t JOIN pg_catalog.pg_class l ON l.oid = t.relid"
        f" WHERE t.relid <> {oid}),"
        # the columns that every table has are as old as the table; a place among partitions may be younger
        " 'attached', (SELECT json_agg(i.inhrelid::text)"
        f" FROM pg_catalog.pg_partition_tree({oid}::regclass) t"
        " JOIN pg_catalog.pg_inherits i ON i.inhrelid = t.relid"
        " JOIN pg_catalog.pg_attribute a ON a.attrelid = t.relid AND a.attname = 'tableoid'"
        f" WHERE t.relid <> {oid} AND a.xmin <> i.xmin),"
        f" 'children', EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhparent = {oid}) AND c.relkind = 'r',"
        f" 'secured', row_security_active({oid}::oid),"
        " 'own', pg_has_role(c.relowner, 'USAGE')"
        " AND has_database_privilege(current_database(), 'CREATE'),"
        f" 'publication', (SELECT json_build_object('identity', p.oid || ' ' || p.xmin || ' ' || {members}, {told},"
        f" 'listed', (SELECT to_json(t) {tables} AND t.schemaname = {quote_text(relation.schema)}"
        f" AND t.tablename = {quote_text(relation.name)}),"
        f" 'parts', EXISTS (SELECT {tables} AND (t.schemaname, t.tablename) IN"
        " (SELECT s.nspname, l.relname FROM pg_catalog.pg_class l"
        " JOIN pg_catalog.pg_namespace s ON s.oid = l.relnamespace"
        f" WHERE l.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree({oid}::regclass)))))"
        f" FROM pg_catalog.pg_publication p WHERE p.pubname = {quote_text(publication)})"
        f")::text FROM pg_catalog.pg_class c WHERE c.oid = {oid}"
    )
