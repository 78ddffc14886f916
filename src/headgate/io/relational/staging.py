"""Rows of one table on their way into a database: a staging table of their own, durable and unseen."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from headgate.core.contracts import Load, Scan
from headgate.core.errors import Code, FatalError, nearest
from headgate.core.ledger import PREFIX, Claim
from headgate.core.runs import PipelineKey
from headgate.io.ledger import Statements
from headgate.io.loads import respelled
from headgate.io.merging import KEYED, handles, identity, refuse_cascades
from headgate.io.relational.columns import ReadColumn, TableColumn, accepts
from headgate.sql.dialects import Standard

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pyarrow as pa

Place = tuple[str, str]
"""Where a table is: its schema (or database), and its name."""


class Session(Statements, Protocol):
    """A session of a database, in autocommit mode until :meth:`begin`."""

    operation: str

    def value(self, statement: str, parameters: Sequence[Any] = ()) -> Any: ...

    def begin(self) -> None: ...

    def commit(self) -> None: ...

    def rollback(self) -> None: ...

    @property
    def alive(self) -> bool: ...

    def close(self) -> None: ...

    def tables(self) -> list[str]: ...

    def need(self, table: str, operation: str) -> Place: ...

    def find(self, table: str) -> Place | None: ...

    def keys(self, place: Place) -> tuple[str, ...]: ...

    def cascades(self, place: Place) -> list[Place]:
        """Tables whose foreign keys delete or change their rows when rows of this one are deleted."""

    def table_columns(self, place: Place) -> list[TableColumn]: ...


S = TypeVar("S", bound=Session)
T = TypeVar("T", bound=Session, contravariant=True)


class Spelling(Protocol[T]):
    """How a database spells what a run does to its tables.

    Attributes:
        product: its name, for people.
        transactional_ddl: CREATE and ALTER belong to the transaction that they stand in; else they come before it, in
            a session of their own.
        blob: the type of the ledger's bytes.
        dialect: how it says what databases say differently.
    """

    product: str
    transactional_ddl: bool
    blob: str
    dialect: Standard

    def quote(self, name: str) -> str: ...

    def quoted(self, place: Place) -> str: ...

    def new_place(self, session: T, table: str) -> Place:
        """Where a table of that name would be created. Raises FatalError for names that it cannot have."""

    def declare(self, session: T, field: pa.Field[Any], key_bytes: int) -> str:
        """The type of a new column; ``key_bytes``: it is part of a key that takes so many. Raises UNSUPPORTED."""

    def declare_staged(self, session: T, load: Load) -> list[str]:
        """The types of the staged columns, which are compared with the table's, if there is one."""

    def literal(self, value: Any) -> str:
        """A value as a typed literal."""


class Showing(Spelling[T], Protocol[T]):
    """A database that is read in the very session which changes it."""

    def read_columns(self, session: T, place: Place) -> list[ReadColumn]:
        """How the columns of a table are read, those that the session has not committed too."""

    def rows(
        self, session: T, select: str, columns: Sequence[ReadColumn], batch_rows: int, name: str
    ) -> Generator[pa.RecordBatch, None, None]:
        """The rows of a SELECT as they come; the session takes no other statement until they end or are closed."""


class Backend(Showing[S], Protocol[S]):
    """A server, in which a run stages its rows in tables, in a session that can be ended from outside."""

    def session(self, operation: str) -> S: ...

    def insert(self, session: S, stage: Place, batch: pa.RecordBatch) -> None:
        """Add a batch to a staging table, fast."""

    def lock(self, key: PipelineKey) -> AbstractContextManager[None]: ...

    def guard(self, session: S, claim: Claim) -> None:
        """Mark the session in which a run publishes, so that it can be ended."""

    def end(self, session: S, key: PipelineKey, run_id: str, patience: float) -> bool:
        """End the session in which a run publishes, if the database can; whether it is gone for certain."""

    def reader(self, table: str) -> Scan: ...


@dataclass
class StagedTable:
    """What one run does to one table. ``stand_in``: the table that a trial merges into instead."""

    load: Load
    stage: Place
    rows: int = 0
    stand_in: Place | None = None

    @property
    def names(self) -> list[str]:
        return list(self.load.columns.names)

    @property
    def others(self) -> list[str]:
        """The columns that an upsert changes."""
        return [name for name in self.names if name not in self.load.keys]


def spelled(session: Session, load: Load) -> Load:
    """The load with its columns called as the table calls them: names that differ in case only are the same."""
    place = session.find(load.table)
    there = [column.name for column in session.table_columns(place)] if place else []
    known = {name.lower(): name for name in there}
    return respelled(load, [name if name in there else known.get(name.lower(), name) for name in load.schema.names])


def check(backend: Spelling[Any], session: Session, load: Load) -> list[str]:
    """Match a load with the table as it is; the columns to add, as ALTER TABLE wants them.

    Raises:
        FatalError: TABLE_NOT_FOUND, SCHEMA_MISMATCH or UNSUPPORTED, before a row is staged.
    """
    _check_names(backend, load)
    if handles(load) and not backend.dialect.merges:
        raise FatalError(
            Code.UNSUPPORTED,
            f"it is not known how {backend.product} says what the mode {load.mode} needs",
            operation="stage",
            object=load.table,
            hint="use mode: append, overwrite (of the whole table) or upsert",
        )
    place = session.find(load.table)
    declared = {field_.name: backend.declare(session, field_, _key_bytes(load, field_.name)) for field_ in load.schema}
    if place is None:
        if not load.create:
            raise FatalError(
                Code.TABLE_NOT_FOUND,
                f'there is no table "{load.table}", and create: false forbids to make it',
                operation="stage",
                object=load.table,
                hint=nearest(load.table, session.tables()),
            )
        backend.new_place(session, load.table)
        return []
    if load.mode == "overwrite":
        followers = (found for found in session.cascades(place) if found != place or not load.whole)
        refuse_cascades(load, sorted({name for _, name in followers}))
    there = {column.name: column for column in session.table_columns(place)}
    additions = []
    for field_ in load.columns:
        column = there.get(field_.name)
        if column is None:
            if not load.evolve:
                raise _mismatch(
                    load.table,
                    f'column "{field_.name}" ({field_.type}) is not in the table, and evolve: freeze forbids to add it',
                    f"{nearest(field_.name, there)} – or let the table evolve",
                )
            additions.append(f"{backend.dialect.add} {backend.quote(field_.name)} {declared[field_.name]}")
        elif not accepts(column, field_.type):
            raise _mismatch(
                load.table,
                f'column "{field_.name}" is {column.sql} in the table, and {field_.type} in the rows to load',
                f"add a cast step, or change the table: a {field_.type} does not always fit into a {column.sql}",
            )
    return additions


def _mismatch(table: str, message: str, hint: str) -> FatalError:
    return FatalError(Code.SCHEMA_MISMATCH, message, operation="stage", object=table, hint=hint)


def _check_names(backend: Spelling[Any], load: Load) -> None:
    lowered = [name.lower() for name in load.schema.names]
    twice = sorted({name for name in lowered if lowered.count(name) > 1})
    missing = [key for key in load.keys if key not in load.schema.names]
    if load.table.rpartition(".")[2].lower().startswith(PREFIX):
        message, hint = f"tables that start with {PREFIX} are headgate's own", "choose another name"
    elif load.replaces and load.mode == "append":
        message = f"a {backend.product} table does not know which rows an earlier run appended"
        hint = "use mode: upsert or overwrite, or delete the rows by hand and run without --force"
    elif twice:
        message, hint = f"{backend.product} takes {', '.join(twice)} for one column", "rename one of them"
    elif load.mode in KEYED and (missing or not load.keys):
        message, hint = f"the merge keys {missing} are not among the columns", "name the columns in keys"
    else:
        return
    raise FatalError(Code.UNSUPPORTED, message, operation="stage", object=load.table, hint=hint)


def _key_bytes(load: Load, name: str) -> int:
    """Bytes that a key column of a new table may take: keys share what an index holds."""
    columns = identity(load)
    return 3072 // len(columns) // 4 * 4 if load.mode in KEYED and name in columns else 0


def create(backend: Spelling[Any], session: Session, load: Load, place: Place, *, staging: bool) -> None:
    """CREATE TABLE for a load, or for its staging."""
    if staging:
        types = backend.declare_staged(session, load)
        lines = [f"{backend.quote(name)} {type_}" for name, type_ in zip(load.schema.names, types, strict=True)]
    else:
        lines = [f"{backend.quote(field.name)} {_declared(backend, session, load, field)}" for field in load.columns]
    if load.mode in KEYED and not staging:
        lines.append(f"PRIMARY KEY ({', '.join(backend.quote(key) for key in identity(load))})")
    session.execute(f"CREATE TABLE {backend.quoted(place)} ({', '.join(lines)})")


def _declared(backend: Spelling[Any], session: Session, load: Load, field: pa.Field[Any]) -> str:
    key_bytes = _key_bytes(load, field.name)
    declared = backend.declare(session, field, key_bytes)
    return declared.replace(" NULL", " NOT NULL") if key_bytes else declared


def shape(backend: Spelling[Any], session: Session, load: Load) -> None:
    """Create the table, or add the columns that it lacks."""
    additions = check(backend, session, load)
    place = session.find(load.table)
    if place is None:
        create(backend, session, load, backend.new_place(session, load.table), staging=False)
    for addition in additions:
        assert place is not None, "columns are added to what is there"
        session.execute(f"ALTER TABLE {backend.quoted(place)} {addition}")


def check_keys(backend: Spelling[Any], session: Session, staged: StagedTable) -> None:
    """Refuse NULL and repeated merge keys. Raises FatalError DUPLICATE_KEYS with how many there are."""
    keys, stage = [backend.quote(key) for key in staged.load.keys], backend.quoted(staged.stage)
    nulls = int(session.value(f"SELECT count(*) FROM {stage} WHERE {' OR '.join(f'{key} IS NULL' for key in keys)}"))
    groups = f"SELECT count(*) AS n FROM {stage} GROUP BY {', '.join(keys)} HAVING count(*) > 1"
    repeated = int(session.value(f"SELECT coalesce(sum(n), 0) FROM ({groups}) g"))
    if nulls or repeated:
        parts = [f"{nulls} rows have a NULL in their merge key"] if nulls else []
        parts += [f"{repeated} rows share their merge key with another"] if repeated else []
        raise FatalError(
            Code.DUPLICATE_KEYS,
            f"{' and '.join(parts)} ({', '.join(staged.load.keys)})",
            operation="stage",
            object=staged.load.table,
            hint="add a deduplicate step with keys and order_by, or a not_null rule that quarantines",
        )
