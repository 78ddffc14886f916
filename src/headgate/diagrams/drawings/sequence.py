"""Sequence: which component calls which, in the order of the source, and what goes to and from stores."""

from __future__ import annotations

from dataclasses import replace

from headgate.diagrams.drawings.depth import fitting, told
from headgate.diagrams.drawings.words import LAYERS, ROLES, detail, label
from headgate.diagrams.palette import PALETTE, Role
from headgate.diagrams.sequence import Block as Frame
from headgate.diagrams.sequence import Item as Line
from headgate.diagrams.sequence import Message, Note, Participant, Sequence
from headgate.diagrams.shorten import messages
from headgate.diagrams.source.flow import (
    Attempt,
    Block,
    Call,
    Choice,
    Entry,
    Item,
    Loop,
    Part,
    Place,
    Source,
    Step,
    Stop,
)

TOLD = 4
"""Lines of a message to a call that is not drawn deeper."""
MESSAGES = 200
"""What a picture has room for; Mermaid refuses texts of more than 50,000 characters."""


def sequence(entry: Entry, source: Source, depth: int | None = None) -> Sequence:
    """The messages; calls deeper than ``depth`` are left out. Without it, calls are as deep as there is room."""
    if depth is not None:
        return _Drawing(entry, source, depth).sequence()
    found, level = fitting(
        lambda level: _Drawing(entry, source, level).sequence(),
        lambda drawn: messages(drawn.items) <= MESSAGES,
        entry.body,
    )
    return replace(found, title=told(found.title, level))


class _Drawing:
    def __init__(self, entry: Entry, source: Source, depth: int | None) -> None:
        self.entry, self.depth = entry, depth
        self.layers = {one.name: one.layer for one in source.components}
        self.people: dict[str, Participant] = {}

    def sequence(self) -> Sequence:
        name = self.entry.name.rpartition(".")[2]
        own = self._component(self.entry.component)
        body = self._block(self.entry.body, own, 1)
        lines: list[Line] = [Message(own, own, f"{name}()"), *body]
        return Sequence(f"Messages of {self.entry.name}", tuple(self.people.values()), tuple(lines))

    def _component(self, name: str) -> str:
        layer = self.layers.get(name)
        role = LAYERS[layer][1] if layer else Role.PROCESS
        self.people.setdefault(name, Participant(name, name, role, PALETTE[role].icon))
        return name

    def _place(self, place: Place, role: Role) -> str:
        """The system, where it is known, else the place itself."""
        name = place.system or place.name
        key = f"store {name}"
        self.people.setdefault(key, Participant(key, name, role, PALETTE[role].icon))
        return key

    def _block(self, block: Block, own: str, level: int) -> list[Line]:
        return [line for item in block.items for line in self._item(item, own, level)]

    def _item(self, item: Item, own: str, level: int) -> list[Line]:
        match item:
            case Step():
                return self._step(item, own)
            case Call():
                return self._call(item, own, level)
            case Choice():
                yes, no = self._block(item.yes, own, level), self._block(item.no, own, level)
                if yes and no:
                    return [Frame("alt", ((item.test, tuple(yes)), (f"not {item.test}", tuple(no))))]
                if yes or no:
                    return [Frame("opt", ((item.test if yes else f"not ({item.test})", tuple(yes or no)),))]
                return []
            case Loop():
                inside = self._block(item.body, own, level)
                text = f"at most {item.retry.attempts} times" if item.retry and item.retry.attempts else item.text
                return [Frame("loop", ((text, tuple(inside)),))] if inside else []
            case Attempt():
                return self._attempt(item, own, level)
            case Stop(kind="raise"):
                return [Message(own, own, f"raise {item.text}", failed=True)]
            case Stop():
                return []

    def _attempt(self, item: Attempt, own: str, level: int) -> list[Line]:
        lines = self._block(item.body, own, level)
        for name, block in item.handlers:
            inside = self._block(block, own, level)
            if inside:
                lines.append(Frame("break", ((f"on {name}", tuple(inside)),)))
        return lines + self._block(item.final, own, level)

    def _step(self, step: Step, own: str) -> list[Line]:
        text = "\n".join([label(step), *detail(step, places=False)[:3]])
        match step.part:
            case Part.LOG:
                return []
            case Part.NOTIFY:
                return [Note((own,), "\n".join([label(step), *detail(step)[:3]]))]
            case _ if step.reads or step.writes:
                return self._stored(step, own)
            case _:
                return [Note((own,), text)]

    def _stored(self, step: Step, own: str) -> list[Line]:
        lines: list[Line] = []
        role = ROLES[Part.CONFIG] if step.part is Part.CONFIG else Role.SOURCE
        for place in step.reads:
            what = f"{step.what} {place.name}" if place.system else step.what
            key = self._place(place, role)
            lines += [
                Message(own, key, "\n".join([what, *step.detail[:3]])),
                Message(key, own, "rows" if step.part is not Part.CONFIG else "settings", reply=True),
            ]
        for place in step.writes:
            what = f"{step.what} {place.name}" if place.system else step.what
            lines.append(Message(own, self._place(place, Role.TARGET), "\n".join([what, *step.detail[:3]])))
        return lines

    def _call(self, call: Call, own: str, level: int) -> list[Line]:
        if call.component == own:
            return self._block(call.body, own, level)
        other = self._component(call.component)
        name = "new" if call.function == "__init__" else call.function
        deeper = self.depth is None or level < self.depth
        told = [] if deeper else [label(step) for step in call.body.steps() if step.part is not Part.LOG]
        start = Message(own, other, "\n".join([f"{name}({call.arguments})", *dict.fromkeys(told)][:TOLD]))
        inside = self._block(call.body, other, level + 1) if deeper else []
        if call.function == "__init__" and not inside:
            return []
        lines: list[Line] = [start, *inside]
        if call.function != "__init__":
            lines.append(Message(other, own, "done" if call.part is Part.LOAD else "result", reply=True))
        if call.retry is None:
            return lines
        text = f"at most {call.retry.attempts} times" if call.retry.attempts else "until it works"
        wait = f", waiting {call.retry.wait}" if call.retry.wait else ""
        return [Frame("loop", ((text + wait, tuple(lines)),))]
