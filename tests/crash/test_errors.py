"""Faults that are no kill: an error at any event ends with a receipt that says so, and the next run completes."""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.crash import harness
from tests.crash.conftest import SEED, MakeWorld
from tests.crash.oracle import check_after, check_visible
from tests.crash.scenarios import PIPELINE, SOURCES, TARGETS, Scenario, World

from headgate.core.errors import Code, RetriableError
from headgate.io import files

SCENARIOS = [
    Scenario(SOURCES[0], "append", TARGETS[0]),
    Scenario(SOURCES[1], "upsert", TARGETS[1]),
    Scenario(SOURCES[1], "append", TARGETS[2]),
    Scenario(SOURCES[3], "upsert", TARGETS[3]),
]
FOLDERS = [Scenario(SOURCES[1], "upsert", TARGETS[1]), Scenario(SOURCES[1], "upsert", TARGETS[2])]
CODES = {code.value for code in Code}


def check_told(world: World, receipt: dict[str, Any], where: str) -> None:
    """A failed run says that it failed, and truly whether it is published."""
    visible = check_visible(world, where)
    if receipt["error"] is None:
        assert visible, f"{where}: {receipt}"
        return
    assert receipt["error"]["code"] in CODES, where
    assert receipt["error"]["message"], where
    if "published" in receipt and receipt["status"] != "unknown":
        assert receipt["published"] == visible, f"{where}: the receipt says {receipt['published']}: {receipt}"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_an_error_at_an_event_is_told_truly_and_the_next_run_completes(
    scenario: Scenario, make_world: MakeWorld
) -> None:
    fail_at_events(make_world(scenario), 7)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_an_error_at_any_event_is_told_truly_and_the_next_run_completes(
    scenario: Scenario, make_world: MakeWorld
) -> None:
    fail_at_events(make_world(scenario), 1)


def fail_at_events(world: World, stride: int) -> None:
    names = harness.events_of(world.root, PIPELINE)
    for number in range(SEED % stride, len(names), stride):
        error: Exception = OSError(errno.EIO, "Input/output error")
        if number % 2:
            error = RetriableError(Code.CONNECTION_FAILED, "gone for a moment", operation="test")
        world.restore()
        where = f"{world.scenario.name}: {error!r} at event {number} ({names[number]})"
        receipt = harness.in_child(
            functools.partial(harness.run_here, world.root, PIPELINE, harness.failer(number, error))
        ).report
        assert receipt["error"] is not None or receipt["warnings"], where
        check_told(world, receipt, where)
        check_after(world, where)


@pytest.mark.parametrize("scenario", FOLDERS, ids=lambda s: s.name)
@pytest.mark.parametrize("fault", ["ENOSPC", "EIO", "short write"])
def test_a_file_operation_that_fails_leaves_all_or_nothing(
    scenario: Scenario, fault: str, make_world: MakeWorld
) -> None:
    fail_operations(make_world(scenario), fault, 23)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", FOLDERS, ids=lambda s: s.name)
@pytest.mark.parametrize("fault", ["ENOSPC", "EIO", "short write"])
def test_any_file_operation_that_fails_leaves_all_or_nothing(
    scenario: Scenario, fault: str, make_world: MakeWorld
) -> None:
    fail_operations(make_world(scenario), fault, 1)


def fail_operations(world: World, fault: str, stride: int) -> None:
    for number in _operations(SEED % stride, stride):
        world.restore()
        where = f"{world.scenario.name}: {fault} at file operation {number}"
        report = harness.in_child(functools.partial(_run_failing, world, fault, number)).report
        if not report["reached"]:
            assert number > 5, "hardly any file operation is observed"
            return
        check_told(world, report["receipt"], f"{where} ({report['reached']})")
        check_after(world, f"{where} ({report['reached']})")


def _operations(first: int, stride: int) -> Iterator[int]:
    number = first
    while True:
        yield number
        number += stride


def _run_failing(world: World, fault: str, number: int) -> dict[str, Any]:
    seen = -1
    reached = ""

    def observe(operation: str, path: Path) -> None:
        nonlocal seen, reached
        seen += 1
        if seen == number:
            reached = f"{operation} {path.name}"
            if fault == "short write" and operation == "write":
                with path.open("ab") as file:
                    file.write(b"half")
            code = errno.EIO if fault == "EIO" else errno.ENOSPC
            raise OSError(code, os.strerror(code))

    with files.observing(observe):
        receipt = harness.run_here(world.root, PIPELINE)
    return {"receipt": receipt, "reached": reached}
