"""What every page has around it: head, policy, navigation, search."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

from headgate.diagrams.pages.html import Html, element, joined, link

POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file: 'unsafe-inline'; img-src 'self' file: data:"
)
"""Only files of the site itself; styles also inline, which Mermaid writes into its drawings."""


def page(title: str, project: str, body: Sequence[str], *, up: str = "") -> bytes:
    """A whole page. ``up``: the way to the site's folder, such as ``../``."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{title} · {project}"),
        element("link", rel="stylesheet", href=f"{up}assets/site.css"),
    )
    search = element(
        "div",
        element("input", type="search", id="search", placeholder="Search", autocomplete="off", aria_label="Search"),
        element("ul", id="found", hidden="hidden"),
        class_="search",
    )
    ways = (
        ("Pipelines", "index.html"),
        ("Quality", "history/quality.html"),
        ("Errors", "errors/index.html"),
        ("Practices", "practices.html"),
    )
    header = element(
        "header",
        element("strong", link(project, f"{up}index.html")),
        element("nav", (link(text, up + to) for text, to in ways)),
        search,
    )
    scripts = (element("script", src=f"{up}assets/{name}") for name in ("mermaid.js", "search.js", "site.js"))
    content = element("body", header, element("main", *body), *scripts, data_up=up)
    return f"<!doctype html>\n{element('html', head, content, lang='en')}\n".encode()


def contents(sections: Sequence[tuple[str, str]]) -> Html:
    """Links to the sections of a page."""
    return element("nav", (link(text, f"#{id_}") for id_, text in sections), class_="contents")


def assets() -> dict[str, bytes]:
    """The site's own style and script."""
    folder = resources.files("headgate.diagrams.pages").joinpath("assets")
    return {f"assets/{name}": folder.joinpath(name).read_bytes() for name in ("site.css", "site.js")}


def section(id_: str, title: str, *body: str) -> Html:
    return element("section", element("h2", title), joined(body), id=id_)
