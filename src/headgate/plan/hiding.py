"""Which columns hold personal data: those that are marked or masked, what they come from, and what is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Hiding:
    """Collects the columns of all steps with their origins."""

    def __init__(self, marked: Iterable[str]) -> None:
        self._marked = {name.lower() for name in marked}
        self._origins: dict[str, set[str]] = {}
        self._personal: set[str] = set()

    def see(self, lineage: Mapping[str, frozenset[str]], masked: Iterable[str] = ()) -> None:
        """Take the columns of one step: what each comes from, and which of them the step masks."""
        names = self._marked | {name.lower() for name in masked}
        self._marked |= names
        for name, origin in lineage.items():
            self._origins.setdefault(name.lower(), set()).update(origin)
            if name.lower() in names:
                self._personal |= origin

    @property
    def names(self) -> frozenset[str]:
        """All names, in lower case, under which personal data stands at some step."""
        made = {name for name, origin in self._origins.items() if origin & self._personal}
        return frozenset(made | self._marked)
