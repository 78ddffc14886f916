"""HTML that cannot be injected into: text is escaped, and loses its secrets, unless it was made here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from headgate.core.secrets import mask
from headgate.diagrams.mermaid.words import clean

VOID = ("meta", "link", "input", "br", "img")


class Html(str):
    """Markup that was made by these functions."""

    __slots__ = ()


def element(name: str, /, *children: str | Iterable[str], **attributes: str) -> Html:
    """An element. Children that are no :class:`Html` are text; ``class_`` is the attribute class, ``_`` a hyphen."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{_text(value)}"' for key, value in attributes.items())
    if name in VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{''.join(_inner(child) for child in children)}</{name}>")


def joined(parts: Iterable[str]) -> Html:
    return Html("".join(_inner(part) for part in parts))


def heading(level: int, text: str, id_: str) -> Html:
    return element(f"h{level}", text, id=id_)


def paragraph(text: str) -> Html:
    """A paragraph; what stands in backticks becomes code."""
    return element("p", marked(text))


def marked(text: str) -> Html:
    """Text in which backticks make code."""
    parts = re.split(r"`([^`]+)`", text)
    return joined(element("code", part) if number % 2 else part for number, part in enumerate(parts))


def bullets(items: Iterable[str]) -> Html:
    return element("ul", (element("li", item) for item in items))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Html:
    head = element("tr", (element("th", column) for column in columns))
    body = (element("tr", (element("td", cell) for cell in row)) for row in rows)
    return element("table", element("thead", head), element("tbody", body))


def facts(pairs: Iterable[tuple[str, str]]) -> Html:
    """Names and what they are."""
    return element("dl", (joined((element("dt", name), element("dd", value))) for name, value in pairs))


def link(text: str, to: str) -> Html:
    """A link within the site, or to a web page; what is neither stays text."""
    if re.match(r"(?:https?://|[\w./#-]+$)", to) and not to.lower().startswith("javascript"):
        return element("a", text, href=to)
    return Html(_text(text))


def command(line: str) -> Html:
    return element("pre", element("code", line, class_="command"))


def diagram(mermaid: str) -> Html:
    """A diagram that the page's script draws."""
    return element("pre", mermaid, class_="mermaid")


def _inner(child: str | Iterable[str]) -> str:
    if isinstance(child, Html):
        return child
    if isinstance(child, str):
        return _text(child)
    return "".join(_inner(one) for one in child)


def _text(value: str) -> str:
    return escape("\n".join(clean(line) for line in mask(value).split("\n")))
