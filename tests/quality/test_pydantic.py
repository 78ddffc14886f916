"""Rows judged by a model of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.plan.projects import SmallProject, with_orders

from headgate.core.errors import FatalError
from headgate.quality import pydantic

MODELS = """
from pydantic import AliasChoices, AliasPath, BaseModel, Field, model_validator

class Order(BaseModel):
    id: int
    city: str
    total: int | None = Field(ge=0)

    @model_validator(mode="after")
    def _large(self):
        if self.city == "Ulm" and (self.total or 0) > 20:
            raise ValueError("too much for Ulm")
        return self

class Longer(Order):
    remark: str
    hint: str | None = None

class Renamed(BaseModel):
    number: int = Field(validation_alias=AliasChoices("ID", AliasPath("id", 0), "key"))
    town: str = Field(alias="city")
    amount: int | None = Field(validation_alias="total")

class Wrong(BaseModel):
    town: str = Field(alias="City")

class Filled(Longer):
    @model_validator(mode="before")
    @classmethod
    def _noted(cls, row):
        return {"remark": "", **row}

def function(rows):
    return True
"""


def defined(root: Path, model: str = "models:Order", **rule: Any) -> SmallProject:
    (root / "models.py").write_text(MODELS)
    return with_orders(root).define(rules=[{"type": "pydantic", "model": model, "name": "valid", **rule}])


def test_rows_that_the_model_does_not_take_are_told_and_none_is_for_the_model_to_take(tmp_path: Path) -> None:
    (check,) = defined(tmp_path, on_fail="warn").run().checks
    assert (check.failed_rows, check.judged, check.passed) == (2, 5, False)
    assert sorted(row["id"] for row in check.sample) == [3, 5]


def test_a_required_value_is_not_null(tmp_path: Path) -> None:
    project = defined(tmp_path, on_fail="warn").table(
        "orders", {"id": "INTEGER", "city": "TEXT", "total": "INTEGER"}, [(1, None, 1), (2, "Ulm", None)]
    )
    assert project.run().checks[0].failed_rows == 1


ORDERS = st.tuples(
    st.one_of(st.none(), st.integers(-2, 2)),
    st.sampled_from([None, "Ulm", "", "ä"]),
    st.one_of(st.none(), st.integers(-2, 25)),
)


@for_all(st.lists(ORDERS, max_size=6))
def test_rows_are_valid_as_the_model_says(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    root = tmp_path_factory.getbasetemp()
    (root / "models.py").write_text(MODELS)
    names = ("id", "city", "total")
    table = pa.table({name: [row[place] for row in rows] for place, name in enumerate(names)})
    expected = [
        id_ is not None and city is not None and (total is None or (total >= 0 and not (city == "Ulm" and total > 20)))
        for id_, city, total in rows
    ]
    assert pydantic.judge("models:Order", root)(table) == expected


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("models:function", "it is no pydantic model"),
        ("models:Absent", "has no function Absent"),
        ("absent:Order", "there is no absent.py"),
    ],
)
def test_what_is_no_model_is_refused_before_anything_is_read(tmp_path: Path, model: str, message: str) -> None:
    with pytest.raises(FatalError, match=message):
        defined(tmp_path, model).plan()


def test_rows_that_a_model_refuses_are_not_held_back_and_the_line_of_the_rule_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        FatalError, match=r"headgate.yml:.*Python judges rows after the pass, and cannot hold them back"
    ):
        defined(tmp_path, "models:Order", on_fail="quarantine").plan()


@pytest.mark.parametrize(
    ("model", "columns", "message"),
    [
        ("Longer", None, 'requires "remark", which it is not given; known: '),
        ("Wrong", None, 'requires "City", which it is not given; did you mean "city"?'),
        ("Order", ["id", "total"], 'requires "city", which it is not given'),
    ],
)
def test_a_model_that_requires_what_it_is_not_given_is_refused_by_the_plan(
    tmp_path: Path, model: str, columns: Any, message: str
) -> None:
    with pytest.raises(FatalError) as refusal:
        defined(tmp_path, f"models:{model}", **({"columns": columns} if columns else {})).plan()
    (problem,) = refusal.value.problems
    assert message in problem.message
    assert problem.path == "pipelines.small.quality_rules.0"


@pytest.mark.parametrize("model", ["Order", "Renamed", "Filled"])
def test_fields_may_have_other_names_defaults_or_be_made_by_the_model(tmp_path: Path, model: str) -> None:
    defined(tmp_path, f"models:{model}").plan()
