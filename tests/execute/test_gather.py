"""What a plan reads: the source first, the other side of each join once, with types as the plan sees them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plan.projects import FILES, NAME, TABLE, SmallProject

from headgate.core.engines import Column
from headgate.core.errors import Code, HeadgateError
from headgate.core.models import ReadOptions
from headgate.execute.gather import Relation, described, relations_of
from headgate.execute.workspace import Workspace
from headgate.plan.stages import Scan

JOIN: dict[str, Any] = {"type": "join", "connection": "shop", "table": "towns", "on": ["city"]}


@pytest.fixture(autouse=True)
def _towns(project: SmallProject) -> None:
    project.table("towns", {"city": "TEXT", "size": "INTEGER", "zip": "TEXT"}, [("Bonn", 1, "53"), ("Ulm", 2, "89")])


def relations(project: SmallProject, *steps: dict[str, Any], **others: Any) -> list[Relation]:
    project.define(steps=steps, **others)
    with Workspace.load(project.root) as workspace:
        return relations_of(workspace, workspace.project.pipeline(NAME))


def scans(project: SmallProject) -> list[Scan]:
    return [stage for stage in project.plan().stages if isinstance(stage, Scan)]


def test_the_source_comes_first_under_its_own_name(project: SmallProject) -> None:
    (only,) = relations(project)
    assert (only.name, only.source, only.side) == ("source", 0, None)
    (named,) = relations(project, source={**TABLE, "name": "bought"})
    assert named.name == "bought"


def test_equal_sides_are_read_once_and_others_apart(project: SmallProject) -> None:
    again = {**JOIN, "suffix": "_again"}
    assert len(relations(project, JOIN, again)) == 2
    assert len(relations(project, JOIN, {**again, "columns": ["zip"]})) == 3
    assert len(relations(project, JOIN, {**again, "many": True})) == 3


def test_a_side_has_its_keys_unique_unless_rows_may_multiply(project: SmallProject) -> None:
    assert relations(project, JOIN)[1].unique == ("city",)
    assert relations(project, {**JOIN, "many": True})[1].unique == ()


def test_of_a_side_only_what_is_needed_is_read(project: SmallProject) -> None:
    project.define(steps=[{**JOIN, "columns": ["zip"]}])
    main, side = scans(project)
    assert side.columns == (Column("city", "VARCHAR"), Column("zip", "VARCHAR"))
    assert (main.repeatable, side.repeatable, side.object, side.connection) == (False, True, "towns", "shop")


def test_files_beside_a_join_have_the_types_that_they_truly_have(project: SmallProject) -> None:
    project.file("sizes.csv", "city,size\nBonn,300\nUlm,120\n")
    side: dict[str, Any] = {"type": "join", "path": "inbox/sizes.csv", "on": ["city"]}
    project.define(steps=[side])
    assert scans(project)[1].columns == (Column("city", "VARCHAR"), Column("size", "BIGINT"))
    project.run()
    assert project.out("SELECT id, size FROM out") == [(1, 300), (2, 300), (3, 120), (4, 120), (5, None)]


def test_a_side_that_is_not_there_is_told_by_name(project: SmallProject) -> None:
    project.define(steps=[{**JOIN, "table": "tons"}])
    with pytest.raises(HeadgateError, match="tons") as caught:
        project.plan()
    assert caught.value.code in (Code.SOURCE_NOT_FOUND, Code.TABLE_NOT_FOUND)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (TABLE, "orders"),
        ({"connection": "shop", "query": "SELECT id,\n  city\nFROM orders"}, "SELECT id, city FROM orders"),
    ],
)
def test_people_see_what_is_read_in_a_word(project: SmallProject, source: dict[str, Any], shown: str) -> None:
    project.define(source=source)
    assert scans(project)[0].object == shown


def test_files_are_shown_by_their_path(project: SmallProject) -> None:
    project.file("a.csv", "id\n1\n").define(source=FILES)
    assert scans(project)[0].object == "*.csv"
    assert described(ReadOptions(connection="shop")) == "shop"


def test_a_parameter_without_a_value_is_what_a_syntax_error_is_about(project: SmallProject) -> None:
    project.define(source={"connection": "shop", "query": "SELECT * FROM towns WHERE size > :least AND zip <> ':no'"})
    with pytest.raises(HeadgateError) as refusal:
        project.plan()
    assert refusal.value.hint == "parameters has no value for :least"
