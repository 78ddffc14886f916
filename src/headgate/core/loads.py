"""What one run writes to one table: modes, and what each of them must know.

Part of the contract of stores; :mod:`headgate.core.contracts` gives these names, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from headgate.core.models import WriteOptions

if TYPE_CHECKING:
    import pyarrow as pa

Mode = Literal["append", "overwrite", "upsert", "merge", "scd2"]
Capability = Literal[
    "append",
    "overwrite",
    "overwrite partition",
    "overwrite interval",
    "upsert",
    "merge",
    "scd2",
    "rescue",
    "partition tables",
    "preview",
]
"""What a target's module says in ``MODES`` that its store can do; a plan that asks for more is refused."""

BASIC: frozenset[Capability] = frozenset({"append", "overwrite", "upsert"})
"""What a store can do whose module says nothing."""
EVERY: frozenset[Capability] = BASIC | {"overwrite partition", "overwrite interval", "merge", "scd2"}


@dataclass(frozen=True)
class History:
    """The columns that mode scd2 keeps of each version, all of them among the load's.

    Every row comes with its valid_from, the open end, true and 1: as the only version of its key would look. Versions
    of a key follow each other at valid_from; a row that says in ``track`` what its predecessor says makes no version.
    """

    valid_from: str = "valid_from"
    valid_to: str = "valid_to"
    is_current: str = "is_current"
    version: str = "version"
    track: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, str, str, str]:
        return self.valid_from, self.valid_to, self.is_current, self.version


@dataclass(frozen=True)
class Between:
    """The rows whose ``column`` lies in [start, end): values as Arrow scalars of the column's type."""

    column: str
    start: pa.Scalar[Any]
    end: pa.Scalar[Any]


@dataclass(frozen=True)
class Partitioning:
    """A table in parts by one column: a part a value, day, month or year, made on demand; NULL has one of its own."""

    column: str
    by: Literal["value", "day", "month", "year"] = "value"


@dataclass(frozen=True)
class Rescue:
    """Where rows go that a constraint of the table rejects, one by one, in the same commit.

    The table has text columns: run_id, rejected_at, table_name, reason, payload (the row as JSON).
    """

    table: str
    run_id: str
    at: str


@dataclass(frozen=True)
class Load:
    """What one run writes to one table.

    Args:
        table: its name.
        mode: append adds rows; overwrite replaces those that ``partition``, ``between`` or nothing (all) choose;
            upsert updates by keys and inserts the rest; merge also deletes, and writes nothing that is there already;
            scd2 keeps a history of versions.
        schema: of the rows, ``marker`` included.
        keys: may be empty for append and overwrite.
        create: make the table if it is absent.
        evolve: add new columns.
        write: the connector's own options.
        replaces: under --force, the run whose rows this load replaces.
        partition: overwrite only rows that equal one of the load's in these columns; NULL equals NULL.
        between: overwrite only these rows.
        marker: a boolean column of ``schema`` that the table does not get: rows for which it is true say that their
            key is deleted (merge, scd2).
        delete_missing: keys that the rows do not have are deleted, for scd2 at ``moment``.
        moment: the run's own time in the type of ``history.valid_from``.
        partitioning: a new table is made of parts, and parts that rows need are made.
        rescue: append only: rows that a constraint rejects do not fail the load.
    """

    table: str
    mode: Mode
    schema: pa.Schema
    keys: tuple[str, ...] = ()
    create: bool = True
    evolve: bool = True
    write: WriteOptions | None = None
    replaces: str = ""
    partition: tuple[str, ...] = ()
    between: Between | None = None
    marker: str = ""
    delete_missing: bool = False
    history: History | None = None
    moment: pa.Scalar[Any] | None = None
    rescue: Rescue | None = None
    partitioning: Partitioning | None = None

    @property
    def columns(self) -> pa.Schema:
        """What the table gets: the schema without the marker."""
        if not self.marker:
            return self.schema
        return self.schema.remove(self.schema.get_field_index(self.marker))

    @property
    def whole(self) -> bool:
        """Whether the load replaces all that is there."""
        return self.mode == "overwrite" and not self.partition and self.between is None
