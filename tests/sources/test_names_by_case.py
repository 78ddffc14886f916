"""Two columns whose names differ in case only: which of them a name means cannot be told, so such rows are refused."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.plan.projects import FILES, SmallProject, with_orders

from headgate.core.errors import HeadgateError


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    project = with_orders(tmp_path)
    (project.root / "inbox").mkdir(exist_ok=True)
    return project


@pytest.mark.parametrize(
    "names", [["k", "K"], ["a", "ID", "x_1", "id"], ["id_1", "id", "Id"], ["Ä", "ä"]], ids=lambda names: ",".join(names)
)
def test_parquet_files_with_such_names_are_refused(project: SmallProject, names: list[str]) -> None:
    nested = pa.array([{"k": 1, "K": 2}])
    table = pa.table([*([number] for number, _ in enumerate(names)), nested], names=[*names, "nested"])
    pq.write_table(table, project.root / "inbox" / "rows.parquet")
    with pytest.raises(HeadgateError, match="differ in case only"):
        project.define(source={**FILES, "path": "*.parquet"}).plan()


def test_so_are_two_files_that_do_not_agree(project: SmallProject) -> None:
    for number, name in enumerate(["ID", "id"]):
        pq.write_table(pa.table({name: [number]}), project.root / "inbox" / f"{number}.parquet")
    with pytest.raises(HeadgateError, match="differ in case only") as refused:
        project.define(source={**FILES, "path": "*.parquet"}).plan()
    assert refused.value.problems[0].path == "pipelines.small.source"


def test_and_files_that_are_joined(project: SmallProject) -> None:
    pq.write_table(pa.table({"id": [1], "n": [1], "N": [2]}), project.root / "inbox" / "other.parquet")
    with pytest.raises(HeadgateError, match="differ in case only"):
        project.define(steps=[{"type": "join", "path": "inbox/other.parquet", "on": ["id"], "columns": ["N"]}]).plan()


def test_names_that_only_look_alike_are_read(project: SmallProject) -> None:
    table = pa.table({"k": [1], "k_1": [2], "nested": pa.array([{"k": 1, "K_1": 2}])})
    pq.write_table(table, project.root / "inbox" / "rows.parquet")
    project.define(source={**FILES, "path": "*.parquet"}, steps=[{"type": "map", "columns": {"a": "k", "b": "k_1"}}])
    project.run()
    assert project.out() == [(1, 2)]
