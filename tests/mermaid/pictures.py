"""Every Mermaid text that the product makes in a test: Mermaid's own parser reads it, and a browser draws it.

No test asks for it: what comes out of the renderer is kept, and looked at when the test's own statements are done.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from tests.mermaid.browser import Browser, Drawing, running_browser
from tests.mermaid.labels import missing
from tests.mermaid.needed import IN_CI, missing_programs
from tests.mermaid.parser import Parser, running_parser

from headgate.diagrams import render
from headgate.diagrams.document import Diagram
from headgate.diagrams.render import Look

MOST = 60
"""Pictures of one test that are drawn in the quick suite, spread evenly over all; in the long one every picture is."""


class Pictures:
    """One parser and one browser for all tests of a process, started when the first text comes."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._parser: Parser | None = None
        self._browser: Browser | None = None
        self._fresh: dict[str, None] = {}
        self._known: set[int] = set()
        """Hashes of what has been looked at: one text is drawn once."""

    def watch(self) -> None:
        """Keep what the renderer makes, from now on."""
        write = render._mermaid

        def kept(diagram: Diagram, look: Look) -> str:
            text = write(diagram, look)
            self._fresh[text] = None
            return text

        patch = pytest.MonkeyPatch()
        patch.setattr(render, "_mermaid", kept)
        self._open.callback(patch.undo)

    def parser(self) -> Parser:
        if self._parser is None:
            self._parser = self._open.enter_context(running_parser())
        return self._parser

    def browser(self) -> Browser:
        if self._browser is None:
            self._browser = self._open.enter_context(running_browser())
        return self._browser

    def forget(self) -> None:
        self._fresh.clear()

    def look(self, every: bool) -> None:
        """Parse what came since the last time, and draw it: every one, or so many. Raises AssertionError."""
        texts = [text for text in self._fresh if hash(text) not in self._known]
        self.forget()
        if not texts:
            return
        lacking = missing_programs()
        if lacking:
            assert not IN_CI, f"{lacking} is not installed, and pictures must be drawn here"
            return
        for text in texts:
            self.parser().kind(text)
        texts = texts if every else texts[:: -(-len(texts) // MOST)]
        for text, drawing in zip(texts, self.browser().draw(texts), strict=True):
            wrong = complaint(text, drawing)
            assert not wrong, f"{wrong}\n\n{text}"
            self._known.add(hash(text))

    def close(self) -> None:
        self._open.close()


def complaint(text: str, drawing: Drawing) -> str:
    """What is wrong with a drawing; empty when nothing is."""
    if drawing.error:
        return f"the browser does not draw it: {drawing.error}"
    lost = missing(text, drawing.shown)
    return f"the picture does not show {lost}" if lost else ""


PICTURES = Pictures()


def pytest_configure() -> None:
    PICTURES.watch()


def pytest_report_header() -> str | None:
    lacking = missing_programs()
    return f"pictures are neither parsed nor drawn: {lacking} is not installed (make servers)" if lacking else None


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    try:
        result = yield
    except BaseException:
        PICTURES.forget()
        raise
    PICTURES.look(every=pyfuncitem.get_closest_marker("long") is not None)
    return result


def pytest_unconfigure() -> None:
    PICTURES.close()


@pytest.fixture(scope="session")
def mermaid_parser() -> Parser:
    """Mermaid's own parser, for tests that ask what kind of diagram a text is."""
    return PICTURES.parser()
