"""Logs: every event as one JSON line, in a file for each run and, if asked for, on standard error."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from headgate.core.events import Event, Listener, Step
from headgate.core.runs import timestamp
from headgate.core.secrets import mask

KEPT = 200
"""Log files that stay; older ones are removed when a new one begins."""


def document(event: Event) -> dict[str, Any]:
    """An event as plain JSON."""
    return {
        "at": timestamp(event.at),
        "event": event.name,
        "run_id": event.run_id,
        "pipeline": event.pipeline,
        **({"detail": dict(event.detail)} if event.detail else {}),
    }


class RunLog:
    """Writes ``<folder>/<run_id>.jsonl``. A run with nothing to do leaves none, and a log that cannot be written

    stops no run: it is written for people, and only pictures read it back, for the times in them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: list[Event] = []
        self._begun: set[str] = set()
        self._broken = False

    def __call__(self, event: Event) -> None:
        if self._broken:
            return
        if event.run_id not in self._begun:
            self._waiting = [earlier for earlier in self._waiting if earlier.run_id == event.run_id]
            self._waiting.append(event)
            if event.step not in (Step.PLAN, Step.RECOVER, Step.PUBLISH):
                return
        try:
            self._write(event)
        except OSError as error:
            self._broken = True
            logging.getLogger("headgate.log").warning("the run's log cannot be written: %s", error)

    def _write(self, event: Event) -> None:
        events = [event]
        if event.run_id not in self._begun:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._prune()
            self._begun.add(event.run_id)
            events, self._waiting = self._waiting, []
        with (self._folder / f"{event.run_id}.jsonl").open("a", encoding="utf-8") as file:
            file.writelines(line(document(told)) for told in events)

    def _prune(self) -> None:
        found = sorted(self._folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
        for old in found[: max(0, len(found) - KEPT + 1)]:
            old.unlink(missing_ok=True)


def line(entry: dict[str, Any]) -> str:
    """One line of JSON without secrets."""
    return mask(json.dumps(entry, ensure_ascii=False, default=str)) + "\n"


def structured(stream: TextIO) -> Listener:
    """A listener that writes every event to ``stream`` as structlog renders JSON."""
    import structlog

    def masked(_: Any, __: str, entry: Any) -> Any:
        return {key: mask(value) if isinstance(value, str) else value for key, value in entry.items()}

    logger = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=[
            structlog.processors.add_log_level,
            masked,
            structlog.processors.EventRenamer("event"),
            structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
        ],
    )

    def listen(event: Event) -> None:
        entry = document(event)
        name = entry.pop("event")
        logger.info(name, **entry)

    return listen


@contextmanager
def warnings_to(stream: TextIO, *, as_json: bool, debug: bool) -> Iterator[None]:
    """Send what modules log by the standard library to ``stream``: warnings, or everything with ``debug``."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_JsonLines() if as_json else _Masked("%(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("headgate")
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if debug else logging.WARNING)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


class _Masked(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return line(entry).rstrip("\n")
