"""The demo runs from what ships with the package, and says what happened."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "flights"


def test_the_demo_runs_end_to_end(headgate: Call, tmp_path: Path) -> None:
    answer = headgate("demo", "--dir", str(tmp_path / "demo"), "-o", "json")
    assert answer.status == 0, answer.err
    first, again, more, refused = answer.json["runs"]
    assert (first["status"], again["status"], more["status"], refused["status"]) == (
        "success", "skipped", "success", "refused",
    )  # fmt: skip
    assert first["rows"]["extracted"] + more["rows"]["extracted"] == 27_004
    assert [target["table"] for target in first["targets"]] == ["flights_clean", "daily_delays"]
    assert first["rows"]["quarantined"] > 0
    assert {entry["status"] for entry in answer.json["quarantine"]} == {"held"}
    assert answer.json["results"]["rows"]
    count = headgate("query", "SELECT SUM(flights) AS n FROM daily_delays", "-o", "json", directory=tmp_path / "demo")
    kept = headgate("query", "SELECT COUNT(*) AS n FROM flights_clean", "-o", "json", directory=tmp_path / "demo")
    assert int(count.json["rows"][0][0]) == kept.json["rows"][0][0]


def test_the_demo_tells_its_story_to_people(headgate: Call, tmp_path: Path) -> None:
    answer = headgate("demo", "--dir", str(tmp_path / "demo"))
    assert answer.status == 0
    for words in ("flights: success", "flights: skipped", "flights: refused", "as they were", "Where to look next"):
        assert words in answer.out
    assert "flights: publishing" in answer.err


def test_the_demo_leaves_a_folder_with_something_in_it_alone(headgate: Call, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    answer = headgate("demo", "--dir", str(tmp_path))
    assert answer.status == 2
    assert "not empty" in answer.err


@pytest.mark.parametrize("months", ["13", "1", "5-2", "x", "1-13", ""])
def test_months_are_a_range(headgate: Call, tmp_path: Path, months: str) -> None:
    archive = tmp_path / "flights.tar.gz"
    archive.write_bytes(b"")
    answer = headgate("demo", "--archive", str(archive), "--months", months)
    assert answer.status == 2
    assert "is not a range of months" in answer.err


def test_an_archive_must_be_there(headgate: Call, tmp_path: Path) -> None:
    answer = headgate("demo", "--archive", str(tmp_path / "none.tar.gz"), "--dir", str(tmp_path / "demo"))
    assert answer.status == 2
    assert "none.tar.gz" in answer.err


@pytest.mark.parametrize("name", ["headgate.yml", "pipelines/flights.yml"])
def test_the_demo_is_the_example(name: str) -> None:
    shipped = resources.files("headgate.demo") / "project" / name
    assert shipped.read_text(encoding="utf-8") == (EXAMPLE / name).read_text(encoding="utf-8")


def test_months_without_the_archive_are_refused(headgate: Call) -> None:
    answer = headgate("demo", "--months", "1-3", "-o", "json")
    assert answer.status == 2
    assert "--archive" in answer.json["error"]["hint"]


def test_a_demo_folder_that_cannot_be_made_is_told(headgate: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = headgate("demo", "--dir", str(tmp_path / "file" / "demo"), "-o", "json")
    assert answer.status == 1
    assert answer.json["error"]["code"] == "STORAGE_FAILED"


def test_an_archive_that_is_none_is_told(headgate: Call, tmp_path: Path) -> None:
    (tmp_path / "flights.tar.gz").write_bytes(b"")
    answer = headgate("demo", "--archive", str(tmp_path / "flights.tar.gz"), "-o", "json")
    assert answer.status == 2
    assert "it is not the archive" in answer.json["error"]["message"]
