"""Progress: plain lines where output is piped, one moving line on a terminal, never a secret."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

from headgate.core.events import Emitter, Event, Phase, Step
from headgate.core.secrets import remember
from headgate.observe.progress import PlainLines, moving, progress
from headgate.observe.words import words

START = datetime(2024, 1, 1, tzinfo=UTC)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Ticking:
    """A clock that goes on a second at each look."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def run(listener: Any, batches: int = 3) -> None:
    emitter = Emitter("r1", "orders", [listener], Ticking())
    with emitter.during(Step.RUN):
        with emitter.during(Step.SCAN, relation="source", object="orders.csv"):
            pass
        with emitter.during(Step.STAGE, relation="clean"):
            for number in range(batches):
                emitter.tell(Step.PROGRESS, relation="clean", rows=(number + 1) * 1000)
        with emitter.during(Step.PUBLISH, store="lake"):
            pass


def test_piped_progress_is_a_line_a_stage() -> None:
    stream = io.StringIO()
    with progress(stream) as listener:
        run(listener, batches=1)
    assert stream.getvalue().splitlines() == [
        "orders: reading orders.csv",
        "orders: computing clean",
        "orders: publishing",
    ]


def test_piped_progress_tells_of_rows_now_and_then() -> None:
    stream = io.StringIO()
    run(PlainLines(stream), batches=4)
    lines = [line for line in stream.getvalue().splitlines() if "so far" in line]
    assert lines == ["orders: 2,000 rows so far", "orders: 4,000 rows so far"]


def test_a_terminal_gets_one_moving_line_that_goes_away() -> None:
    stream = Terminal()
    with moving(stream) as listener:
        run(listener)
    with progress(Terminal()) as listener:
        assert not isinstance(listener, PlainLines)
    assert "\n" not in stream.getvalue().replace("\r\n", "").strip("\n\r")


def test_progress_shows_no_secret() -> None:
    remember("s3cr3t-table")
    stream = io.StringIO()
    PlainLines(stream)(Event(Step.SCAN, Phase.BEFORE, "r1", "orders", START, {"object": "s3cr3t-table"}))
    assert stream.getvalue() == "orders: reading ***\n"


def test_only_beginnings_have_words() -> None:
    for step in Step:
        assert words(Event(step, Phase.AFTER, "r", "p", START)) is None
    told = {step for step in Step if words(Event(step, Phase.BEFORE, "r", "p", START))}
    assert {Step.PROBE, Step.PLAN, Step.SCAN, Step.STAGE, Step.AUDIT, Step.PUBLISH, Step.ROLLBACK} <= told
