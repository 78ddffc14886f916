"""Text within Mermaid: one rule of escaping for all its grammars, and names that no grammar mistakes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

PLAIN = frozenset(" _-.,/+()!?'")
"""What stands for itself beside letters and digits; everything else is written as its number."""
RESERVED = frozenset(
    {
        "accdescr", "acctitle", "activate", "actor", "alt", "and", "autonumber", "box", "branch", "break", "bt",
        "call", "checkout", "class", "classdef", "click", "commit", "create", "critical", "deactivate",
        "default", "destroy", "direction", "else", "end", "erdiagram", "fk", "flowchart", "gitgraph", "graph",
        "href", "interpolate", "linkstyle", "loop", "lr", "main", "many", "merge", "normal", "note", "o", "off",
        "one", "opt", "option", "over", "par", "participant", "pk", "rect", "reverse", "rl", "scale",
        "sequencediagram", "state", "style", "subgraph", "tb", "td", "title", "to", "uk", "x",
    }
)  # fmt: skip
"""Words that some grammar takes for its own."""
STARTS = ("title",)
"""What some grammar takes for its own even as the beginning of a longer word."""
LONGEST = 160
"""Characters of one line of a label; what is longer is cut, as nobody reads it in a picture."""
_UNSAFE = re.compile(r"[^A-Za-z0-9_]+")
_MARKS = re.compile("(?<=\ufb02)(?=\xb0)|(?<=\xb6)(?=\xdf)|(?<=:)(?=fa-)|(?<=\\$)(?=\\$)|(?<=\\\\)(?=n)")


def text(value: str, longest: int = LONGEST) -> str:
    """One line of a label, safe wherever Mermaid takes text; never empty."""
    shown = unlike_marks(" ".join(clean(value).split()))
    if len(shown) > longest:
        shown = shown[: longest - 1].rstrip() + "…"
    around = zip(" " + shown, shown, shown[1:] + " ", strict=False)
    return "".join(_escaped(c) if c != "_" or (a.isalnum() and b.isalnum()) else "#95;" for a, c, b in around) or " "


def condition(value: str) -> str:
    """Text where Mermaid breaks lines within escapes: what would need one is shown by its wide sister instead."""
    wide = _wide(unlike_marks(" ".join(clean(value).split())[:LONGEST]), "#;<>&%$@{}`~*\\^=")
    return wide.replace(":", "：", 1) if wide.lower().startswith(("wrap:", "nowrap:")) else wide or " "


def unlike_marks(value: str) -> str:
    """Without icons, formulas, breaks and what Mermaid writes for escapes: something invisible stands between."""
    return _MARKS.sub("\u2060", value)


def visible(value: str) -> bool:
    return any(not c.isspace() and unicodedata.category(c) not in ("Cf", "Mn") for c in clean(value))


def _wide(value: str, signs: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if c in signs else c for c in value)


def lines(values: Iterable[str], longest: int = LONGEST) -> str:
    """Several lines, those within each value included; empty ones are left out."""
    found = [line for value in values for line in re.split(r"[\r\n]+|<br\s*/?>", value) if line.strip()]
    return "<br/>".join(text(line, longest) for line in found) or " "


def clean(value: str) -> str:
    """Without what no picture shows: control characters, halves of surrogates, unassigned and turning marks."""
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cn", "Co", "Cs", "Zl", "Zp") else c for c in value)


def _escaped(character: str) -> str:
    if character.isalnum() or character in PLAIN or unicodedata.category(character) in ("So", "Mn", "Mc", "Cf", "Pd"):
        return character
    return f"#{ord(character)};"


class Names:
    """Stable names of one diagram: readable where the id allows, each id its own; groups beside nodes."""

    def __init__(self) -> None:
        self._given: dict[tuple[str, str], str] = {}
        self._taken: set[str] = set()

    def __getitem__(self, id_: str) -> str:
        return self._name("", id_)

    def group(self, id_: str) -> str:
        return self._name("in_", id_)

    def _name(self, prefix: str, id_: str) -> str:
        if (prefix, id_) not in self._given:
            self._given[prefix, id_] = self._free(prefix + _UNSAFE.sub("_", id_).strip("_")[:48])
        return self._given[prefix, id_]

    def _free(self, name: str) -> str:
        lower = name.lower()
        if not name[:1].isalpha() or lower in RESERVED or lower.startswith(STARTS):
            name = f"n_{name}".rstrip("_")
        found, number = name, 2
        while found.lower() in self._taken:
            found, number = f"{name}_{number}", number + 1
        self._taken.add(found.lower())
        return found


def header(title: str, *settings: str) -> list[str]:
    """The lines before the diagram that give its title and settings of its kind.

    A title is shown as HTML and knows no escapes: what would be markup is shown by its wide sister.
    """
    shown = _wide(unlike_marks(" ".join(clean(title).split())[:LONGEST]), "<>&#;")
    quoted = "".join(c if c.isalnum() or c in PLAIN or c == ":" else _yaml(c) for c in shown)
    found = [f'title: "{quoted}"'] if shown else []
    found += ["config:", *(f"  {line}" for line in settings)] if settings else []
    return ["---", *found, "---"] if found else []


def _yaml(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
