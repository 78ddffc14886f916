"""Activity: what an entry does, decides and may end as; only what its source holds."""

from __future__ import annotations

from dataclasses import replace

from headgate.diagrams.drawings.depth import fitting, told
from headgate.diagrams.drawings.words import ROLES, detail, label, role_of
from headgate.diagrams.fold import fits
from headgate.diagrams.graph import EdgeKind, Graph
from headgate.diagrams.palette import Role
from headgate.diagrams.pipelines.sketch import Sketch
from headgate.diagrams.source.flow import (
    Attempt,
    Block,
    Call,
    Choice,
    Entry,
    Item,
    Loop,
    Part,
    Retry,
    Step,
    Stop,
)

YES, NO = "Yes", "No"
Open = list[tuple[str, str]]
"""Ends that wait for what comes next: where from, and the label of the way."""


def activity(entry: Entry, depth: int | None = None) -> Graph:
    """The picture; calls deeper than ``depth`` are one node each. Without it, calls are as deep as there is room."""
    if depth is not None:
        return _Drawing(entry, depth).graph()
    graph, level = fitting(lambda level: _Drawing(entry, level).graph(), fits, entry.body)
    return replace(graph, title=told(graph.title, level))


class _Drawing:
    def __init__(self, entry: Entry, depth: int | None) -> None:
        self.entry, self.depth = entry, depth
        self.sketch = Sketch(f"What {entry.name} does")
        self.number = 0
        self.returns: list[Open] = []
        self.failures: list[list[tuple[str, str]]] = []
        self.noted = False
        self.tails = _tails(entry.body)

    def graph(self) -> Graph:
        start = self._node(f"Run {self.entry.name}", Role.START_END)
        self.returns.append([])
        body = self._retried(self.entry.retry, [(start, "")], self.entry.body, 1)
        early = self.returns.pop()
        if body:
            self._join(body, self._node("Success", Role.START_END))
        for source, text in early:
            end = self._node("Success" if not text else f"Success: {text}", Role.START_END)
            self.sketch.edge(source, end)
        return self.sketch.graph()

    def _node(self, text: str, role: Role, more: tuple[str, ...] = ()) -> str:
        self.number += 1
        return self.sketch.node(f"{role.value} {self.number}", text, role, more)

    def _join(self, ways: Open, to: str) -> Open:
        for source, text in ways:
            self.sketch.edge(source, to, text)
        return [(to, "")]

    # ---------------------------------------------------------------------------------------------- blocks

    def _block(self, block: Block, ways: Open, level: int) -> Open:
        for item in block.items:
            if not ways:
                break  # nothing comes after a raise or a return
            ways = self._item(item, ways, level)
        return ways

    def _item(self, item: Item, ways: Open, level: int) -> Open:
        match item:
            case Step():
                return self._step(item, ways)
            case Call():
                return self._call(item, ways, level)
            case Choice():
                return self._choice(item, ways, level)
            case Loop():
                return self._loop(item, ways, level)
            case Attempt():
                return self._attempt(item, ways, level)
            case Stop():
                return self._stop(item, ways)

    def _step(self, step: Step, ways: Open) -> Open:
        if (
            step.part is Part.LOG
            and not self.noted
            and step.level not in ("warning", "warn", "error", "exception", "critical")
        ):
            return ways
        role = ROLES[step.part]
        if step.part is Part.LOG and step.level in ("error", "exception", "critical", "fatal"):
            role = Role.WARNING
        return self._join(ways, self._node(label(step), role, detail(step)))

    def _call(self, call: Call, ways: Open, level: int) -> Open:
        if self.depth is not None and level > self.depth:
            lines = tuple(label(step) for step in call.body.steps() if step.part is not Part.LOG)
            return self._join(ways, self._node(f"{call.component}.{call.function}", role_of(call), lines[:4]))
        if id(call) in self.tails:
            return self._block(call.body, ways, level + 1)  # where it returns, the entry ends
        self.returns.append([])
        ways = self._retried(call.retry, ways, call.body, level + 1)
        return ways + [(source, "") for source, _ in self.returns.pop()]

    def _retried(self, retry: Retry | None, ways: Open, block: Block, level: int) -> Open:
        if retry is None:
            return self._block(block, ways, level)
        first = self.number
        ways = self._block(block, ways, level)
        if self.number == first or not ways:
            return ways
        begin = list(self.sketch.nodes)[first]
        return self._again(retry, begin, self._join(ways, self._node("Did it fail?", Role.DECISION)))

    def _again(self, retry: Retry, begin: str, ways: Open) -> Open:
        """After a decision whether something failed: wait and do it again, or give up."""
        failed = ways[0][0]
        count = f"Retry count < {retry.attempts}?" if retry.attempts else "Try again?"
        again = self._node(count, Role.DECISION)
        self.sketch.edge(failed, again, YES)
        if retry.wait:
            wait = self._node(f"Wait {retry.wait}", Role.WARNING)
            self.sketch.edge(again, wait, YES)
            self.sketch.edge(wait, begin, "try again", EdgeKind.RETRY)
        else:
            self.sketch.edge(again, begin, YES, EdgeKind.RETRY)
        self._fail("retries used up", [(again, NO)])
        return [(failed, NO)]

    def _choice(self, choice: Choice, ways: Open, level: int) -> Open:
        if not any(self._shown(block) for block in (choice.yes, choice.no)):
            return ways
        decision = self._node(f"{choice.test}?", Role.DECISION)
        self._join(ways, decision)
        before, self.noted = self.noted, True
        yes = self._block(choice.yes, [(decision, YES)], level)
        no = self._block(choice.no, [(decision, NO)], level)
        self.noted = before
        return yes + no

    def _shown(self, block: Block) -> bool:
        return any(isinstance(item, Stop | Step) for item in block.walk())

    def _loop(self, loop: Loop, ways: Open, level: int) -> Open:
        first = self.number
        if loop.retry is not None:
            inside = self._looped(loop, ways, level)
            if self.number > first and inside:
                begin = list(self.sketch.nodes)[first]
                return self._again(loop.retry, begin, self._join(inside, self._node("Did it fail?", Role.DECISION)))
            return inside
        decision = self._node(f"{loop.text}: another?", Role.DECISION)
        self._join(ways, decision)
        for source, text in self._looped(loop, [(decision, YES)], level):
            self.sketch.edge(source, decision, text)
        return [] if loop.text == "for ever" else [(decision, NO)]

    def _looped(self, loop: Loop, ways: Open, level: int) -> Open:
        body = _tried(loop.body) if loop.retry is not None else loop.body
        return self._block(body, ways, level)

    def _attempt(self, attempt: Attempt, ways: Open, level: int) -> Open:
        shown = [(name, block) for name, block in attempt.handlers if self._shown(block)]
        caught: list[tuple[str, str]] = []
        self.failures.append(caught)
        first = self.number
        ways = self._block(attempt.body, ways, level)
        self.failures.pop()
        result = ways
        if shown:
            question = f"Did it raise {' or '.join(name for name, _ in shown)}?"
            if ways and self.number > first:
                decision = self._node(question if len(shown) == 1 else "Did it fail?", Role.DECISION)
                self._join(ways, decision)
                result = [(decision, NO)]
                open_: Open = [(decision, YES)]
            else:
                open_ = []
            before, self.noted = self.noted, True
            result += self._handlers(shown, open_, caught, level)
            self.noted = before
        return self._block(attempt.final, result, level) if attempt.final and result else result

    def _handlers(self, shown: list[tuple[str, Block]], open_: Open, caught: list[tuple[str, str]], level: int) -> Open:
        result: Open = []
        for number, (name, block) in enumerate(shown):
            last = number == len(shown) - 1
            mine = [one for one in caught if _catches(name, one[1])]
            caught[:] = [one for one in caught if one not in mine]
            ways: Open = [(source, "") for source, _ in mine]
            if open_:
                if last:
                    ways += [
                        (source, text if len(shown) == 1 else name if text == YES else text) for source, text in open_
                    ]
                else:
                    which = self._node(f"{name}?", Role.DECISION)
                    self._join(open_, which)
                    ways.append((which, YES))
                    open_ = [(which, NO)]
            if ways:
                result += self._block(block, ways, level)
        for source, text in caught:
            self._fail(text, [(source, "")])
        return result

    def _stop(self, stop: Stop, ways: Open) -> Open:
        match stop.kind:
            case "return":
                text = "" if stop.text in ("", "None", "True") else stop.text
                if len(self.returns) == 1:
                    self.returns[-1] += [(self._turn(source, way), text) for source, way in ways]
                else:
                    self.returns[-1] += ways
            case "raise":
                error = self._node(f"Raise {stop.text}" if stop.text != "again" else "Raise again", Role.ERROR)
                self._join(ways, error)
                if self.failures:
                    self.failures[-1].append((error, stop.text))
                else:
                    self._fail(stop.text, [(error, "")])
            case "exit":
                ended = stop.text in ("", "0")
                self._join(
                    ways,
                    self._node(
                        "Exit" + (f": {stop.text}" if stop.text else ""), Role.START_END if ended else Role.ERROR
                    ),
                )
        return []

    def _turn(self, source: str, way: str) -> str:
        """A node of its own where a decision leads straight to a return, so that the label of the way stays."""
        if not way:
            return source
        node = self._node("Return", Role.PROCESS)
        self.sketch.edge(source, node, way)
        return node

    def _fail(self, why: str, ways: Open) -> None:
        end = self._node("Failed" if why == "again" else f"Failed: {why}", Role.START_END)
        for source, text in ways:
            self.sketch.edge(source, end, text, EdgeKind.FAILURE)


def _tails(block: Block) -> set[int]:
    """Calls that nothing comes after."""
    last = block.items[-1] if block.items else None
    return {id(last), *_tails(last.body)} if isinstance(last, Call) and last.retry is None else set()


def _catches(handler: str, raised: str) -> bool:
    """Whether a handler takes what was raised; by name, as classes of others are not known."""
    name = raised.split(":")[0]
    return (
        handler in ("any exception", "Exception", "BaseException")
        or name in handler.replace("(", " ").replace(")", " ").replace(",", " ").split()
    )


def _tried(block: Block) -> Block:
    """A retrying loop's body without its ``try``: the failure is drawn as the retry."""
    items: list[Item] = []
    for item in block.items:
        if isinstance(item, Attempt):
            items += [one for one in item.body.items if not (isinstance(one, Stop) and one.kind == "return")]
        else:
            items.append(item)
    return Block(items)
