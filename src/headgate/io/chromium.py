"""A Chromium that is installed anyway, without a window: one page, told what to do through a pipe. No driver needed."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from headgate.core.errors import Code, FatalError

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--remote-debugging-pipe", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb", "--mute-audio", "--no-pings",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
"""Nothing is looked up and nobody is called: pages are local files."""
PATIENCE = 60.0
"""Seconds that one answer may take."""


def installed() -> str | None:
    """The program, if there is one."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


@contextmanager
def chromium(width: int = 1200, height: int = 800, scale: float = 1) -> Iterator[Page]:
    """A page of a fresh Chromium, which ends with the block.

    Raises:
        FatalError: DRIVER_MISSING when no Chromium is installed.
    """
    program = installed()
    if program is None:
        raise FatalError(
            Code.DRIVER_MISSING,
            "pictures as SVG or PNG are drawn by Chromium, which is not installed",
            operation="draw",
            object=PROGRAMS[0],
            hint="install it, or write .mmd, .md, .json or .dot",
        )
    with tempfile.TemporaryDirectory(prefix="headgate-", ignore_cleanup_errors=True) as profile:
        process = _Process(program, profile)
        try:
            page = Page(process)
            page.size(width, height, scale)
            yield page
        finally:
            process.end()


class _Process:
    """The program and its two pipes; messages are JSON, each ended by a zero byte."""

    def __init__(self, program: str, profile: str) -> None:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        first, second = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (theirs_in, theirs_out))
        null = (
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        )
        ends = (os.POSIX_SPAWN_DUP2, first, 3), (os.POSIX_SPAWN_DUP2, second, 4)
        root = ("--no-sandbox",) if os.geteuid() == 0 else ()  # it refuses to start for root otherwise
        arguments = [program, *FLAGS, *root, f"--user-data-dir={profile}", "about:blank"]
        self.pid = os.posix_spawn(program, arguments, os.environ, file_actions=[*null, *ends], setpgroup=0)
        for end in (theirs_in, theirs_out, first, second):
            os.close(end)
        self._rest = b""

    def send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]

    def receive(self, patience: float) -> dict[str, Any]:
        """The next message. Raises TimeoutError; EOFError when the program ended."""
        until = time.monotonic() + patience
        while b"\0" not in self._rest:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._in], [], [], left)[0]:
                raise TimeoutError(f"Chromium did not answer within {patience:g} s")
            part = os.read(self._in, 1 << 20)
            if not part:
                raise EOFError("Chromium ended")
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def end(self) -> None:
        os.close(self._out)
        os.close(self._in)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


class Page:
    """One page. ``complaints``: errors of its scripts and of the browser (such as a policy that a page breaks)."""

    def __init__(self, process: _Process) -> None:
        self._process, self._number, self._session = process, 0, ""
        self.complaints: list[str] = []
        self._loaded = False
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._ask(f"{domain}.enable")

    def size(self, width: int, height: int, scale: float = 1, *, mobile: bool = False) -> None:
        """The window's size in CSS pixels, and how many pixels of a screenshot each is."""
        self._ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=mobile
        )

    def dark(self, wanted: bool = True) -> None:
        """Prefer the dark or the light colour scheme."""
        feature = {"name": "prefers-color-scheme", "value": "dark" if wanted else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[feature])

    def open(self, url: str) -> None:
        """Go there, and wait until it is loaded."""
        self._loaded = False
        self._ask("Page.navigate", url=url)
        while not self._loaded:
            self._hear(self._process.receive(PATIENCE))

    def evaluate(self, script: str) -> Any:
        """The value of an expression, awaited if it is a promise. Raises RuntimeError with what the script threw."""
        answer = self._ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            thrown = answer["exceptionDetails"]
            raise RuntimeError(str(thrown.get("exception", {}).get("description", thrown["text"])))
        return answer["result"].get("value")

    def picture(self, selector: str | None = None) -> bytes:
        """The whole page, or one element, as PNG."""
        where = json.dumps(selector or "html")
        box = self.evaluate(
            f"(r => ({{x: r.x + scrollX, y: r.y + scrollY, width: r.width, height: r.height}}))"
            f"(document.querySelector({where}).getBoundingClientRect())"
        )
        clip = {**box, "scale": 1}
        answer = self._ask("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(answer["data"])

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        self._process.send({**message, "sessionId": self._session} if self._session else message)
        while True:
            answer = self._process.receive(PATIENCE)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result
            self._hear(answer)

    def _hear(self, message: dict[str, Any]) -> None:
        given = message.get("params", {})
        match message.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Runtime.exceptionThrown":
                thrown = given["exceptionDetails"]
                self.complaints.append(str(thrown.get("exception", {}).get("description", thrown["text"])))
            case "Log.entryAdded" if given["entry"]["level"] == "error":
                self.complaints.append(str(given["entry"]["text"]))
            case _:
                pass
