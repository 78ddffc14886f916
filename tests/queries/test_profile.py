"""Profiles say what columns hold, in one scan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plan.projects import SmallProject, with_orders

from headgate.core.errors import Code, FatalError
from headgate.execute.workspace import Workspace
from headgate.queries.profile import BINS, Profile, histogram, profile
from headgate.queries.profile_page import page


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    made = with_orders(tmp_path).define(target={"table": "out", "mode": "overwrite"})
    made.run()
    return made


def profiled(project: SmallProject, name: str, **more: Any) -> Profile:
    with Workspace.load(project.root) as workspace:
        return profile(workspace, name, **more)


def test_a_pipeline_is_profiled_by_what_it_published(project: SmallProject) -> None:
    found = profiled(project, "small").as_dict()
    assert found["rows"] == 5
    by_name = {column["name"]: column for column in found["columns"]}
    total = by_name["total"]
    assert (total["nulls"], total["null_percentage"], total["min"], total["max"]) == (1, 20.0, -5, 30)
    assert (total["mean"], total["distinct"], total["zeros"]) == (13.75, 4, 0)
    assert sum(total["histogram"]) == pytest.approx(1, abs=1e-4)
    city = by_name["city"]
    assert (city["distinct"], city["shortest"], city["longest"], city["empty"]) == (3, 3, 4, 0)
    assert set(city["top"]) == {"Bonn", "Ulm", "Jena"}


def test_a_table_of_a_connection_and_an_empty_one(project: SmallProject) -> None:
    project.table("none", {"a": "INTEGER", "b": "TEXT", "c": "TIMESTAMP"})
    found = profiled(project, "none", connection="shop").as_dict()
    assert [(c["null_percentage"], c["distinct"], c["histogram"]) for c in found["columns"]] == [(0.0, 0, [])] * 3


def test_a_uuid_is_profiled_as_a_text_and_of_nested_values_only_nulls_are_counted(project: SmallProject) -> None:
    with duckdb.connect(str(project.root / "odd.duckdb")) as made:
        made.execute("CREATE TABLE odd AS SELECT 'b0c9f2a0-0000-4000-8000-000000000001'::UUID AS id, [1, 2] AS parts")
    project.connections["odd"] = {"type": "duckdb", "path": "odd.duckdb"}
    project.define()
    found = profiled(project, "odd", connection="odd")
    id_, parts = found.as_dict()["columns"]
    assert (id_["distinct"], id_["shortest"], id_["longest"]) == (1, 36, 36)
    assert id_["top"] == ["b0c9f2a0-0000-4000-8000-000000000001"]
    assert (parts["nulls"], parts["distinct"], parts["distinct_percentage"]) == (0, None, None)
    assert "<td class=n></td>" in page(found)


def test_an_unknown_name_is_told_with_the_nearest(project: SmallProject) -> None:
    with pytest.raises(FatalError) as refusal:
        profiled(project, "smal")
    assert refusal.value.code is Code.NOT_FOUND
    assert "small" in str(refusal.value.hint)


def test_a_page_shows_data_as_text(project: SmallProject) -> None:
    project.table("x", {'<script>alert("a")</script>': "TEXT"}, [("<img src=x onerror=alert(1)>",)])
    made = page(profiled(project, "x", connection="shop"))
    assert "<script" not in made
    assert "<img" not in made
    assert "&lt;img src=x" in made
    assert "http" not in made.replace("http-equiv", "")


@settings(max_examples=100)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=65))
def test_a_histogram_accounts_for_every_row(values: list[float]) -> None:
    shares = histogram(sorted(values))
    assert len(shares) in (1, BINS)
    assert sum(shares) == pytest.approx(1, abs=1e-4)
    assert all(share >= 0 for share in shares)
