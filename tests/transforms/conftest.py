"""A small executor of shapes on DuckDB, so that each kind can be compared with plain Python.

It says what shapes mean, not how the plan makes one pass of them; values and flags stand in one SELECT, as there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, assert_never

import duckdb
import pytest
from sqlglot import exp
from tests.plan.projects import SmallProject, with_orders

from headgate.core.engines import Column
from headgate.execute.pour import key_scan
from headgate.sql.shapes import Branch, Call, Deduplicate, Drop, Lookup, Note, Project, Reshape, Shape, StepInput

Row = tuple[Any, ...]
Table = tuple[Mapping[str, str], Sequence[Row]]
"""Column to SQL type, and rows."""


@dataclass
class Outcome:
    """What became of the rows."""

    columns: dict[str, str]
    rows: list[Row]
    held: list[tuple[Row, tuple[str, ...]]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    nulled: Counter[str] = field(default_factory=Counter)
    branches: dict[str, Outcome] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    """How many rows a step tells something of that is no error."""
    stale: bool = False
    """The table of the database has the rows as they were before the last shape."""


Kind = Any
Execute = Callable[..., Outcome]


def name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def create(connection: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str], rows: Sequence[Row]) -> None:
    declared = ", ".join(f"{name(column)} {type_}" for column, type_ in columns.items())
    connection.execute(f"CREATE OR REPLACE TABLE {name(table)} ({declared})")
    if rows:
        marks = "(" + ", ".join("?" * len(columns)) + ")"
        values = [_bound(value) for row in rows for value in row]
        connection.execute(f"INSERT INTO {name(table)} VALUES {', '.join([marks] * len(rows))}", values)


def _bound(value: Any) -> Any:
    """Decimals as text: DuckDB binds those of 38 decimal places as doubles."""
    return format(value, "f") if isinstance(value, Decimal) else value


def _apply(connection: duckdb.DuckDBPyConnection, shape: Shape, outcome: Outcome) -> None:
    if outcome.stale:
        create(connection, "input", outcome.columns, outcome.rows)
        outcome.stale = False
    _do(connection, shape, outcome)


def _do(connection: duckdb.DuckDBPyConnection, shape: Shape, outcome: Outcome) -> None:
    match shape:
        case Project():
            _project(connection, shape, outcome)
            return
        case Drop():
            _drop(connection, shape.keep, shape.reason, outcome)
            return
        case Deduplicate():
            window = exp.Window(
                this=exp.RowNumber(),
                partition_by=[exp.column(exp.to_identifier(key, quoted=True)) for key in shape.keys],
                order=exp.Order(expressions=[item.copy() for item in shape.order]),
            )
            first = exp.LTE(this=window, expression=exp.Literal.number(shape.count))
            _drop(connection, first, shape.reason, outcome)
            return
        case Branch():
            branch = Outcome(dict(outcome.columns), outcome.rows)
            for one in shape.shapes:
                _apply(connection, one, branch)
            outcome.branches[shape.name] = branch
            outcome.stale = True
        case Note():
            outcome.notes.append(shape.message)
        case Lookup():
            on = " AND ".join(f"l.{name(a)} = r.{name(b)}" for a, b in shape.on)
            kept = "" if shape.optional else f" WHERE EXISTS (SELECT 1 FROM {name(shape.relation)} r WHERE {on})"
            added = "".join(f", r.{name(old)} AS {name(new)}" for old, new in shape.columns)
            before = len(outcome.rows)
            query = f"SELECT l.*{added} FROM input l LEFT JOIN {name(shape.relation)} r ON {on}{kept}"
            _replace(connection, query, outcome)
            outcome.dropped["unmatched"] += before - len(outcome.rows)
        case Reshape():
            _replace(connection, shape.query.sql("duckdb"), outcome)
        case Call():
            raise AssertionError("Python steps are run by the interpreter")
        case _:
            assert_never(shape)


def _project(connection: duckdb.DuckDBPyConnection, shape: Project, outcome: Outcome) -> None:
    values = [f"{value.sql('duckdb')} AS {name(column)}" for column, value in shape.columns]
    flags = [f"({flag.condition.sql('duckdb')}) AS _f{index}" for index, flag in enumerate(shape.flags)]
    names = [column for column, _ in shape.columns]
    before = outcome.rows
    for relation, secret in shape.keys.items():
        key = key_scan(secret).batches
        assert key is not None
        connection.register(relation, key.read_all())
    found = connection.execute(f"SELECT {', '.join(values + flags)}, rowid FROM input")
    described = {column[0]: str(column[1]) for column in found.description or []}
    good = []
    for old, (*row, _) in zip(before, in_order(found.fetchall()), strict=True):
        hits = [flag for flag, hit in zip(shape.flags, row[len(values) :], strict=True) if hit]
        outcome.told.update(flag.message for flag in hits if flag.on_error == "count")
        hits = [flag for flag in hits if flag.on_error != "count"]
        wrong = tuple(flag.name for flag in hits if flag.on_error != "null")
        if wrong:
            outcome.held.append((old, wrong))
            continue
        nulled = {column for flag in hits for column in flag.columns}
        outcome.nulled.update(flag.name for flag in hits)
        good.append(tuple(None if column in nulled else value for column, value in zip(names, row, strict=False)))
    same = all(value == exp.column(column, quoted=True) for column, value in shape.columns)
    same = same and names == list(outcome.columns)
    outcome.stale = not same or len(good) < len(before) or bool(outcome.nulled)
    outcome.columns = {column: described[column] for column in names}
    outcome.rows = good


def _drop(connection: duckdb.DuckDBPyConnection, keep: exp.Expr, reason: str, outcome: Outcome) -> None:
    found = connection.execute(f"SELECT *, ({keep.sql('duckdb')}) IS TRUE AS _k, rowid FROM input").fetchall()
    outcome.rows = [row[:-2] for row in in_order(found) if row[-2]]
    outcome.dropped[reason] += len(found) - len(outcome.rows)
    outcome.stale = len(outcome.rows) < len(found)


def in_order(rows: list[Row]) -> list[Row]:
    """Rows whose last value is their number; cheaper here than an ORDER BY, which the engine plans for each example."""
    return sorted(rows, key=lambda row: row[-1])


def _replace(connection: duckdb.DuckDBPyConnection, query: str, outcome: Outcome) -> None:
    found = connection.execute(query)
    outcome.columns = {column[0]: str(column[1]) for column in found.description or []}
    outcome.rows, outcome.stale = found.fetchall(), True


def step_input(columns: Mapping[str, str], **others: Any) -> StepInput:
    """The columns before a step; ``relations`` are mappings of column to type."""
    relations = {key: [Column(*item) for item in found.items()] for key, found in others.pop("relations", {}).items()}
    return StepInput(tuple(Column(*item) for item in columns.items()), relations, **others)


@pytest.fixture(scope="session")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config={"threads": "1"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


@pytest.fixture(scope="session")
def execute(database: duckdb.DuckDBPyConnection) -> Execute:
    """``execute(module, options, columns, rows, relations={name: (columns, rows)}, **StepInput)`` runs one step."""

    def run(
        module: Kind,
        options: Mapping[str, Any],
        columns: Mapping[str, str],
        rows: Sequence[Row],
        relations: Mapping[str, Table] | None = None,
        **others: Any,
    ) -> Outcome:
        kind = module.__name__.rpartition(".")[2]
        create(database, "input", columns, rows)
        others_columns = {}
        for relation, (its_columns, its_rows) in (relations or {}).items():
            create(database, relation, its_columns, its_rows)
            others_columns[relation] = its_columns
        step = step_input(columns, relations=others_columns, **others)
        read = database.execute("SELECT * FROM input").fetchall()
        outcome = Outcome(dict(columns), read)
        chosen = module.Options(type=kind, **options)
        if hasattr(module, "prepared"):
            first, chosen = module.prepared(chosen, step)
            for shape in first:
                _apply(database, shape, outcome)
            step = step_input(outcome.columns, relations=others_columns, **others)
        for shape in module.shapes(chosen, step):
            _apply(database, shape, outcome)
        return outcome

    return run


@pytest.fixture(scope="session")
def given() -> Callable[..., StepInput]:
    """Builds the input of a step."""
    return step_input


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for functions of a user's own."""
    return tmp_path_factory.mktemp("functions")


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    """A whole project, to run steps as users do."""
    return with_orders(tmp_path)
