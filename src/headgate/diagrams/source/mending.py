"""Python that today's parser refuses: the forms of Python 2 rewritten, and what is broken left out."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable

MOST = 25
"""Broken statements that are left out of one file before it is given up."""
_PRINT = re.compile(r"^(\s*(?:[^#'\"\n]*?:\s+|.*?;\s*)?)print(?:\s+(?![=.(,)\]])|(?=['\"])|\s*$)(.*?)\s*$")
_PRINT_TUPLE = re.compile(r"^(\s*)print\s+(\(.*\)\s*%.*|\(.*\),.*)$")
_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^(\s*except\s+[\w.()]+(?:\s*,\s*[\w.]+\s*\))?)\s*,\s*(\w+)\s*:"), r"\1 as \2:"),
    (re.compile(r"^(\s*except\s+\([^()]*\))\s*,\s*(\w+)\s*:"), r"\1 as \2:"),
    (re.compile(r"^(\s*raise\s+[\w.]+)\s*,\s*([^\n]+)$"), r"\1(\2)"),
    (re.compile(r"^(\s*exec)\s+(?!\()([^\n]+)$"), r"\1(\2)"),
    (re.compile(r"<>"), "!="),
    (re.compile(r"\b(\d+)[lL]\b"), r"\1"),
    (re.compile(r"\b0+(\d+)\b(?![.\w])"), r"0o\1"),
    (re.compile(r"\b[uU][rR](['\"])"), r"r\1"),
    (re.compile(r"`([^`\n]+)`"), r"repr(\1)"),
)


class Broken(Exception):  # noqa: N818 - it is caught where it is raised, and told as a problem
    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message, self.line = message, line


def parsed(text: str, note: Callable[[str, int], None]) -> ast.Module | None:
    """The syntax tree; ``note`` is told of what had to be left out. None when nothing could be read."""
    try:
        return _tree(text)
    except Broken as broken:
        first = broken
    older = _modern(text)
    if older != text:
        try:
            return _tree(older)
        except Broken as broken:
            if broken.line > first.line:  # the rewriting got further
                text, first = older, broken
    note(f"it is no valid Python: {first.message}", first.line)
    return _without(text, first)


def _tree(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes and comparisons in code that is not ours
        try:
            return ast.parse(text)
        except SyntaxError as error:
            raise Broken(error.msg, error.lineno or 1) from None
        except RecursionError:
            raise Broken("its expressions are nested too deeply", 1) from None
        except MemoryError:
            raise Broken("its expressions are nested too deeply", 1) from None
        except ValueError as error:
            raise Broken(str(error), 1) from None


def _modern(text: str) -> str:
    return "\n".join(_line(line) for line in text.expandtabs(8).split("\n"))


def _line(line: str) -> str:
    if line.lstrip().startswith("#"):
        return line
    for pattern, replacement in _REWRITES:
        line = pattern.sub(replacement, line)
    found = _PRINT_TUPLE.match(line) or _PRINT.match(line)
    if found:
        what = re.sub(r"^>>\s*[\w.]+\s*,?\s*", "", found[2]).removesuffix(",")
        line = f"{found[1]}print({what})"
    return line


def _without(text: str, broken: Broken) -> ast.Module | None:
    """The tree of the text without the statements that are broken: first the smallest, then those around."""
    lines = text.split("\n")
    if len(lines) < 3:
        return None
    previous = 0
    for attempt in range(MOST):
        at = min(max(broken.line, 1), len(lines)) - 1
        whole = at == previous - 1 or attempt >= MOST // 2
        start, end = _statement(lines, at, whole)
        if not any(line.strip() for line in lines[start:end]):
            start, end = _statement(lines, max(start - 1, 0), True)
        indent = re.match(r"\s*", lines[start])
        lines[start:end] = [f"{indent[0] if indent else ''}pass", *[""] * (end - start - 1)]
        previous = at + 1
        try:
            return _tree("\n".join(lines))
        except Broken as again:
            broken = again
    return None


def _statement(lines: list[str], at: int, whole: bool) -> tuple[int, int]:
    """Where the statement at a line begins and ends; ``whole``: the outermost one around it."""
    start = at
    if whole:
        while start > 0 and (not lines[start].strip() or lines[start][:1] in " \t)]}#"):
            start -= 1
    width = _width(lines[start])
    end = start + 1
    while end < len(lines) and (
        not lines[end].strip() or _width(lines[end]) > width or (whole and lines[end][:1] in ")]}")
    ):
        end += 1
    return start, max(end, at + 1)


def _width(line: str) -> int:
    expanded = line.expandtabs(8)
    return len(expanded) - len(expanded.lstrip())
