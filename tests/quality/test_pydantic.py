"""Rows judged by a model of the user's."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.plan.projects import SmallProject, with_orders

from headgate.core.errors import FatalError

MODELS = """
from pydantic import BaseModel, Field, model_validator

class Order(BaseModel):
    id: int
    city: str
    total: int | None = Field(ge=0)

    @model_validator(mode="after")
    def _large(self):
        if self.city == "Ulm" and (self.total or 0) > 20:
            raise ValueError("too much for Ulm")
        return self

def function(rows):
    return True
"""


def defined(root: Path, model: str = "models:Order", **rule: str) -> SmallProject:
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
