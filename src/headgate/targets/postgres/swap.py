"""Replacing a table by a new one that looks the same: readers wait milliseconds, and never see it empty.

What cannot be copied, or holds on to the old table, forbids it; then the old table is refilled instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from headgate.core.errors import Code, FatalError, RetriableError
from headgate.io.postgres import Statements
from headgate.io.postgres.catalogue import Relation
from headgate.sql.literals import quote_name, quote_text

_OBSTACLES = {
    "it is no plain table": "c.relkind <> 'r' OR c.relpersistence <> 'p' OR c.relispartition OR c.reloftype <> 0",
    "this role does not own it": "NOT pg_has_role(c.relowner, 'USAGE')",
    "it has row policies": "c.relrowsecurity OR c.relforcerowsecurity"
    " OR EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid)",
    "it has rules": "c.relhasrules",
    "it has triggers or foreign keys": "EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid)"
    " OR EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND (conrelid = c.oid OR confrelid = c.oid))",
    "it is published": "EXISTS (SELECT FROM pg_publication_tables p JOIN pg_namespace n ON n.nspname = p.schemaname"
    " WHERE n.oid = c.relnamespace AND p.tablename = c.relname)",
    "it has parents or children": "EXISTS (SELECT FROM pg_inherits WHERE c.oid IN (inhrelid, inhparent))",
    "it owns a sequence": "EXISTS (SELECT FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'"
    " WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid)",
    "it belongs to an extension": "EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass"
    " AND d.objid = c.oid AND d.deptype = 'e')",
    "views or functions use it": "EXISTS (SELECT FROM pg_depend d WHERE d.deptype = 'n' AND"
    " ((d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid)"
    " OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (SELECT t.oid FROM pg_type t"
    " WHERE t.oid = c.reltype OR t.typelem = c.reltype)))"
    " AND NOT (d.classid = 'pg_constraint'::regclass"
    " AND d.objid IN (SELECT oid FROM pg_constraint WHERE conrelid = c.oid))"
    " AND NOT (d.classid = 'pg_attrdef'::regclass"
    " AND d.objid IN (SELECT oid FROM pg_attrdef WHERE adrelid = c.oid))"
    " AND NOT (d.classid = 'pg_class'::regclass AND d.objid = c.oid))",
    "its storage is set by hand": "c.reltablespace <> 0 OR c.relreplident <> 'd'"
    " OR EXISTS (SELECT FROM pg_class WHERE oid = c.reltoastrelid AND reloptions IS NOT NULL)"
    " OR EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped"
    " AND (attoptions IS NOT NULL OR coalesce(attstattarget, -1) <> -1 OR attidentity <> ''))",
    "it has security labels": "EXISTS (SELECT FROM pg_seclabel WHERE objoid = c.oid"
    " AND classoid = 'pg_class'::regclass)",
    "its indexes are special": "EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid"
    " WHERE i.indrelid = c.oid AND (NOT i.indisvalid OR i.indisclustered OR i.indisreplident OR x.reltablespace <> 0"
    " OR EXISTS (SELECT FROM pg_attribute WHERE attrelid = x.oid AND coalesce(attstattarget, -1) <> -1)))",
    "it has statistics with names of their own": "EXISTS (SELECT FROM pg_statistic_ext WHERE stxrelid = c.oid)",
    "others than its owner granted rights": "EXISTS (SELECT FROM aclexplode(c.relacl) WHERE grantor <> c.relowner)"
    " OR EXISTS (SELECT FROM pg_attribute a, aclexplode(a.attacl) g WHERE a.attrelid = c.oid"
    " AND g.grantor <> c.relowner)",
}


@dataclass(frozen=True)
class Index:
    """An index to build again. ``constraint`` is the clause that makes it, where it belongs to a constraint."""

    name: str
    before: str
    after: str
    constraint: str | None
    comment: str | None
    constraint_comment: str | None


def obstacle(statements: Statements, relation: Relation) -> str | None:
    """Why a table cannot be replaced by another; None if it can."""
    tests = ", ".join(f"({test})" for test in _OBSTACLES.values())
    found = statements.query(f"SELECT {tests} FROM pg_catalog.pg_class c WHERE c.oid = ?", (relation.oid,))
    for reason, hit in zip(_OBSTACLES, found[0], strict=True):
        if hit:
            return reason
    return None if all(index.after or index.constraint for index in _indexes(statements, relation)) else "an index"


def create_like(statements: Statements, relation: Relation, name: str) -> Relation:
    """A new, empty table beside the old one, with all but its indexes, rights and comment."""
    fresh = Relation(0, relation.schema, name, "r")
    statements.execute(f"CREATE TABLE {fresh.quoted} (LIKE {relation.quoted} INCLUDING ALL EXCLUDING INDEXES)")
    options = statements.value("SELECT reloptions FROM pg_catalog.pg_class WHERE oid = ?", (relation.oid,))
    for option in options or ():
        key, _, value = option.partition("=")
        statements.execute(f"ALTER TABLE {fresh.quoted} SET ({key} = {quote_text(value)})")
    return fresh


def finish(statements: Statements, relation: Relation, fresh: Relation) -> list[tuple[Index, str]]:
    """Build the indexes, which is quicker after the load, and give the rights; the indexes' names until then."""
    built = []
    for number, index in enumerate(_indexes(statements, relation)):
        name = f"{fresh.name}_{number}"
        _build(statements, relation, fresh, index, name)
        built.append((index, name))
    statements.execute(f"ANALYZE {fresh.quoted}")
    _copy_rights(statements, relation, fresh)
    return built


def _build(statements: Statements, relation: Relation, fresh: Relation, index: Index, name: str) -> None:
    try:
        if index.constraint is not None:
            statements.execute(f"ALTER TABLE {fresh.quoted} ADD CONSTRAINT {quote_name(name)} {index.constraint}")
        else:
            statements.execute(f"{index.before}{quote_name(name)} ON {fresh.quoted} USING {index.after}")
    except FatalError as error:
        if error.code is not Code.DUPLICATE_KEYS:
            raise
        message = f'rows are alike in what the unique index "{index.name}" keeps apart'
        raise FatalError(error.code, message, operation="stage", object=relation.name, hint=error.hint) from None
    if index.comment is not None:
        beside = f"{quote_name(relation.schema)}.{quote_name(name)}"
        statements.execute(f"COMMENT ON INDEX {beside} IS {quote_text(index.comment)}")
    if index.constraint_comment is not None:
        told = f"CONSTRAINT {quote_name(name)} ON {fresh.quoted}"
        statements.execute(f"COMMENT ON {told} IS {quote_text(index.constraint_comment)}")


def count_old(statements: Statements, relation: Relation, built: list[tuple[Index, str]]) -> int:
    """The rows that will go; from here on nobody else may write, while readers go on.

    Raises:
        RetriableError: CONFLICT where somebody changed the table since the new one was made like it.
    """
    statements.execute(f"LOCK TABLE {relation.quoted} IN SHARE ROW EXCLUSIVE MODE")
    found = obstacle(statements, relation)
    if found or [index for index, _ in built] != _indexes(statements, relation):
        raise RetriableError(
            Code.CONFLICT,
            f"somebody changed the table while it was loaded: {found or 'its indexes are others'}",
            operation="stage",
            object=relation.name,
            hint="nothing was published; run again",
        )
    return int(statements.value(f"SELECT count(*) FROM {relation.quoted}"))


def replace(statements: Statements, relation: Relation, fresh: Relation, built: list[tuple[Index, str]]) -> None:
    """Put the new table in the old one's place: from here to the commit readers wait."""
    statements.execute(f"DROP TABLE {relation.quoted}")
    statements.execute(f"ALTER TABLE {fresh.quoted} RENAME TO {quote_name(relation.name)}")
    for index, name in built:
        beside = f"{quote_name(relation.schema)}.{quote_name(name)}"
        statements.execute(f"ALTER INDEX {beside} RENAME TO {quote_name(index.name)}")


def _indexes(statements: Statements, relation: Relation) -> list[Index]:
    rows = statements.query(
        "SELECT x.relname, format('CREATE %sINDEX ', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END),"
        " format('%I ON %I.%I USING ', x.relname, n.nspname, t.relname), pg_get_indexdef(x.oid),"
        " pg_get_constraintdef(k.oid), obj_description(x.oid, 'pg_class'), obj_description(k.oid, 'pg_constraint')"
        " FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid"
        " JOIN pg_catalog.pg_class t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace"
        " LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = x.oid AND k.conrelid = t.oid"
        " AND k.contype IN ('p', 'u', 'x')"
        " WHERE i.indrelid = ? ORDER BY x.relname",
        (relation.oid,),
    )
    return [
        Index(name, create, definition[len(create + middle) :] if definition.startswith(create + middle) else "", *told)
        for name, create, middle, definition, *told in rows
    ]


def _copy_rights(statements: Statements, relation: Relation, fresh: Relation) -> None:
    """Owner, grants on table and columns, and the table's comment."""
    owner, me, comment = statements.query(
        "SELECT pg_get_userbyid(relowner), current_user, obj_description(oid, 'pg_class')"
        " FROM pg_catalog.pg_class WHERE oid = ?",
        (relation.oid,),
    )[0]
    if comment is not None:
        statements.execute(f"COMMENT ON TABLE {fresh.quoted} IS {quote_text(comment)}")
    if owner != me:
        statements.execute(f"ALTER TABLE {fresh.quoted} OWNER TO {quote_name(owner)}")
    wanted, given = (_grants(statements, table.quoted) for table in (relation, fresh))
    for privilege, columns, grantee, _ in sorted(given - wanted):
        statements.execute(f"REVOKE {privilege}{columns} ON {fresh.quoted} FROM {grantee}")
    for privilege, columns, grantee, option in sorted(wanted - given):
        statements.execute(f"GRANT {privilege}{columns} ON {fresh.quoted} TO {grantee}{option}")


def _grants(statements: Statements, quoted: str) -> set[tuple[str, str, str, str]]:
    rows = statements.query(
        "SELECT g.privilege_type, NULL, g.grantee, g.is_grantable FROM pg_catalog.pg_class c,"
        " aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) g WHERE c.oid = ?::regclass"
        " UNION ALL SELECT g.privilege_type, a.attname, g.grantee, g.is_grantable FROM pg_catalog.pg_attribute a,"
        " aclexplode(a.attacl) g WHERE a.attrelid = ?::regclass AND NOT a.attisdropped",
        (quoted, quoted),
    )
    names = dict(statements.query("SELECT oid, rolname FROM pg_catalog.pg_roles"))
    return {
        (
            privilege,
            f" ({quote_name(column)})" if column is not None else "",
            quote_name(names[grantee]) if grantee else "PUBLIC",
            " WITH GRANT OPTION" if grantable else "",
        )
        for privilege, column, grantee, grantable in rows
    }
