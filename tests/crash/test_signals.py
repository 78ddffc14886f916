"""The real program, started cold: killed, terminated and interrupted at moments of its life."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time

import pytest
from tests.crash.conftest import SEED, MakeWorld
from tests.crash.oracle import check_after
from tests.crash.scenarios import PIPELINE, SOURCES, TARGETS, Scenario, World

SCENARIO = Scenario(SOURCES[0], "append", TARGETS[2])
COMMAND = [sys.executable, "-c", "from headgate.cli.main import main; main()", "run", PIPELINE, "-o", "json"]


def ended(world: World, number: int, seconds: float) -> int:
    """Start the program, send it a signal after a while; its exit status."""
    child = subprocess.Popen(  # noqa: S603 - our own program
        COMMAND, cwd=world.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(seconds)
    child.send_signal(number)
    return child.wait(60)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_the_program_ended_by_a_signal_publishes_once_or_not_at_all(
    number: signal.Signals, make_world: MakeWorld
) -> None:
    end_at_moments(make_world(SCENARIO), number, 4)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_the_program_ended_often_by_a_signal_publishes_once_or_not_at_all(
    number: signal.Signals, make_world: MakeWorld
) -> None:
    end_at_moments(make_world(SCENARIO), number, 200)


def end_at_moments(world: World, number: signal.Signals, times: int) -> None:
    chance = random.Random(f"{SEED} {number}")  # noqa: S311 - it chooses moments
    for each in range(times):
        world.restore()
        moment = chance.uniform(0.05, 1.2)
        status = ended(world, number, moment)
        assert status in (0, 1, 130, 143, -number), status
        check_after(world, f"seed {SEED}: {number.name} {each} after {moment:.3f} s, exit status {status}")
