"""Looking at tables: one SELECT over what stores hold, at any version that they keep."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headgate.config.models import Endpoint
from headgate.core.contracts import ReadContext, Scan, SourceSchema, Window
from headgate.core.engines import EngineSession
from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.core.values import column_values, plain
from headgate.execute.workspace import LAKE, Workspace
from headgate.queries.failed import failed_data, is_failed_data
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlglot import exp

ENGINE_ROWS = 122_880


@dataclass(frozen=True)
class ResultSet:
    """Columns, their types as Arrow names them, and rows of Python values."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def as_dict(self) -> dict[str, Any]:
        """``{"columns": [...], "rows": [[...]]}`` in plain JSON values."""
        return {"columns": list(self.columns), "rows": [[plain(value) for value in row] for row in self.rows]}


def query(
    workspace: Workspace, sql: str, *, at: str | None = None, connection: str | None = None, limit: int | None = None
) -> ResultSet:
    """Run one SELECT over tables of the lake, or of ``connection``.

    Args:
        at: a version of the tables, as the store names it; default: the newest.
        limit: at most so many rows.

    Raises:
        FatalError: USAGE for anything but one SELECT over tables; TABLE_NOT_FOUND; what the engine says.
    """
    with reading(workspace, sql, at=at, connection=connection) as reader:
        return result_set(reader, limit)


def result_set(reader: pa.RecordBatchReader, limit: int | None = None) -> ResultSet:
    """The rows of a stream, at most ``limit``."""
    return collect(reader.schema, reader, limit)


def collect(schema: pa.Schema, batches: Any, limit: int | None = None) -> ResultSet:
    """The rows of batches with ``schema``, at most ``limit``."""
    rows: list[tuple[Any, ...]] = []
    for batch in batches:
        taken = batch if limit is None else batch.slice(0, limit - len(rows))
        rows.extend(zip(*(column_values(column) for column in taken.columns), strict=True))
        if limit is not None and len(rows) >= limit:
            break
    return ResultSet(tuple(schema.names), tuple(str(kind) for kind in schema.types), rows)


@contextmanager
def reading(
    workspace: Workspace, sql: str, *, at: str | None = None, connection: str | None = None
) -> Iterator[pa.RecordBatchReader]:
    """The result of one SELECT as a stream; what was opened for it is closed on leaving."""
    statement = _select(sql)
    tables = _tables(statement)
    endpoint = workspace.connection(connection or LAKE)
    workdir = workspace.state / "work" / f"query-{uuid.uuid4().hex[:12]}"
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, workdir, ignore_errors=True)
        scans: dict[str, Scan] = {}
        for name in tables:
            scans[name] = _open(workspace, endpoint, name, at, _mentioned(statement))
            stack.callback(scans[name].close)
        session = _session(workspace, workdir, scans)
        stack.callback(session.close)
        relations = {name: f"headgate_table_{number}" for number, name in enumerate(scans, 1)}
        for name, scan in scans.items():
            read = f"{relations[name]}_read" if scan.schema.casts else relations[name]
            if scan.files is not None or (len(tables[name]) == 1 and len(scans) == 1 and not _repeats(statement)):
                session.register(read, scan)
            else:  # a stream can be read once, and the query may read it more often
                session.materialise(read, scan)
            for node in tables[name]:
                _point(node, relations[name])
        for name, scan in scans.items():
            if scan.schema.casts:
                statement = _beneath(statement, relations[name], _typed(f"{relations[name]}_read", scan.schema))
        reader = _stream(session, statement.sql("duckdb"), sql)
        stack.callback(reader.close)
        yield reader


def _typed(relation: str, schema: SourceSchema) -> str:
    """The rows in their true types, where a database can hand them on as text only."""
    quoted = {name: quote_name(name) for name in schema.raw.names}
    columns = (
        f"CAST({each} AS {schema.casts[name]}) AS {each}" if name in schema.casts else each
        for name, each in quoted.items()
    )
    return f"SELECT {', '.join(columns)} FROM {quote_name(relation)}"


def _beneath(statement: exp.Query, name: str, select: str) -> exp.Query:
    """The statement with one more CTE, before its own, which may read it."""
    found = statement.with_(f'"{name}"', as_=select, dialect="duckdb")
    *others, mine = found.ctes
    assert mine.parent is not None
    mine.parent.set("expressions", [mine, *others])
    return found


def _session(workspace: Workspace, workdir: Any, scans: dict[str, Scan]) -> EngineSession:
    paths = [str(workdir)]
    for scan in scans.values():
        paths += scan.files.paths if scan.files else ()
    workdir.mkdir(parents=True, exist_ok=True)
    defaults = workspace.project.defaults
    return workspace.engine().session(workdir, memory=defaults.memory, threads=defaults.threads, paths=paths)


def _stream(session: EngineSession, rewritten: str, sql: str) -> pa.RecordBatchReader:
    try:
        return session.stream(rewritten, ENGINE_ROWS)
    except HeadgateError as error:
        raise FatalError(
            Code.USAGE, error.message, operation="query", object=_short(sql), hint=error.hint
        ) from error  # fmt: skip


def _select(sql: str) -> exp.Query:
    """The statement, if it is one query that changes nothing."""
    import logging

    import sqlglot
    from sqlglot import errors, exp

    # it warns on stderr of functions that it would spell otherwise for other engines
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    try:
        statements = [statement for statement in sqlglot.parse(sql, dialect="duckdb") if statement is not None]
    except (errors.ParseError, errors.TokenError) as error:
        first = str(error).splitlines()[0] if str(error) else "it does not parse"
        raise _refused(sql, f"it does not parse: {first}", "write one SELECT in DuckDB's SQL") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise _refused(sql, "only one SELECT is allowed here", "tables are changed by runs only")
    changing = (exp.DML, exp.DDL, exp.Command, exp.Copy, exp.Drop, exp.Attach, exp.Detach, exp.Pragma, exp.Set)
    for node in statements[0].walk():
        if isinstance(node, changing) and not isinstance(node, exp.Query):
            raise _refused(sql, f"{node.key.upper()} is not allowed here", "tables are changed by runs only")
    return statements[0]


def _tables(statement: exp.Query) -> dict[str, list[exp.Table]]:
    """The tables that the statement reads, by name, with every place that names them; its own CTEs are none."""
    from sqlglot import exp
    from sqlglot.optimizer.scope import traverse_scope

    found: dict[str, list[exp.Table]] = {}
    seen: set[int] = set()
    for scope in traverse_scope(statement):
        for _, source in scope.references:
            origin = scope.sources.get(source.alias_or_name)
            node = source if isinstance(source, exp.Table) else None
            if node is None or id(node) in seen or not isinstance(origin, exp.Table):
                continue
            seen.add(id(node))
            if not isinstance(node.this, exp.Identifier):
                continue  # a table function: the engine reaches nothing but what it is given
            name = ".".join(part.name for part in node.parts)
            found.setdefault(name, []).append(node)
    return found


def _mentioned(statement: exp.Query) -> frozenset[str]:
    """Names of columns that the statement may read; all of :mod:`headgate.queries.failed` where it says ``*``."""
    from sqlglot import exp

    stars = (node for node in statement.find_all(exp.Star) if not isinstance(node.parent, exp.Count))
    found = {node.name.lower() for node in statement.find_all(exp.Column)}
    return frozenset(found | {"key", "record"} if any(stars) else found)


def _repeats(statement: exp.Query) -> bool:
    """Whether a part of the statement may be computed more than once."""
    from sqlglot import exp

    return statement.find(exp.With, exp.Subquery, exp.SetOperation) is not None


def _point(node: exp.Table, relation: str) -> None:
    """Make a table node name the engine's relation, under the name that the query calls it."""
    from sqlglot import exp

    called = node.alias or node.name
    node.set("db", None)
    node.set("catalog", None)
    node.set("this", exp.to_identifier(relation, quoted=True))
    alias = node.args.get("alias")
    if alias is None or not alias.name:
        columns = alias.args.get("columns") if alias is not None else None
        node.set("alias", exp.TableAlias(this=exp.to_identifier(called, quoted=True), columns=columns))


def _open(workspace: Workspace, endpoint: Endpoint, table: str, at: str | None, columns: frozenset[str]) -> Scan:
    """A table of a store, or the rows that it holds back; of a connection that is no store, what its source reads."""
    if endpoint.name == LAKE or (
        not endpoint.connection.read_only and endpoint.kind in workspace.registry.kinds("targets")
    ):
        store = workspace.store(endpoint)
        return failed_data(workspace, store, columns, at) if is_failed_data(store, table) else store.reader(table, at)
    if at is not None:
        raise FatalError(
            Code.UNSUPPORTED,
            "the connection keeps no older versions",
            operation="query",
            object=endpoint.name,
            hint="leave --at out",
        )
    context = ReadContext(workspace.project.root, batch_size=workspace.project.defaults.batch_size)
    read = workspace.read_options(endpoint, table=table)
    return workspace.source(endpoint).scan(read, context, Window(None))


def _refused(sql: str, why: str, hint: str) -> FatalError:
    return FatalError(Code.USAGE, why, operation="query", object=_short(sql), hint=hint)


def _short(sql: str) -> str:
    text = " ".join(sql.split())
    return text if len(text) <= 80 else text[:77] + "..."
