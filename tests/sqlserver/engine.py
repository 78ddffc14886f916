"""T-SQL executed by DuckDB: each statement is parsed as T-SQL, checked as SQL Server would, and said anew.

What it does not show: SQL Server's optimiser, its locks (DuckDB is optimistic: whoever comes second is told of a
conflict), its collations (texts are compared by bytes here), its conversions and its limits.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import duckdb
import pyarrow as pa
from sqlglot import exp
from tests.sqlserver.strict import RefusedError, parsed

CATALOGUE = "hg_information_schema"
SETUP = f"""
CREATE SCHEMA dbo; CREATE SCHEMA {CATALOGUE};
CREATE TABLE {CATALOGUE}.TABLES (TABLE_SCHEMA VARCHAR, TABLE_NAME VARCHAR);
CREATE TABLE {CATALOGUE}.COLUMNS (TABLE_SCHEMA VARCHAR, TABLE_NAME VARCHAR, ORDINAL_POSITION INTEGER,
  COLUMN_NAME VARCHAR, DATA_TYPE VARCHAR, NUMERIC_PRECISION UTINYINT, NUMERIC_SCALE INTEGER,
  DATETIME_PRECISION SMALLINT, CHARACTER_MAXIMUM_LENGTH INTEGER, COLLATION_NAME VARCHAR);
CREATE TABLE {CATALOGUE}.TABLE_CONSTRAINTS (CONSTRAINT_SCHEMA VARCHAR, CONSTRAINT_NAME VARCHAR,
  TABLE_SCHEMA VARCHAR, TABLE_NAME VARCHAR, CONSTRAINT_TYPE VARCHAR);
CREATE TABLE {CATALOGUE}.KEY_COLUMN_USAGE (CONSTRAINT_SCHEMA VARCHAR, CONSTRAINT_NAME VARCHAR,
  TABLE_SCHEMA VARCHAR, TABLE_NAME VARCHAR, COLUMN_NAME VARCHAR, ORDINAL_POSITION INTEGER);
CREATE TABLE {CATALOGUE}.REFERENTIAL_CONSTRAINTS (CONSTRAINT_SCHEMA VARCHAR, CONSTRAINT_NAME VARCHAR,
  UNIQUE_CONSTRAINT_SCHEMA VARCHAR, UNIQUE_CONSTRAINT_NAME VARCHAR, DELETE_RULE VARCHAR);
CREATE TABLE {CATALOGUE}.SCHEMATA (SCHEMA_NAME VARCHAR);
INSERT INTO {CATALOGUE}.SCHEMATA VALUES ('dbo');
CREATE TABLE {CATALOGUE}.databases (name VARCHAR, snapshot_isolation_state UTINYINT,
  is_read_committed_snapshot_on BOOLEAN);
CREATE SEQUENCE hg_versions START 2001;
CREATE MACRO hg_text121(x) AS left(strftime(x, '%Y-%m-%d %H:%M:%S.%n'), 27);
CREATE MACRO hg_nanosecond(x) AS CAST(strftime(x, '%n') AS BIGINT);
"""
TEXTS = {"char", "varchar", "nchar", "nvarchar", "text", "ntext", "xml"}
BYTES = {"binary", "varbinary", "image"}
PLAIN = {
    "bit": "BOOLEAN", "tinyint": "UTINYINT", "smallint": "SMALLINT", "int": "INTEGER", "integer": "INTEGER",
    "bigint": "BIGINT", "real": "FLOAT", "float": "DOUBLE", "date": "DATE", "time": "TIME", "datetime": "TIMESTAMP",
    "smalldatetime": "TIMESTAMP", "money": "DECIMAL(19,4)", "smallmoney": "DECIMAL(10,4)", "uniqueidentifier": "UUID",
}  # fmt: skip
_TYPE = re.compile(r"([A-Za-z0-9_]+)\s*(?:\(\s*(\w+)\s*(?:,\s*(\d+)\s*)?\))?$")
_SYSTEM = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|@@SPID|@@VERSION|@@TRANCOUNT|SCHEMA_NAME\(\)|DB_NAME\(\)"
    r"|MIN_ACTIVE_ROWVERSION\(\)"
)


class Database:
    """One database, with the locks that applications take in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.root = duckdb.connect(":memory:")
        self.root.execute(SETUP)
        self.root.execute(f"INSERT INTO {CATALOGUE}.databases VALUES (?, 1, false)", [name])
        self.locks: dict[str, int] = {}
        self.began: dict[int, int] = {}
        self.free = threading.Condition()

    def allows(self, snapshot: int, committed: bool) -> None:
        self.root.execute(
            f"UPDATE {CATALOGUE}.databases SET snapshot_isolation_state = ?, is_read_committed_snapshot_on = ?",
            [snapshot, committed],
        )

    def version(self) -> int:
        """The next ROWVERSION."""
        told = "SELECT coalesce(last_value, 2000) + 1 FROM duckdb_sequences() WHERE sequence_name = 'hg_versions'"
        ((number,),) = self.root.cursor().execute(told).fetchall()
        return int(number)

    def take(self, name: str, session: int, seconds: float) -> int:
        """0 or more: the lock is the session's; -1: another has it."""
        with self.free:
            free = self.free.wait_for(lambda: self.locks.get(name, session) == session, seconds)
            if free:
                self.locks[name] = session
            return 0 if free else -1

    def let_go(self, session: int, name: str | None = None) -> None:
        with self.free:
            for each in [key for key, holder in self.locks.items() if holder == session and name in (None, key)]:
                del self.locks[each]
            self.free.notify_all()


class Execution:
    """One session's connection to a database."""

    def __init__(self, database: Database, session: int) -> None:
        self.database, self.session = database, session
        self.connection = database.root.cursor()
        self.connection.execute("SET TimeZone = 'UTC'; SET schema = 'dbo'")
        self.in_transaction = False

    def begin(self) -> None:
        self.connection.begin()
        self.in_transaction = True
        self.database.began[self.session] = self.database.version()

    def end(self, *, commit: bool) -> None:
        self.in_transaction = False
        self.database.began.pop(self.session, None)
        if commit:
            self.connection.commit()
        else:
            self.connection.rollback()

    def close(self) -> None:
        self.connection.close()
        self.database.began.pop(self.session, None)
        self.database.let_go(self.session)

    # ---------------------------------------------------------------------------------------- statements

    def run(self, text: str, parameters: dict[str, Any]) -> pa.RecordBatchReader | int | None:
        """Rows, or how many were changed."""
        tree, sql = prepared(self._told(text))
        own = not self.in_transaction
        if own:
            self.connection.begin()
        try:
            found: pa.RecordBatchReader | int | None = self._run(tree, sql, parameters)
        except BaseException:
            if own:
                self.connection.rollback()
            raise
        if own and isinstance(found, pa.RecordBatchReader):
            # one statement is one state: its rows are taken before the next one begins
            schema, batches = found.schema, list(found)
            found = pa.RecordBatchReader.from_batches(schema, batches)
        if own:
            self.connection.commit()
        return found

    def _told(self, text: str) -> str:
        known = {
            "@@SPID": str(self.session),
            "@@VERSION": "'Protocol double of SQL Server'",
            "@@TRANCOUNT": str(int(self.in_transaction)),
            "SCHEMA_NAME()": "'dbo'",
            "MIN_ACTIVE_ROWVERSION()": str(min([*self.database.began.values(), self.database.version()])),
            "DB_NAME()": f"'{self.database.name}'",
        }
        return _SYSTEM.sub(lambda found: known.get(found[0], found[0]), text)

    def _run(self, tree: exp.Expr, sql: str, parameters: dict[str, Any]) -> Any:
        match tree:
            case exp.Create(kind="TABLE"):
                self._create(tree)
                return None
            case exp.Drop(kind="TABLE"):
                self._drop(tree)
                return None
            case exp.Alter():
                self._alter(tree)
                return None
            case exp.Select() if tree.args.get("into"):
                return self._select_into(tree.copy(), parameters)
        used = {name: value for name, value in parameters.items() if f"${name}" in sql}
        result = self.connection.execute(sql, used) if used else self.connection.execute(sql)
        if isinstance(tree, exp.Query):
            return result.to_arrow_reader(2000)
        return int(result.fetchall()[0][0])

    def _select_into(self, tree: exp.Select, parameters: dict[str, Any]) -> int:
        into = tree.args["into"].this
        tree.set("into", None)
        name = into.name
        assert into.this.args.get("temporary"), "work tables are temporary"
        self.connection.execute(f"CREATE TEMPORARY TABLE {_quoted(name)} AS {spoken(tree)}", parameters or None)
        return int(self.connection.execute(f"SELECT count(*) FROM {_quoted(name)}").fetchall()[0][0])

    # ------------------------------------------------------------------------------------------------ DDL

    def _create(self, tree: exp.Create) -> None:
        place, lines, keys = _place(tree.this.this), [], []
        for number, each in enumerate(tree.this.expressions, 1):
            if isinstance(each, exp.PrimaryKey):
                keys = [column.name for column in each.find_all(exp.Identifier)]
                continue
            assert isinstance(each, exp.ColumnDef), each.sql("tsql")
            lines.append(self._column(place, each, number))
            if each.find(exp.PrimaryKeyColumnConstraint):
                keys = [each.name]
        if keys:
            lines.append(f"PRIMARY KEY ({', '.join(map(_quoted, keys))})")
        self.connection.execute(f"CREATE TABLE {_quoted(place[0])}.{_quoted(place[1])} ({', '.join(lines)})")
        self._note("TABLES", place)
        constraint = f"PK_{place[1]}"
        if keys:
            self._note("TABLE_CONSTRAINTS", (place[0], constraint, *place, "PRIMARY KEY"))
        for number, key in enumerate(keys, 1):
            self._note("KEY_COLUMN_USAGE", (place[0], constraint, *place, key, number))

    def _column(self, place: tuple[str, str], column: exp.ColumnDef, number: int) -> str:
        name, digits, places, length = described(column.args["kind"].sql("tsql"))
        collation = column.find(exp.CollateColumnConstraint)
        precision = (
            digits if name in ("decimal", "numeric") else 53 if name == "float" else 24 if name == "real" else None
        )
        fraction = places if name in ("time", "datetime2", "datetimeoffset") else None
        scale = places if name in ("decimal", "numeric") else None
        told = collation.this.name if collation else "SQL_Latin1_General_CP1_CI_AS" if name in TEXTS else None
        self._note("COLUMNS", (*place, number, column.name, name, precision, scale, fraction, length, told))
        required = any(
            isinstance(each.kind, exp.NotNullColumnConstraint) and not each.kind.args.get("allow_null")
            for each in column.args.get("constraints") or []
        )
        if name == "timestamp":
            return f"{_quoted(column.name)} BIGINT DEFAULT nextval('main.hg_versions')"
        unique = " UNIQUE" if column.find(exp.UniqueColumnConstraint) else ""
        return f"{_quoted(column.name)} {native(name, digits, places)}{' NOT NULL' if required else ''}{unique}"

    def _drop(self, tree: exp.Drop) -> None:
        (table,) = tree.args["tables"]
        name = table.name
        if table.this.args.get("temporary"):
            self.connection.execute(f"DROP TABLE {_quoted(name)}")
            return
        place = _place(table)
        there = " IF EXISTS" if tree.args.get("exists") else ""
        self.connection.execute(f"DROP TABLE{there} {_quoted(place[0])}.{_quoted(place[1])}")
        for table in ("TABLES", "COLUMNS", "TABLE_CONSTRAINTS", "KEY_COLUMN_USAGE"):
            self.connection.execute(
                f"DELETE FROM {CATALOGUE}.{table} WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?", list(place)
            )

    def _alter(self, tree: exp.Alter) -> None:
        place = _place(tree.this)
        for column in tree.args["actions"]:
            assert isinstance(column, exp.ColumnDef), "columns are added, nothing else"
            count = f"SELECT count(*) + 1 FROM {CATALOGUE}.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?"
            ((number,),) = self.connection.execute(count, list(place)).fetchall()
            line = self._column(place, column, number)
            self.connection.execute(f"ALTER TABLE {_quoted(place[0])}.{_quoted(place[1])} ADD COLUMN {line}")

    def _note(self, table: str, values: tuple[Any, ...]) -> None:
        marks = ", ".join("?" for _ in values)
        self.connection.execute(f"INSERT INTO {CATALOGUE}.{table} VALUES ({marks})", list(values))

    def insert(self, place: tuple[str, str], names: list[str], rows: pa.Table) -> int:
        """The rows of a bulk load."""
        self.connection.register("hg_bulk", rows)
        try:
            listed = ", ".join(map(_quoted, names))
            target = f"{_quoted(place[0])}.{_quoted(place[1])}"
            done = self.connection.execute(f"INSERT INTO {target} ({listed}) SELECT {listed} FROM hg_bulk")
            return int(done.fetchall()[0][0])
        finally:
            self.connection.unregister("hg_bulk")

    def columns_of(self, text: str) -> list[tuple[Any, ...]]:
        """What sys.dm_exec_describe_first_result_set says of a SELECT."""
        reader = self.run(text, {})
        assert isinstance(reader, pa.RecordBatchReader)
        rows = []
        for field in reader.schema:
            name, digits, places, length = told_type(field.type)
            rows.append((field.name, name, digits, places, length, None, None))
        return rows


def _place(table: Any) -> tuple[str, str]:
    return table.db or "dbo", table.name


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def described(declared: str) -> tuple[str, int | None, int | None, int | None]:
    """(type, digits, places, length) of a declaration, with SQL Server's defaults."""
    found = _TYPE.match(declared.strip())
    assert found, declared
    name, first, second = found[1].lower(), found[2], found[3]
    if name == "float" and int(first or 53) <= 24:
        return "real", None, None, None
    name = {"integer": "int", "rowversion": "timestamp"}.get(name, name)
    if name in ("decimal", "numeric"):
        return name, int(first or 18), int(second or 0), None
    if name in ("time", "datetime2", "datetimeoffset"):
        return name, None, int(first if first is not None else 7), None
    if name in TEXTS | BYTES:
        return name, None, None, -1 if (first or "").upper() == "MAX" else int(first or 1)
    return name, None, None, None


def native(name: str, digits: int | None, places: int | None) -> str:
    """DuckDB's type for one of SQL Server's."""
    if name in ("decimal", "numeric"):
        return f"DECIMAL({digits}, {places})"
    if name == "datetime2":
        return "TIMESTAMP_NS" if places == 7 else "TIMESTAMP"
    if name == "datetimeoffset":
        return "TIMESTAMPTZ"
    if name in TEXTS:
        return "VARCHAR"
    if name in BYTES:
        return "BLOB"
    if name not in PLAIN:
        raise RefusedError(2715, f"Column, parameter, or variable: Cannot find data type {name}.")
    return PLAIN[name]


def told_type(type_: Any) -> tuple[str, int, int, int]:
    """(system_type_name, precision, scale, max_length) of a result's column."""
    import pyarrow.types as t

    if t.is_decimal(type_):
        return f"decimal({type_.precision},{type_.scale})", type_.precision, type_.scale, 17
    if t.is_timestamp(type_):
        scale = 7 if type_.unit == "ns" else 6
        return f"{'datetimeoffset' if type_.tz else 'datetime2'}({scale})", 27, scale, 8
    names: dict[str, tuple[str, int]] = {
        "bool": ("bit", 1), "uint8": ("tinyint", 1), "int16": ("smallint", 2), "int32": ("int", 4),
        "int64": ("bigint", 8), "float": ("real", 24), "double": ("float", 53), "date32[day]": ("date", 10),
        "time64[us]": ("time(6)", 15),
    }  # fmt: skip
    name, digits = names.get(str(type_), ("varbinary(max)" if t.is_binary(type_) else "nvarchar(max)", 0))
    return name, digits, 6 if name == "time(6)" else 0, -1


# ------------------------------------------------------------------------------------- T-SQL for DuckDB


@lru_cache(maxsize=2000)
def prepared(text: str) -> tuple[exp.Expr, str]:
    """A statement as a tree, which nobody changes, and in DuckDB's words, if those are enough."""
    tree = parsed(text)
    alone = isinstance(tree, exp.Create | exp.Drop | exp.Alter) or tree.args.get("into")
    return tree, "" if alone else spoken(tree)


def spoken(tree: exp.Expr) -> str:
    """A statement in DuckDB's words."""
    root = exp.Paren(this=_shaped(tree).copy())  # so that each node has a parent to be replaced in
    for node in reversed(list(root.walk())):
        said = _said(node)
        if said is not node:
            node.replace(said)
    return str(root.this.sql(dialect="duckdb"))


def _shaped(tree: exp.Expr) -> exp.Expr:
    """UPDATE t … FROM x AS t, and DELETE t FROM x AS t, as other databases have them."""
    if isinstance(tree, exp.Update):
        source = tree.args.get("from_")
        if source is None or source.this.alias != tree.this.name:
            return tree
        made = tree.copy()
        first = made.args["from_"].this
        joins = first.args.get("joins") or []
        first.set("joins", None)
        first.set("hints", None)
        made.set("this", first)
        made.set("from_", exp.From(this=joins[0].this) if joins else None)
        assert len(joins) < 2, "a merge joins one table"
        return made
    if isinstance(tree, exp.Delete) and tree.args.get("tables"):
        without = tree.copy()
        without.set("tables", None)
        return without
    return tree


_FUNCTIONS: dict[str, Callable[[list[Any]], exp.Expr]] = {
    "SWITCHOFFSET": lambda args: args[0],
    "DATALENGTH": lambda args: exp.func("strlen", args[0]),
}


def _said(node: exp.Expr) -> exp.Expr:  # noqa: C901 - one branch a difference
    match node:
        case exp.Table() if node.db.upper() in ("INFORMATION_SCHEMA", "SYS"):
            made = node.copy()
            made.set("db", exp.to_identifier(CATALOGUE))
            return made
        case exp.Table() if node.args.get("hints"):
            made = node.copy()
            made.set("hints", None)
            return made
        case exp.National():
            return exp.Literal.string(node.this)
        case exp.Collate():
            bare: exp.Expr = node.this
            return bare
        case exp.Convert():
            if node.args.get("style") is not None and node.args["style"].name == "121":
                return exp.func("hg_text121", node.args["expression"])
            return exp.Cast(this=node.args["expression"], to=exp.DataType.build("TEXT"))
        case exp.DataType():
            name, digits, places, _ = described(node.sql("tsql"))
            return exp.DataType.build(native(name, digits, places), dialect="duckdb")
        case exp.Add() if node.find(exp.National) or any(side.is_string for side in (node.left, node.right)):
            return exp.DPipe(this=node.left, expression=node.right, safe=False)
        case exp.Anonymous() if node.name.upper() in _FUNCTIONS:
            return _FUNCTIONS[node.name.upper()](node.expressions)
        case exp.Extract():
            assert node.this.name.upper() == "NANOSECOND"
            return exp.func("hg_nanosecond", node.expression)
    return node
