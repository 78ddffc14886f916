"""A real Chromium, driven through a pipe."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.mermaid.needed import needs_browser

from headgate.core.errors import Code, FatalError
from headgate.io import chromium as browser


@needs_browser
def test_it_opens_a_page_runs_its_scripts_and_takes_a_picture(tmp_path: Path) -> None:
    page_file = tmp_path / "page.html"
    page_file.write_text("<h1>one</h1><script>document.title = 'tw' + 'o'</script>")
    with browser.chromium(400, 300) as page:
        page.open(page_file.as_uri())
        assert page.evaluate("document.title") == "two"
        assert page.evaluate("Promise.resolve(41 + 1)") == 42
        assert page.picture("h1").startswith(b"\x89PNG")
        assert page.complaints == []


@needs_browser
def test_what_a_script_throws_is_told(tmp_path: Path) -> None:
    page_file = tmp_path / "page.html"
    page_file.write_text("<script>throw new Error('broken')</script>")
    with browser.chromium() as page:
        page.open(page_file.as_uri())
        with pytest.raises(RuntimeError, match="nothing"):
            page.evaluate("(() => { throw new Error('nothing') })()")
        assert any("broken" in text for text in page.complaints)


@needs_browser
def test_it_calls_nobody(tmp_path: Path) -> None:
    page_file = tmp_path / "page.html"
    page_file.write_text("<p>x</p>")
    with browser.chromium() as page:
        page.open(page_file.as_uri())
        with pytest.raises(RuntimeError, match="Failed to fetch"):
            page.evaluate("fetch('http://example.com/')")


def test_without_a_browser_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FatalError, match="not installed") as caught, browser.chromium():
        pass
    assert caught.value.code is Code.DRIVER_MISSING
    assert ".mmd" in caught.value.hint
