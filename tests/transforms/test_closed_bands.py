"""Bands of ``categorizations`` are written with both ends inside."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.plan.projects import SmallProject


def told(project: SmallProject, bands: dict[str, Any]) -> dict[Any, str]:
    rules = {"categorizations": {"income": bands}}
    project.define(business_rules=rules, target={"table": "out", "mode": "overwrite"}).run()
    return dict(project.out())


@pytest.fixture
def incomes(project: SmallProject) -> SmallProject:
    return project.table("orders", {"income": "REAL"}, [(n,) for n in (-1, 0, 30000, 30000.5, 30001, 80000, 80000.5)])


def test_the_last_value_of_the_last_band_lies_inside(incomes: SmallProject) -> None:
    found = told(incomes, {"Low": {"min": 0, "max": 30000}, "Medium": {"min": 30001, "max": 80000}})
    other = dict.fromkeys((-1, 80000.5), "Other")
    assert found == {0: "Low", 30000: "Low", 30000.5: "Low", 30001: "Medium", 80000: "Medium", **other}


def test_a_band_without_a_neighbour_holds_its_ends(incomes: SmallProject) -> None:
    assert told(incomes, {"Low": {"max": 30000}})[30000] == "Low"
    found = told(incomes, {"Low": {"max": 0}, "High": {"min": 80000}})
    assert (found[0], found[30000], found[80000]) == ("Low", "Other", "High")


def test_days_likewise(project: SmallProject) -> None:
    project.table("orders", {"income": "DATE"}, [("2024-01-31",), ("2024-02-01",)])
    found = told(project, {"January": {"min": "2024-01-01", "max": "2024-01-31"}})
    assert sorted(found.values()) == ["January", "Other"]


@pytest.mark.parametrize(
    ("end", "start", "meet"),
    [
        ("10", "11", True),
        ("10", "12", False),
        ("9.99", "10", True),
        ("0.5", "1", False),  # written as two bands with a gap
        ("9.5", "10.0", False),
        ("100", "100.01", True),
        ("1.000000000000000001", "1.000000000000000002", True),
        ("1.000000000000000001", "2", False),
    ],
)
def test_bands_meet_where_no_number_of_as_many_digits_lies_between(
    project: SmallProject, end: str, start: str, meet: bool
) -> None:
    between = (Decimal(end) + Decimal(start)) / 2
    project.table("orders", {"income": "TEXT"}, [(one,) for one in (end, str(between), start)])
    bands = {"low": {"min": 0, "max": "END"}, "high": {"min": "START"}}
    types = {"type_conversions": {"income": "DECIMAL(38, 20)"}}
    project.define(cleaning_rules=types, business_rules={"categorizations": {"income": bands}})
    file = project.root / "headgate.yml"
    file.write_text(file.read_text().replace("END", end).replace("START", start))
    project.run()
    found = project.out("SELECT income_category FROM out ORDER BY CAST(income AS REAL)")
    assert sorted(found) == sorted([("low",), ("low" if meet else "Other",), ("high",)])


def test_a_band_of_one_value_holds_it(incomes: SmallProject) -> None:
    assert told(incomes, {"one": {"min": 30000, "max": 30000}})[30000] == "one"
