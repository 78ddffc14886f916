"""How deep calls are drawn: as deep as a picture has room for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from headgate.diagrams.source.flow import Block, Call, inner

Drawn = TypeVar("Drawn")


def deepest(block: Block) -> int:
    """Levels of calls within a block: 1 where nothing is called."""
    found = 1
    for item in block.items:
        levels = max((deepest(one) for one in inner(item)), default=1)
        found = max(found, levels + 1 if isinstance(item, Call) else levels)
    return found


def fitting(draw: Callable[[int | None], Drawn], fits: Callable[[Drawn], bool], body: Block) -> tuple[Drawn, int]:
    """The picture of all calls, or that of as many levels as fit; the level, 0 for all."""
    whole = draw(None)
    if fits(whole):
        return whole, 0
    level = deepest(body)
    while level > 1:
        level -= 1
        drawn = draw(level)
        if fits(drawn):
            break
    else:
        drawn = draw(1)
    return drawn, level


def told(title: str, level: int) -> str:
    """The title, with how deep the calls are drawn where that is not all."""
    return title if not level else f"{title} (calls {level} deep)"
