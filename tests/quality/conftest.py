"""Rules judged on real rows by DuckDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlglot import exp

from headgate.core.engines import Column
from headgate.core.values import column_values
from headgate.sql.shapes import ALIVE, Judgement, Measure, Measured, RowRule, SetRule, StepInput


def step_input(columns: Mapping[str, str]) -> StepInput:
    return StepInput(tuple(Column(*item) for item in columns.items()))


NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def given() -> Callable[[Mapping[str, str]], StepInput]:
    """Builds the input of a rule."""
    return step_input


class Judge:
    """``judge(module, options, columns, rows)``.

    Row rules give for each row whether it passes; set rules give (failing rows, observed text). ``alive`` says which
    rows are still good; the others are not judged, and their verdict is None. ``others``: tables by name.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def __call__(
        self,
        module: Any,
        options: Mapping[str, Any],
        columns: Mapping[str, str],
        rows: Sequence[tuple[Any, ...]],
        alive: Sequence[bool] | None = None,
        others: Mapping[str, tuple[Mapping[str, str], Sequence[tuple[Any, ...]]]] | None = None,
    ) -> Any:
        chosen = module.Options(type=module.__name__.rpartition(".")[2], **options)
        self._fill("input", {**columns, "_ok": "BOOLEAN"}, [
            (*row, ok) for row, ok in zip(rows, alive or [True] * len(rows), strict=True)
        ])  # fmt: skip
        relations = {}
        for side in module.sides(chosen) if others and hasattr(module, "sides") else ():
            its_columns, its_rows = (others or {})[side.table]
            self._fill(side.name, its_columns, its_rows)
            relations[side.name] = [Column(*item) for item in its_columns.items()]
        rule = module.shapes(chosen, StepInput(tuple(Column(*item) for item in columns.items()), relations))
        if isinstance(rule, SetRule):
            assert set(rule.columns) <= set(columns)
            return self._connection.execute(rule.query.sql("duckdb")).fetchone()
        if isinstance(rule, Measure):
            judged = self.judged(module, chosen, columns, rows)
            return judged.failed, judged.observed
        assert isinstance(rule, RowRule)
        holds = rule.holds.transform(
            lambda node: exp.column("_ok") if isinstance(node, exp.Column) and node.name == ALIVE else node
        )
        query = f"SELECT rowid, CASE WHEN _ok THEN ({holds.sql('duckdb')}) IS NOT FALSE END FROM input"
        return [verdict for _, verdict in sorted(self._connection.execute(query).fetchall(), key=lambda row: row[0])]

    def judged(
        self,
        module: Any,
        options: Any,
        columns: Mapping[str, str],
        rows: Sequence[tuple[Any, ...]],
        past: Sequence[Mapping[str, Any]] = (),
    ) -> Judgement:
        """What a rule that is judged from aggregates finds."""
        self._fill("input", columns, rows)
        values = module.values(options, step_input(columns), past)
        selected = ", ".join(["COUNT(*)", *(value.sql("duckdb") for value in values)])
        _, *found = (
            column_values(c)[0] for c in self._connection.sql(f"SELECT {selected} FROM input").to_arrow_table().columns
        )
        nulls = {name: sum(row[place] is None for row in rows) for place, name in enumerate(columns)}
        judgement: Judgement = module.verdict(options, Measured(len(rows), nulls, tuple(found), NOW, past))
        return judgement

    def _fill(self, table: str, columns: Mapping[str, str], rows: Sequence[tuple[Any, ...]]) -> None:
        declared = ", ".join(f'"{name}" {type_}' for name, type_ in columns.items())
        self._connection.execute(f'CREATE OR REPLACE TABLE "{table}" ({declared})')
        if rows:
            marks = f"({', '.join(f'CAST(? AS {type_})' for type_ in columns.values())})"
            values = [value for row in rows for value in row]
            self._connection.execute(f'INSERT INTO "{table}" VALUES {", ".join([marks] * len(rows))}', values)


@pytest.fixture(scope="session")
def judge() -> Iterator[Judge]:
    """Judges rows by rules in DuckDB."""
    with duckdb.connect(":memory:", config={"threads": "1"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield Judge(connection)


BODY = """
def holds(rows):
    return [i is None or i >= 0 for i in rows["i"].to_pylist()]

def none_negative(rows):
    return all(holds(rows))

def unknown(rows):
    return [None if i is None else i >= 0 for i in rows["i"].to_pylist()]
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a module of functions; here, as the long suite plays their test from its own module."""
    folder = tmp_path_factory.mktemp("functions")
    (folder / "mine.py").write_text(BODY)
    return folder
