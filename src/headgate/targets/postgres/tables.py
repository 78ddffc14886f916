"""One table of a run: where its rows go before the commit, and how they become the table's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from headgate.core.contracts import Load
from headgate.core.errors import Code, FatalError, nearest
from headgate.core.ledger import PREFIX
from headgate.io import merging as merges
from headgate.io.merging import Counts
from headgate.io.postgres import Statements, catalogue
from headgate.io.postgres.catalogue import Relation
from headgate.io.postgres.connection import driver
from headgate.sql.literals import quote_name, quote_text
from headgate.targets.postgres import merging, partitions, swap
from headgate.targets.postgres.columns import Fit, converter, declare, fit, sent_as
from headgate.targets.postgres.copying import Copying, Destination

if TYPE_CHECKING:
    import pyarrow as pa

Way = Literal["direct", "swap", "stage"]
"""Straight into the table; into a new one that takes its place; into staging, to be merged."""


def find(statements: Statements, table: str, *, create: bool) -> Relation | None:
    """The table that takes the rows; None if it is to be made.

    Raises:
        FatalError: TABLE_NOT_FOUND when it is not there and not to be made; UNSUPPORTED for views.
    """
    relation = catalogue.find(statements, table)
    if relation is None and not create:
        raise FatalError(
            Code.TABLE_NOT_FOUND,
            f'there is no table "{table}", and create: false forbids to make it',
            operation="stage",
            object=table,
            hint=nearest(table, catalogue.tables(statements)),
        )
    if relation is not None and relation.kind not in {"r", "p"}:
        raise FatalError(Code.UNSUPPORTED, "rows go into tables only, not into views", operation="stage", object=table)
    return relation


def place_of_new(statements: Statements, table: str) -> tuple[str, str]:
    """Schema and name that a new table gets. Raises FatalError TABLE_CREATION_FAILED when there is no such schema."""
    parts = catalogue.spellings(table)[-1]
    schema = parts[0] if len(parts) == 2 else statements.value("SELECT current_schema()")
    if schema is None or not statements.value("SELECT to_regnamespace(?) IS NOT NULL", (quote_name(schema),)):
        raise FatalError(
            Code.TABLE_CREATION_FAILED,
            f'there is no schema "{schema or ""}"',
            operation="stage",
            object=table,
            hint='create it (CREATE SCHEMA), or write "name" in double quotes if the dot belongs to the name',
        )
    return schema, parts[-1]


class TableLoad:
    """What one run does to one table, on the run's session.

    Args:
        statements: of the session whose transaction publishes.
        copying: the session's COPY.
        load: what is asked for.
        stage: name of the staging table, unique in this run; also of the new table of a swap.
        durable: the staging table outlives the session.
    """

    def __init__(self, statements: Statements, copying: Copying, load: Load, stage: str, *, durable: bool) -> None:
        self.load, self.stage, self.durable = load, stage, durable
        self._statements, self._copying = statements, copying
        self.counts: Counts | None = None
        self._relation: Relation | None = None
        self._fresh: Relation | None = None
        self._built: list[tuple[swap.Index, str]] = []
        self._destination: Destination | None = None
        self._way: Way = "stage"
        self._place = self._names = ""
        self._shared = False

    def open(self) -> None:
        """Decide the way and make the place that rows are copied to. Refuses what cannot be held exactly."""
        self._check()
        fits, additions = self._fits(self._find())
        self._way = self._choose(fits, additions)
        match self._way:
            case "direct":
                created = self._relation is None
                self._shared = not created
                relation = self._relation or self._create()
                self._destination = self._copy_to(relation.quoted, fits, frozen=created)
            case "swap":
                self._open_swap(fits, additions)
            case "stage":
                self._open_stage()

    def write(self, batch: pa.RecordBatch) -> None:
        if self._destination is not None:
            self._copying.write(self._destination, batch)

    @property
    def copied(self) -> int:
        return self._destination.copied if self._destination else 0

    def merge(self) -> Counts:
        """Bring the rows to the table, or ready to take its place; what that did. Done once."""
        if self.counts is None:
            match self._way:
                case "direct":
                    self.counts = Counts(self.copied)
                case "swap":
                    self.counts = self._finish_swap()
                case "stage":
                    self.counts = self._merge_stage()
        return self.counts

    def replace(self) -> None:
        """The last step of a swap; nothing for the other ways."""
        if self._fresh is not None and self._relation is not None:
            swap.replace(self._statements, self._relation, self._fresh, self._built)

    @property
    def result(self) -> str:
        """The table as it will be, quoted; after :meth:`merge`."""
        found = self._fresh or self._relation
        return found.quoted if found else ""

    # ------------------------------------------------------------------------------------------- deciding

    def _check(self) -> None:
        load, name = self.load, catalogue.spellings(self.load.table)[-1][-1]
        catalogue.check_name(name, "table")
        if load.rescue:
            catalogue.check_name(catalogue.spellings(load.rescue.table)[-1][-1], "dead_letter")
        if name.startswith(PREFIX):
            raise FatalError(
                Code.UNSUPPORTED,
                f"tables that start with {PREFIX} are headgate's own",
                operation="stage",
                object=load.table,
                hint="choose another name",
            )
        if load.replaces and load.mode == "append":
            raise FatalError(
                Code.UNSUPPORTED,
                "a PostgreSQL table does not know which rows an earlier run appended, so they cannot be replaced",
                operation="stage",
                object=load.table,
                hint="use mode: upsert or overwrite, or delete the rows by hand and run without --force",
            )

    def _find(self) -> Relation | None:
        self._relation = find(self._statements, self.load.table, create=self.load.create)
        return self._relation

    def _fits(self, relation: Relation | None) -> tuple[list[Fit], list[str]]:
        """How each column travels, and the definitions of columns to add."""
        load = self.load
        if relation is None:
            return [declare(field, load.table)[1] for field in load.columns], []
        if load.mode == "overwrite":
            merges.refuse_cascades(load, catalogue.cascades(self._statements, relation, own=not load.whole))
        there = {
            column.name: column for column in catalogue.columns(self._statements, f"SELECT * FROM {relation.quoted}")
        }
        types = dict(
            self._statements.query(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute"
                " WHERE attrelid = ? AND attnum > 0 AND NOT attisdropped",
                (relation.oid,),
            )
        )
        fits, additions = [], []
        for field in load.columns:
            if field.name in there:
                fits.append(fit(field, there[field.name], types[field.name], load.table))
                continue
            if not load.evolve:
                raise FatalError(
                    Code.SCHEMA_MISMATCH,
                    f'column "{field.name}" ({field.type}) is not in the table, and evolve: freeze forbids to add it',
                    operation="stage",
                    object=load.table,
                    hint=f"{nearest(field.name, there)} – or let the table evolve",
                )
            self._check_twin(field.name, there)
            sql, added = declare(field, load.table)
            fits.append(added)
            additions.append(f"ADD COLUMN {quote_name(field.name)} {sql}")
        return fits, additions

    def _check_twin(self, name: str, there: Iterable[str]) -> None:
        """Refuse to add a column beside one that differs in upper and lower case only, unless rows come for both."""
        for other in there:
            if other.lower() == name.lower() and other not in self.load.columns.names:
                raise FatalError(
                    Code.SCHEMA_MISMATCH,
                    f'column "{name}" is "{other}" in the table',
                    operation="stage",
                    object=self.load.table,
                    hint=f"rename it in a step: {{type: rename, columns: {{{name}: {other}}}}}",
                )

    def _choose(self, fits: Sequence[Fit], additions: Sequence[str]) -> Way:
        plain = (self.load.mode == "append" or self.load.whole) and not merges.handles(self.load)
        plain = plain and self.load.partitioning is None
        if self.durable or not plain or any(each.final for each in fits):
            return "stage"
        if self._relation is None:
            return "direct"
        if self.load.mode == "append":
            return "stage" if additions else "direct"  # adding a column during the load would keep readers waiting
        return "stage" if swap.obstacle(self._statements, self._relation) else "swap"

    # -------------------------------------------------------------------------------------------- staging

    def _create(self) -> Relation:
        """The new table, invisible until the commit."""
        schema, name = place_of_new(self._statements, self.load.table)
        lines = [f"{quote_name(field.name)} {declare(field, self.load.table)[0]}" for field in self.load.columns]
        if self.load.mode in merges.KEYED:
            lines.append(f"PRIMARY KEY ({', '.join(quote_name(key) for key in merges.identity(self.load))})")
        created = Relation(0, schema, name, "r")
        divided = partitions.clause(self.load.partitioning) if self.load.partitioning else ""
        self._statements.execute(f"CREATE TABLE {created.quoted} ({', '.join(lines)}){divided}")
        self._relation = catalogue.need(self._statements, f"{quote_name(schema)}.{quote_name(name)}", "stage")
        return self._relation

    def _open_stage(self) -> None:
        """A staging table of the columns as they arrive; what they become is decided again at the merge."""
        plain = [declare(field, self.load.table)[1] for field in self.load.schema]
        columns = ", ".join(f"{quote_name(each.name)} {each.staged}" for each in plain)
        if self.durable:
            self._statements.execute(f"CREATE TABLE {quote_name(self.stage)} ({columns})")
        else:
            self._statements.execute(f"CREATE TEMPORARY TABLE {quote_name(self.stage)} ({columns}) ON COMMIT DROP")
        self._destination = self._copy_to(quote_name(self.stage), plain, frozen=False)

    def _open_swap(self, fits: Sequence[Fit], additions: Sequence[str]) -> None:
        if self._relation is not None:
            self._fresh = swap.create_like(self._statements, self._relation, self.stage)
            if additions:
                self._statements.execute(f"ALTER TABLE {self._fresh.quoted} {', '.join(additions)}")
            self._destination = self._copy_to(self._fresh.quoted, fits, frozen=True)

    def _copy_to(self, quoted: str, fits: Sequence[Fit], *, frozen: bool) -> Destination:
        """``frozen``: a session with an older snapshot then sees the new table's rows rather than none."""
        names = ", ".join(quote_name(each.name) for each in fits)
        options = "FORMAT binary, FREEZE" if frozen else "FORMAT binary"
        schema, convert = converter(self.load.schema, fits)
        self._place, self._names = quoted, names
        types = {each.name: sent_as(each) for each in fits}
        copy = f"COPY {quoted} ({names}) FROM STDIN ({options})"
        return Destination(self.load.table, copy, schema, convert, types, self.load.keys)

    # ------------------------------------------------------------------------------- rows that stay undecoded

    @property
    def destination(self) -> Destination:
        assert self._destination is not None, "a load is opened first"
        return self._destination

    def take(self, pieces: Iterator[memoryview]) -> int:
        return self._copying.take(self.destination, pieces)

    def insert(self, select: str, counting: str) -> tuple[int, tuple[Any, ...]]:
        self._copying.finish()
        insert, counted = f"INSERT INTO {self._place} ({self._names}) {select}", ()
        if counting:
            counted = self._statements.query(f"WITH headgate_moved AS ({insert}) SELECT * FROM ({counting}) AS c")[0]
            self.destination.copied = self.rows("SELECT count(*) FROM headgate_own", "headgate_own")[0][0]
        else:
            self.destination.copied = self._statements.execute(insert)
        return self.copied, counted

    def rows(self, sql: str, relation: str) -> list[tuple[Any, ...]]:
        """A SELECT over this run's own rows; of a table that has others too, those of this transaction."""
        self._copying.finish()
        own = f"SELECT * FROM {self._place}"
        if self._shared:
            xid = self._statements.value("SELECT pg_current_xact_id()::xid::text")
            own += f" WHERE xmin = '{xid}'::xid"
        return self._statements.query(f"WITH {quote_name(relation)} AS ({own}) {sql}")

    # -------------------------------------------------------------------------------------------- merging

    def _finish_swap(self) -> Counts:
        if self._relation is None or self._fresh is None:
            return Counts()
        self._built = swap.finish(self._statements, self._relation, self._fresh)
        return Counts(self.copied, 0, swap.count_old(self._statements, self._relation, self._built))

    def _merge_stage(self) -> Counts:
        load, statements, stage = self.load, self._statements, quote_name(self.stage)
        if load.mode == "upsert":
            merging.check_keys(statements, load.table, stage, load.keys)
        fits, additions = self._fits(self._find())
        target = self._relation or self._create()
        if additions:
            statements.execute(f"ALTER TABLE {target.quoted} {', '.join(additions)}")
        plain = [declare(field, load.table)[1] for field in load.columns]
        merged = [replace(was, final=now.final) for was, now in zip(plain, fits, strict=True)]
        if load.partitioning is not None:
            partitions.ensure(statements, target, self._staged(merged), load.partitioning)
        if merges.handles(load):
            return merges.apply(load, self._merge_target(target, merged), _Session(statements))
        match load.mode:
            case "append":
                return merging.append(statements, target, stage, merged)
            case "upsert":
                return merging.upsert(statements, target, stage, merged, load.keys)
            case _:
                return merging.refill(statements, target, stage, merged)

    def _staged(self, fits: Sequence[Fit]) -> str:
        """The staged rows in the table's types, as a FROM clause."""
        if not any(each.final for each in fits):
            return quote_name(self.stage)
        columns = [merging.value_of(each, named=True) for each in fits]
        if self.load.marker:
            columns.append(quote_name(self.load.marker))
        return f"(SELECT {', '.join(columns)} FROM {quote_name(self.stage)})"

    def _merge_target(self, target: Relation, fits: Sequence[Fit]) -> merges.Target:
        """Nobody else may write until the commit, or their rows would meet ours in ways that nobody looked at."""
        self._statements.execute(f"LOCK TABLE {target.quoted} IN SHARE ROW EXCLUSIVE MODE")
        self._statements.execute(f"ANALYZE {quote_name(self.stage)}")
        types = {each.name: each.final or each.staged for each in fits}
        staged = self._staged(fits)

        def literal(value: pa.Scalar[Any], column: str) -> str:
            return f"{quote_text(str(value.as_py()))}::{types[column]}"

        return merges.Target(target.quoted, staged, literal, self.stage, analyze=True)


@dataclass(frozen=True)
class _Session:
    statements: Statements

    def execute(self, statement: str) -> int:
        return self.statements.execute(statement)

    def value(self, statement: str) -> Any:
        return self.statements.value(statement)

    def attempt(self, statement: str) -> int | str:
        library = driver()
        self.execute("SAVEPOINT headgate_try")
        try:
            with self.statements.connection.cursor() as cursor:
                cursor.execute(statement)
                changed = cursor.rowcount
        except (library.errors.IntegrityError, library.errors.DataError) as error:
            self.execute("ROLLBACK TO SAVEPOINT headgate_try")
            return str(error).splitlines()[0]
        self.execute("RELEASE SAVEPOINT headgate_try")
        return changed

    def payload(self, columns: Sequence[str]) -> str:
        pairs = ", ".join(f"{quote_text(name)}, s.{quote_name(name)}" for name in columns)
        return f"jsonb_build_object({pairs})::text"

    def letters(self, table: str, columns: Sequence[str]) -> str:
        place = ".".join(quote_name(part) for part in catalogue.spellings(table)[-1])
        self.execute(f"CREATE TABLE IF NOT EXISTS {place} ({', '.join(f'{name} TEXT' for name in columns)})")
        return place
