"""A Ctrl-C before any line that a run goes through from its publication on: all of it is published then, or nothing."""

from __future__ import annotations

import functools
import itertools
import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from tests.crash import harness
from tests.crash.conftest import SEED, MakeWorld
from tests.crash.oracle import check_after
from tests.crash.scenarios import PIPELINE, SOURCES, TARGETS, Scenario, World
from tests.crash.test_errors import check_told

import headgate

STRIDE = int(os.environ.get("HEADGATE_CRASH_STRIDE", "1"))
"""Of so many lines the long suite tries one; all take some twenty minutes a scenario on a quiet machine."""
PACKAGE = str(Path(headgate.__file__).parent)
SCENARIOS = [
    Scenario(SOURCES[0], "append", TARGETS[0]),
    Scenario(SOURCES[1], "upsert", TARGETS[1]),
    Scenario(SOURCES[1], "append", TARGETS[2]),
    Scenario(SOURCES[3], "upsert", TARGETS[3]),
]
FOLLOWED = [
    Scenario(SOURCES[0], "append", TARGETS[2], (TARGETS[0],)),
    Scenario(SOURCES[0], "overwrite", TARGETS[1], (TARGETS[2],)),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_a_ctrl_c_while_a_run_publishes_leaves_all_or_nothing(scenario: Scenario, make_world: MakeWorld) -> None:
    interrupt_at_lines(make_world(scenario), 127)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("scenario", [*SCENARIOS, *FOLLOWED], ids=lambda s: s.name)
def test_a_ctrl_c_at_any_line_from_publication_on_leaves_all_or_nothing(
    scenario: Scenario, make_world: MakeWorld
) -> None:
    interrupt_at_lines(make_world(scenario), STRIDE)


def interrupt_at_lines(world: World, stride: int) -> None:
    for number in itertools.count(SEED % stride, stride):
        world.restore()
        report = harness.in_child(functools.partial(_interrupted, world, number)).report
        if not report["reached"]:
            assert number > 100, "hardly any line is traced"
            return
        where = f"{world.scenario.name}: Ctrl-C at line {number}, {report['reached']}"
        if report["receipt"] is not None:
            check_told(world, report["receipt"], where)
        check_after(world, where)


def _interrupted(world: World, number: int) -> dict[str, Any]:
    """A run that is interrupted before the ``number``-th line since it began to publish, and how it told of that."""
    seen, reached = -1, ""

    def trace(frame: FrameType, what: str, _: Any) -> Any:
        nonlocal seen, reached
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if what == "line":
            seen += 1
            if seen == number:
                reached = f"{frame.f_code.co_filename.removeprefix(PACKAGE)}:{frame.f_lineno}"
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    def begin() -> None:
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            frame.f_trace = trace
            frame = frame.f_back
        sys.settrace(trace)

    try:
        receipt = harness.run_here(world.root, PIPELINE, harness.at_name("publish.before", begin))
    except KeyboardInterrupt:  # nobody is left to tell it to: the program would end now
        receipt = None
    finally:
        sys.settrace(None)
    return {"receipt": receipt, "reached": reached}
