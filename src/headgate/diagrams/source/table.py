"""The one table of known calls, and how a call is found in it."""

from __future__ import annotations

import re
from functools import lru_cache

from headgate.diagrams.source.meaning import Meaning, frames
from headgate.diagrams.source.services import services, standard
from headgate.diagrams.source.stores import hooks, stores

TABLE = (*frames(), *services(), *stores(), *hooks(), *standard())


def _compiled(pattern: str) -> re.Pattern[str]:
    text = pattern if not pattern.startswith(".") else f"*{pattern}"
    return re.compile("".join(".*" if part == "*" else re.escape(part) for part in re.split(r"(\*)", text)) + "$")


_BY_LAST: dict[str, list[tuple[re.Pattern[str], Meaning]]] = {}
for _one in TABLE:
    _BY_LAST.setdefault(_one.pattern.rpartition(".")[2].removeprefix("*"), []).append((_compiled(_one.pattern), _one))


@lru_cache(maxsize=8192)
def meanings(path: str) -> tuple[Meaning, ...]:
    """What a call of that path may mean; the first whose needs are met holds. ``path`` has no brackets."""
    last = path.rpartition(".")[2]
    return tuple(meaning for pattern, meaning in _BY_LAST.get(last, ()) if pattern.match(path))
