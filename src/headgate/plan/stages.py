"""The stages of a plan: plain frozen data, read by the interpreter, by ``plan`` and by diagrams alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sqlglot import exp, parse_one

from headgate.core.contracts import History, Mode, Partitioning
from headgate.core.engines import Column
from headgate.core.secrets import Secret
from headgate.plan.checks import CallCheck, CountCheck, MeasureCheck, Preview, Rule, SetCheck, TableCheck
from headgate.plan.flags import Verdict
from headgate.sql.shapes import Call

KEY_COLUMNS = (Column("inner", "BLOB"), Column("outer", "BLOB"))
"""The columns of the relation of one row that a secret is to the SQL of a pass."""
Counted = Literal["rows", "groups", "reshaped"]


@dataclass(frozen=True)
class Claim:
    """Raise the epoch in the authoritative store."""

    pipeline: str
    store: str


@dataclass(frozen=True)
class Affected:
    """Groups of an incremental source that are read again, whole.

    Args:
        keys: the columns that tell groups apart.
        sql: gives the groups that the new rows belong to, over the scan's relation.
        pushed: keys that are columns of the source, by which it may be asked for the rows of few groups.
        sides: other relations that ``sql`` reads.
    """

    keys: tuple[str, ...]
    sql: str
    pushed: tuple[str, ...] = ()
    sides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scan:
    """Open one relation: a source of the pipeline, or the other side of a join.

    ``unique``: columns that must be unique in it, checked before the main source is read. ``repeatable``: it is
    scanned more than once, so batches are kept. ``options``: a hash of what chooses its rows. ``reads``: the columns
    that are read, where others are not needed. ``keeps``: conditions in the source's SQL, of the first filters in their
    order; rows for which one is not true are left out there, and counted. ``unsifted``: why the next filter's are not.
    ``latest``: of the rows that agree in these columns only the last counts; the others are left out, and counted.
    """

    relation: str
    connection: str
    object: str
    columns: tuple[Column, ...]
    mode: str = "full"
    source: int | None = None
    side: int | None = None
    unique: tuple[str, ...] = ()
    repeatable: bool = False
    options: str = ""
    note: str = ""
    affected: Affected | None = None
    reads: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    unsifted: str = ""
    latest: tuple[str, ...] = ()


Place = Literal["duckdb", "relay", "source", "server"]
"""Where the rows are worked on: in the engine; nowhere, their bytes pass; in the source's database; and where source
and target are one database, within it."""


@dataclass(frozen=True)
class Placement:
    """The place that was chosen, and why, for people."""

    place: Place = "duckdb"
    reason: str = ""


@dataclass(frozen=True)
class Move:
    """Does what the scan, transform, check and write of ``relation`` say, without decoding a row: in SQL, and in bytes.

    If a row is found that must be held back or fails the run, what was moved is rolled back and those stages run.

    Args:
        place: how.
        relation: the pass that is done so.
        reads: the main scan's relation.
        target: the index of the target.
        columns: each column that is written, with its SQL over ``source``.
        where: conditions of which all rows that are good fulfil all; one a drop, in its order.
        groups: what makes a group of rows one; None: rows stay rows.
        looked_at: columns of the source by whose values something is decided; None: all. Values of others are carried
            as they are, also those that an engine could not hold.
        proofs: expressions that are computed of every row: they raise where the engine would find an error.
        checking: a SELECT over ``relation`` that counts the rows that break each rule: held ones, then noted ones.
        sets: rules over all rows, as index in the audit's and SQL over ``relation``.
    """

    place: Place
    relation: str
    reads: str
    target: int
    columns: tuple[tuple[str, str], ...]
    where: tuple[str, ...]
    checking: tuple[str, ...]
    sets: tuple[tuple[int, str], ...]
    groups: tuple[str, ...] | None = None
    looked_at: tuple[str, ...] | None = None
    proofs: tuple[str, ...] = ()

    @property
    def clauses(self) -> str:
        """What follows FROM."""
        return clauses(self.where, self.groups)

    @property
    def sql(self) -> str:
        """What the source's server is asked, for people; the target's types are put around it when the run begins."""
        return shown(self.columns, self.reads, self.clauses)


@dataclass(frozen=True)
class Fetch:
    """Groups that the source makes, in place of the scan and of what makes them of its rows.

    If the server finds a value that the engine could not hold, or a sum overflows, the stages that follow do it all.

    Args:
        relation: the pass that makes groups, and starts from what is fetched.
        reads: the main scan's relation.
        before: the pass over single rows that is left out; empty: there is none.
        columns: each column of the groups, with its SQL over ``source`` and its type.
        where: conditions of which all rows that are good fulfil all; one a drop of ``before``, in its order.
        groups: what makes a group.
        over: the SQL of the pass from the groups on.
        proofs: expressions that are computed of every row: they raise where the engine would find an error.
    """

    relation: str
    reads: str
    before: str
    columns: tuple[tuple[str, str, str], ...]
    where: tuple[str, ...]
    groups: tuple[str, ...]
    over: str
    proofs: tuple[str, ...] = ()

    @property
    def clauses(self) -> str:
        """What follows FROM."""
        return clauses(self.where, self.groups)

    @property
    def sql(self) -> str:
        """What the source's server is asked, for people."""
        return shown([(name, value) for name, value, _ in self.columns], self.reads, self.clauses)


def shown(columns: Iterable[tuple[str, str]], reads: str, following: str) -> str:
    """A statement for people: columns by name with their SQL, over one relation."""
    selected = ",\n  ".join(f'{value} AS "{name}"' for name, value in columns)
    return f'SELECT\n  {selected}\nFROM "{reads}"{following}'


def clauses(where: Sequence[str], groups: Sequence[str] | None) -> str:
    kept = "\nWHERE " + "\n  AND ".join(where) if where else ""
    return kept + ("\nGROUP BY " + ", ".join(groups) if groups else "")


@dataclass(frozen=True)
class Transform:
    """One pass: a SELECT over one relation (and sides), or a Python function.

    ``columns`` are those of the good rows. ``counted`` says how rows go in: one to one, as groups, or unrelated.
    ``setwise``: values depend on all its rows, so that rows held before it cannot be replayed alone.
    ``branch``: its rows are a second output of a step, beside the main chain.
    ``keys``: secrets that the SQL reads as relations of one row.
    """

    relation: str
    reads: str
    columns: tuple[Column, ...]
    steps: tuple[str, ...]
    sql: str = ""
    call: Call | None = None
    source_hash: str = ""
    verdict: Verdict = field(default_factory=Verdict)
    counted: Counted = "rows"
    sides: tuple[str, ...] = ()
    replayable: bool = True
    setwise: bool = False
    branch: bool = False
    keys: Mapping[str, Secret] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """Split the pass's rows on their verdict: good, dropped, held; and count what rules note."""

    relation: str
    rules: tuple[Rule, ...]
    verdict: Verdict
    on_row_error: str = "fail"
    keys: tuple[str, ...] = ()
    """Columns that identify a row for people."""
    broken: tuple[tuple[str, str], ...] = ()
    """In a pass that only judges, for each rule the condition of rows that break it, over what the pass reads."""


@dataclass(frozen=True)
class Keep:
    """Spool columns of the good rows, for a later pass or for rules over all rows.

    The others are for counting rows that break several rules once: ``notes``, the words of rules about single rows;
    ``missing``, the columns of which it is kept whether they are NULL; ``numbered``, a number for each row. ``marks``
    say for a later pass which rows only name a key to be deleted.
    """

    relation: str
    spool: str
    columns: tuple[str, ...]
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    numbered: bool = False
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Write:
    """Stage the good rows of a pass for a target.

    Args:
        partition: overwrite replaces only the partitions that the rows have.
        between: overwrite replaces only the run's interval of this column.
        dated: this column is added, with the run's date, and overwrite replaces that date only.
        marker: a column of the pass that says which rows delete their key.
        history: names of the columns that scd2 adds, and what it tracks.
        effective: the column that says since when a row holds; empty: the run's time.
        partitioning: the table's parts.
        omitted: columns of the pass that the table lacks and does not get; rows with values in them are held back.
        dead_letter: the table for rows that a constraint of the target rejects; empty: they fail the run.
        lineage: what each column comes from, for people.
    """

    relation: str
    target: int
    store: str
    table: str
    mode: Mode
    keys: tuple[str, ...]
    columns: tuple[Column, ...]
    partition: tuple[str, ...] = ()
    between: str = ""
    dated: str = ""
    marker: str = ""
    delete_missing: bool = False
    history: History | None = None
    effective: str = ""
    dead_letter: str = ""
    partitioning: Partitioning | None = None
    omitted: tuple[str, ...] = ()
    lineage: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def plain(self) -> bool:
        """Whether the target takes the rows as they are, without columns of headgate's beside them."""
        return not (self.dated or self.between or self.marker or self.history or self.dead_letter or self.omitted)

    @property
    def chosen_by(self) -> tuple[str, ...]:
        """The columns by whose values rows find their place."""
        parts = (self.partitioning.column,) if self.partitioning is not None else ()
        return tuple(dict.fromkeys((*self.keys, *self.partition, *parts)))

    @property
    def whole(self) -> bool:
        """Whether it replaces all that is there."""
        return self.mode == "overwrite" and not (self.partition or self.between or self.dated)


@dataclass(frozen=True)
class Audit:
    """What must hold of the run as a whole: rules over sets, tables after the merge, row accounting.

    ``skipped``: rules that are switched off, which receipts still show.
    """

    sets: tuple[SetCheck, ...]
    tables: tuple[TableCheck, ...]
    max_error_percentage: float | None = None
    measures: tuple[MeasureCheck, ...] = ()
    counts: tuple[CountCheck, ...] = ()
    calls: tuple[CallCheck, ...] = ()
    previews: tuple[Preview, ...] = ()
    skipped: tuple[Rule, ...] = ()

    @property
    def scans(self) -> int:
        """How often it reads rows: once for all aggregates over a spool, once a rule that groups or calls."""
        together = {check.spool for check in self.measures if check.columns or not check.relation}
        together |= {check.spool for check in self.counts}
        asked = sum(_readings(check.sql, check.spool) for check in self.sets)
        return asked + len(self.calls) + len(together) + len(self.tables) + len(self.previews)


@dataclass(frozen=True)
class Publish:
    """The one commit of the authoritative store; the others are rolled forward after it."""

    store: str
    followers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Acknowledge:
    sources: tuple[int, ...]


@dataclass(frozen=True)
class Clean:
    stores: tuple[str, ...]


Stage = Claim | Scan | Move | Fetch | Transform | Check | Keep | Write | Audit | Publish | Acknowledge | Clean


@dataclass(frozen=True)
class Plan:
    """A pipeline compiled. ``columns`` are those of the last step; ``lineage`` names what each comes from."""

    project: str
    pipeline: str
    stages: tuple[Stage, ...]
    columns: tuple[Column, ...]
    lineage: Mapping[str, tuple[str, ...]]
    hash: str = ""
    notes: tuple[str, ...] = ()
    placement: Placement = Placement()
    variables: Mapping[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    hidden: frozenset[str] = frozenset()
    """Columns at any step, in lower case, whose values are personal data."""

    @property
    def sql(self) -> str:
        """The SQL of all passes, for people."""
        return ";\n\n".join(
            f"-- {stage.relation}{', in PostgreSQL' if isinstance(stage, Move | Fetch) else ''}\n{stage.sql}"
            for stage in self.stages
            if isinstance(stage, Transform | Move | Fetch)
        )

    @property
    def scans(self) -> int:
        """How often the run reads rows of the main chain: a pass each, and what the audit reads of its results.

        A pass that a server does together with the groups that it makes reads none of its own.
        """
        done = {stage.before for stage in self.stages if isinstance(stage, Fetch)}
        ours = (stage for stage in self.stages if isinstance(stage, Transform) and stage.relation not in done)
        passes = sum(_readings(stage.sql, stage.reads) for stage in ours)
        passes += sum(isinstance(stage, Scan) and stage.affected is not None for stage in self.stages)
        return passes + sum(stage.scans for stage in self.stages if isinstance(stage, Audit))


def _readings(sql: str, relation: str) -> int:
    """How often a statement reads a relation: SQL of the user's may join it with itself. Python reads it once."""
    if not sql:
        return 1
    tree = parse_one(sql, read="duckdb")
    return max(1, sum(table.name == relation for table in tree.find_all(exp.Table)))
