"""The flights example: what it publishes is what its files say, whatever is delivered when."""

from __future__ import annotations

import argparse
import csv
import importlib.util
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import pytest

from headgate.core.runs import Receipt, Status
from headgate.demo.landing import Shipped, land_flights, land_project, land_reference, land_weather
from headgate.execute.context import RunRequest
from headgate.execute.ending import RunFailed
from headgate.execute.runner import run_pipeline
from headgate.execute.workspace import Workspace

PREPARE = Path(__file__).resolve().parents[2] / "examples" / "flights" / "prepare.py"


@pytest.fixture(scope="module")
def prepare() -> ModuleType:
    specification = importlib.util.spec_from_file_location("flights_prepare", PREPARE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "expected"), [("1-3", [1, 2, 3]), ("12", [12]), ("2,1,2", [1, 2]), ("1-2,11-12", [1, 2, 11, 12])]
)
def test_months_are_ranges_and_lists(prepare: ModuleType, text: str, expected: list[int]) -> None:
    assert prepare.months(text) == expected


@pytest.mark.parametrize("text", ["", "0", "13", "may", "3-1", "1-", "-2"])
def test_what_is_no_month_is_refused(prepare: ModuleType, text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a list of months"):
        prepare.months(text)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The example's project, with January's reference tables and weather landed."""
    land_project(tmp_path)
    land_reference(Shipped(), tmp_path / "data" / "landing")
    land_weather(Shipped(), tmp_path / "data" / "landing")
    return tmp_path


def run(project: Path) -> Receipt:
    with Workspace.load(project, environment={}) as workspace:
        try:
            return run_pipeline(workspace, workspace.project.pipeline("flights"), RunRequest())
        except RunFailed as failed:
            return failed.receipt


def table(project: Path, name: str) -> list[dict[str, Any]]:
    """The rows of a lake table as they are published now."""
    with Workspace.load(project, environment={}) as workspace:
        scan = workspace.store(workspace.lake()).reader(name)
        try:
            assert scan.files is not None
            return [row for path in scan.files.paths for row in pq.ParquetFile(path).read().to_pylist()]
        finally:
            scan.close()


def expected_days(*files: Path) -> dict[tuple[str, str, date], tuple[int, int, int]]:
    """Flights, late flights and worst delay by carrier, origin and day, recomputed from the files alone."""
    days: dict[tuple[str, str, date], tuple[int, int, int]] = {}
    for path in files:
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                if "NA" in (row["dep_time"], row["arr_delay"], row["air_time"]):
                    continue
                if round(int(row["distance"]) * 60 / int(row["air_time"]), 1) > 580:
                    continue
                day = date(int(row["year"]), int(row["month"]), int(row["day"]))
                key, delay = (row["carrier"], row["origin"], day), int(row["arr_delay"])
                flights, late, worst = days.get(key, (0, 0, delay))
                days[key] = (flights + 1, late + (delay >= 15), max(worst, delay))
    return days


def published_days(project: Path) -> dict[tuple[str, str, date], tuple[int, int, int]]:
    rows = table(project, "daily_delays")
    days = {(r["carrier"], r["origin"], r["day"]): (r["flights"], r["late_flights"], r["worst_delay"]) for r in rows}
    assert len(days) == len(rows)
    return days


def test_january_in_two_deliveries_then_one_twice(project: Path) -> None:
    landing = project / "data" / "landing"
    first = land_flights(Shipped(), landing, date(2013, 1, 1), date(2013, 1, 20))

    receipt = run(project)
    assert receipt.status is Status.SUCCESS
    assert receipt.rows.imbalance == 0
    assert published_days(project) == expected_days(first)
    assert run(project).status is Status.SKIPPED

    second = land_flights(Shipped(), landing, date(2013, 1, 21), date(2013, 1, 31))
    receipt = run(project)
    assert (receipt.status, receipt.rows.extracted) == (Status.SUCCESS, 9690)
    assert published_days(project) == expected_days(first, second)
    clean = table(project, "flights_clean")
    assert len(clean) == 26_397
    assert len({(row["day"], row["carrier"], row["flight"], row["origin"]) for row in clean}) == 26_397

    again = land_flights(Shipped(), landing, date(2013, 1, 1), date(2013, 1, 20), name="2013-01-again")
    receipt = run(project)
    assert receipt.status is Status.REFUSED
    assert receipt.error is not None
    assert "once" in receipt.error["message"]
    assert published_days(project) == expected_days(first, second)
    assert len(table(project, "flights_clean")) == 26_397

    again.unlink()
    assert run(project).status is Status.SKIPPED
