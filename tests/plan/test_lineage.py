"""A plan names the columns of the sources that each of its columns comes from."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plan.projects import SmallProject

STEPS: list[dict[str, Any]] = [
    {"type": "rename", "columns": {"total": "amount"}},
    {"type": "calculate", "columns": {"x": "amount + id", "y": "x * 2"}},
    {"type": "join", "connection": "shop", "table": "towns", "on": ["city"]},
]


@pytest.fixture(autouse=True)
def _towns(project: SmallProject) -> None:
    project.table("towns", {"city": "TEXT", "size": "INTEGER"}, [("Bonn", 1), ("Ulm", 2)])


def lineage(project: SmallProject, *steps: dict[str, Any]) -> dict[str, set[str]]:
    """Origins by column; the other side of a join by its table's name."""
    found = project.define(steps=steps).plan().lineage
    return {name: {_plain(item) for item in origins} for name, origins in found.items()}


def _plain(item: str) -> str:
    relation, _, column = item.partition(".")
    return f"towns.{column}" if relation.startswith("join_towns_") else item


def test_names_are_followed_through_renaming_calculating_and_joining(project: SmallProject) -> None:
    assert lineage(project, *STEPS) == {
        "id": {"source.id"},
        "city": {"source.city"},
        "amount": {"source.total"},
        "note": {"source.note"},
        "x": {"source.total", "source.id"},
        "y": {"source.total", "source.id"},
        "size": {"towns.size"},
    }


def test_an_aggregate_comes_from_what_it_groups_and_computes(project: SmallProject) -> None:
    metrics = {"n": "COUNT(*)", "s": "SUM(x) + MAX(size)"}
    assert lineage(project, *STEPS, {"type": "aggregate", "group_by": ["city"], "metrics": metrics}) == {
        "city": {"source.city"},
        "n": set(),
        "s": {"source.total", "source.id", "towns.size"},
    }


def test_rows_that_a_join_multiplies_keep_their_origins(project: SmallProject) -> None:
    many = {"type": "join", "connection": "shop", "table": "towns", "on": ["city"], "many": True}
    found = lineage(project, many)
    assert (found["size"], found["total"]) == ({"towns.size"}, {"source.total"})


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT ID + 1 AS a, UPPER(City) AS b FROM input", {"a": {"source.id"}, "b": {"source.city"}}),
        ("SELECT id AS a, a + total AS b FROM input", {"a": {"source.id"}, "b": {"source.id", "source.total"}}),
        (
            "SELECT l.id AS a, r.total AS b FROM input AS l JOIN input AS r ON l.id = r.id",
            {"a": {"source.id"}, "b": {"source.total"}},
        ),
        ("SELECT 1 AS a, id FROM input", {"a": set(), "id": {"source.id"}}),
    ],
)
def test_one_select_is_read_column_by_column(project: SmallProject, query: str, expected: dict[str, set[str]]) -> None:
    assert lineage(project, {"type": "sql", "query": query}) == expected


def test_a_star_hands_columns_on(project: SmallProject) -> None:
    found = lineage(project, STEPS[0], {"type": "sql", "query": "SELECT * FROM input"})
    assert found == {name: {f"source.{was}"} for name, was in zip(
        ("id", "city", "amount", "note"), ("id", "city", "total", "note"), strict=True
    )}  # fmt: skip


@pytest.mark.parametrize(
    "query",
    [
        "WITH a AS (SELECT id AS i, total AS t FROM input) SELECT i AS x FROM a",
        "SELECT id AS x FROM input UNION ALL SELECT total FROM input",
        "SELECT (SELECT MAX(total) FROM input) AS x FROM input",
    ],
    ids=["with", "union", "subquery"],
)
def test_where_the_text_does_not_tell_it_is_everything_that_is_read(project: SmallProject, query: str) -> None:
    everything = {"source.id", "source.city", "source.total", "source.note"}
    assert lineage(project, {"type": "sql", "query": query}) == {"x": everything}
