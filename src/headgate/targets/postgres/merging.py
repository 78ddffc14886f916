"""From staged rows to the table, in the open transaction: append, upsert and refill, with exact counts."""

from __future__ import annotations

from collections.abc import Sequence

from headgate.core.contracts import Repeats
from headgate.core.errors import Code, FatalError
from headgate.io.merging import Counts
from headgate.io.postgres import Statements
from headgate.io.postgres.catalogue import Relation, enforces_unique
from headgate.sql.literals import quote_name
from headgate.sql.repeats import repeats
from headgate.targets.postgres.columns import Fit


def append(statements: Statements, target: Relation, stage: str, fits: Sequence[Fit]) -> Counts:
    """Insert every staged row."""
    return Counts(
        statements.execute(f"INSERT INTO {target.quoted} ({_names(fits)}) SELECT {_values(fits)} FROM {stage}")
    )


def refill(statements: Statements, target: Relation, stage: str, fits: Sequence[Fit]) -> Counts:
    """Replace every row; readers see the old ones until the commit, and writers wait."""
    statements.execute(f"LOCK TABLE {target.quoted} IN SHARE ROW EXCLUSIVE MODE")
    deleted = statements.execute(f"DELETE FROM {target.quoted}")
    return Counts(append(statements, target, stage, fits).inserted, 0, deleted)


def check_keys(statements: Statements, table: str, stage: str, keys: Sequence[str]) -> None:
    """Refuse NULL and repeated merge keys. Raises FatalError DUPLICATE_KEYS with how many there are."""
    missing = " OR ".join(f"{quote_name(key)} IS NULL" for key in keys)
    names = ", ".join(quote_name(key) for key in keys)
    nulls = int(statements.value(f"SELECT count(*) FROM {stage} WHERE {missing}"))
    groups = f"SELECT count(*) AS n FROM {stage} GROUP BY {names} HAVING count(*) > 1"
    repeated = int(statements.value(f"SELECT coalesce(sum(n), 0) FROM ({groups}) AS g"))
    if nulls or repeated:
        found = " and ".join(
            part
            for part in (
                f"{nulls} rows have a NULL in their merge key" if nulls else "",
                f"{repeated} rows share their merge key with another" if repeated else "",
            )
            if part
        )
        raise FatalError(
            Code.DUPLICATE_KEYS,
            f"{found} ({', '.join(keys)})",
            operation="publish",
            object=table,
            hint="add a deduplicate step with keys and order_by, or a not_null rule that quarantines",
        )


def upsert(statements: Statements, target: Relation, stage: str, fits: Sequence[Fit], keys: tuple[str, ...]) -> Counts:
    """Update rows whose key is there, insert the others. The keys were checked."""
    parts = target.kind == "p"  # of rows that it sends to a part, the server does not tell whether they were there
    if not parts and enforces_unique(statements, target, keys):
        return _on_conflict(statements, target, stage, fits, keys)
    return _update_then_insert(statements, target, stage, fits, keys)


def _on_conflict(
    statements: Statements, target: Relation, stage: str, fits: Sequence[Fit], keys: tuple[str, ...]
) -> Counts:
    names = ", ".join(quote_name(key) for key in keys)
    changes = ", ".join(
        f"{quote_name(each.name)} = EXCLUDED.{quote_name(each.name)}" for each in fits if each.name not in keys
    )
    # in the order of the key, neighbours in the index are touched together
    insert = (
        f"INSERT INTO {target.quoted} ({_names(fits)}) SELECT {_values(fits)} FROM {stage} ORDER BY {names}"
        f" ON CONFLICT ({names}) DO "
    )
    if not changes:
        inserted = statements.execute(insert + "NOTHING")
        return Counts(inserted, int(statements.value(f"SELECT count(*) FROM {stage}")) - inserted)
    # a new version of a row carries the lock of the one who updated it, a new row carries none
    inserted, updated = statements.query(
        f"WITH merged AS ({insert}UPDATE SET {changes} RETURNING xmax = 0 AS fresh)"
        " SELECT count(*) FILTER (WHERE fresh), count(*) FILTER (WHERE NOT fresh) FROM merged"
    )[0]
    return Counts(inserted, updated)


def _update_then_insert(
    statements: Statements, target: Relation, stage: str, fits: Sequence[Fit], keys: tuple[str, ...]
) -> Counts:
    """For tables without a unique index on the keys: nobody else may write until the commit."""
    statements.execute(f"LOCK TABLE {target.quoted} IN SHARE ROW EXCLUSIVE MODE")
    source = f"(SELECT {', '.join(f'{_value(each)} AS {quote_name(each.name)}' for each in fits)} FROM {stage}) AS s"
    match = " AND ".join(f"t.{quote_name(key)} = s.{quote_name(key)}" for key in keys)
    changes = ", ".join(
        f"{quote_name(each.name)} = s.{quote_name(each.name)}" for each in fits if each.name not in keys
    )
    if changes:
        statements.execute(f"UPDATE {target.quoted} AS t SET {changes} FROM {source} WHERE {match}")
    inserted = statements.execute(
        f"INSERT INTO {target.quoted} ({_names(fits)}) SELECT {_names(fits)} FROM {source}"
        f" WHERE NOT EXISTS (SELECT FROM {target.quoted} AS t WHERE {match})"
    )
    return Counts(inserted, int(statements.value(f"SELECT count(*) FROM {stage}")) - inserted)


def duplicates(statements: Statements, quoted: str, columns: Sequence[str]) -> Repeats:
    """Rows whose columns, none NULL, occur more than once, and all rows."""
    ((repeated, rows),) = statements.query(repeats(quoted, [quote_name(column) for column in columns]))
    return Repeats(int(repeated), int(rows))


def _names(fits: Sequence[Fit]) -> str:
    return ", ".join(quote_name(each.name) for each in fits)


def _values(fits: Sequence[Fit]) -> str:
    return ", ".join(_value(each) for each in fits)


def _value(each: Fit) -> str:
    name = quote_name(each.name)
    return name if each.final is None else f"{name}::{each.final}"


def value_of(each: Fit, *, named: bool) -> str:
    """A staged column in the table's own type."""
    return f"{_value(each)} AS {quote_name(each.name)}" if named and each.final else _value(each)
