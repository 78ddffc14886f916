"""Rules judged on real rows by DuckDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest
from sqlglot import exp

from headgate.core.contracts import Column
from headgate.sql.shapes import ALIVE, Measure, Measured, RowRule, SetRule, StepInput


def step_input(columns: Mapping[str, str]) -> StepInput:
    return StepInput(tuple(Column(*item) for item in columns.items()))


NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)


def measure(
    connection: Any,
    module: Any,
    options: Any,
    columns: Mapping[str, str],
    rows: Sequence[tuple[Any, ...]],
    past: Sequence[Mapping[str, Any]] = (),
) -> tuple[int, str]:
    """(failing rows, observed text) of a rule that is judged from aggregates."""
    values = module.values(options, step_input(columns), past)
    selected = ", ".join(["COUNT(*)", *(value.sql("duckdb") for value in values)])
    _, *found = connection.execute(f"SELECT {selected} FROM input").fetchone()
    nulls = {name: sum(row[place] is None for row in rows) for place, name in enumerate(columns)}
    judged = module.verdict(options, Measured(len(rows), nulls, tuple(found), NOW, past))
    return judged.failed, judged.observed


@pytest.fixture(scope="session")
def given() -> Callable[[Mapping[str, str]], StepInput]:
    """Builds the input of a rule."""
    return step_input


@pytest.fixture(scope="session")
def judge() -> Iterator[Callable[..., Any]]:
    """``judge(module, options, columns, rows)``.

    Row rules give for each row whether it passes; set rules give (failing rows, observed text). ``alive`` says which
    rows are still good; the others are not judged, and their verdict is None.
    """
    with duckdb.connect(":memory:", config={"threads": "2"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")

        def run(
            module: Any,
            options: Mapping[str, Any],
            columns: Mapping[str, str],
            rows: Sequence[tuple[Any, ...]],
            alive: Sequence[bool] | None = None,
        ) -> Any:
            declared = "".join(f'"{name}" {type_}, ' for name, type_ in columns.items())
            connection.execute(f"CREATE OR REPLACE TABLE input ({declared} _ok BOOLEAN)")
            marked = [(*row, ok) for row, ok in zip(rows, alive or [True] * len(rows), strict=True)]
            if marked:
                marks = ", ".join("?" * (len(columns) + 1))
                connection.executemany(f"INSERT INTO input VALUES ({marks})", marked)
            kind = module.__name__.rpartition(".")[2]
            rule = module.shapes(module.Options(type=kind, **options), step_input(columns))
            if isinstance(rule, SetRule):
                assert set(rule.columns) <= set(columns)
                return connection.execute(rule.query.sql("duckdb")).fetchone()
            if isinstance(rule, Measure):
                return measure(connection, module, module.Options(type=kind, **options), columns, rows)
            assert isinstance(rule, RowRule)
            holds = rule.holds.transform(
                lambda node: exp.column("_ok") if isinstance(node, exp.Column) and node.name == ALIVE else node
            )
            query = f"SELECT CASE WHEN _ok THEN ({holds.sql('duckdb')}) IS NOT FALSE END FROM input ORDER BY rowid"
            return [verdict for (verdict,) in connection.execute(query).fetchall()]

        yield run
