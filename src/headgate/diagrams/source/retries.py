"""Retries as a source has them: decorators, and loops that try again."""

from __future__ import annotations

import ast
import re

from headgate.diagrams.source.flow import Retry
from headgate.diagrams.source.modules import FunctionNode

ATTEMPTS = ("retries", "max_retries", "attempts", "max_attempts", "tries", "max_tries", "num_retries", "times", "retry")
WAITS = ("delay", "wait", "wait_seconds", "retry_delay", "interval", "retry_delay_seconds", "sleep", "wait_time")
FACTORS = ("backoff_factor", "backoff", "factor", "exponential_base", "multiplier")
_NAME = re.compile(r"retry|retries|backoff|resilien", re.I)


def retry_of(node: FunctionNode) -> Retry | None:
    """What a decorator says of retries; None when there is none."""
    for decorator in node.decorator_list:
        name = ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)
        if isinstance(decorator, ast.Call):
            given = {one.arg: one.value for one in decorator.keywords if one.arg}
            if _NAME.search(name):
                return _told(given, decorator.args)
            if any(one in given for one in ("retries", "max_retries")):  # a task of Prefect or Celery
                return _told(given, [])
        elif _NAME.search(name):
            return Retry()
    return None


def _told(given: dict[str, ast.expr], args: list[ast.expr]) -> Retry:
    attempts = next((_text(given[name]) for name in ATTEMPTS if name in given), "")
    if not attempts and "stop" in given:
        attempts = _inside(given["stop"], "stop_after_attempt")
    if not attempts and args and isinstance(args[0], ast.Constant) and isinstance(args[0].value, int):
        attempts = str(args[0].value)
    return Retry(attempts, _wait(given))


def _wait(given: dict[str, ast.expr]) -> str:
    factor = next((_text(given[name]) for name in FACTORS if name in given), "")
    wait = next((given[name] for name in WAITS if name in given), None)
    if wait is not None and isinstance(wait, ast.Call):
        fixed = _inside(wait, "wait_fixed")
        if fixed:
            return f"{fixed} s"
        shown = ", ".join(f"{one.arg}={_text(one.value)}" for one in wait.keywords)
        return f"{ast.unparse(wait.func).rpartition('.')[2].removeprefix('wait_')} wait {shown}".strip()
    if factor and wait is not None:
        return f"{_text(wait)} × {factor}**n s"
    if factor:
        return f"{factor}**n s"
    return f"{_text(wait)} s" if wait is not None else ""


def _inside(node: ast.expr, name: str) -> str:
    """The first argument of a call of that name, anywhere within."""
    for one in ast.walk(node):
        if isinstance(one, ast.Call) and ast.unparse(one.func).rpartition(".")[2] == name:
            values = [*one.args, *(keyword.value for keyword in one.keywords)]
            return _text(values[0]) if values else ""
    return ""


def _text(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ast.unparse(node)


def looped(node: ast.For | ast.While | ast.AsyncFor) -> Retry | None:
    """What a loop that tries again says: ``for attempt in range(3): try: … except: sleep``."""
    attempts = [one for one in node.body if isinstance(one, ast.Try)]
    if not attempts:
        return None
    sleeps = [
        one
        for handler in (*attempts[0].handlers, node)
        for one in ast.walk(handler)
        if isinstance(one, ast.Call) and ast.unparse(one.func).rpartition(".")[2] == "sleep" and one.args
    ]
    head = ast.unparse(node.test if isinstance(node, ast.While) else node.target)
    if not sleeps and not re.search(r"attempt|retr|tries|\btry", head, re.I):
        return None
    count = ""
    if isinstance(node, ast.For | ast.AsyncFor):
        count = _range(node.iter)
        if not count:
            return None  # a round for each thing, not the same thing again
    elif isinstance(node.test, ast.Compare):
        count = _text(node.test.comparators[0])
    return Retry(count, f"{_text(sleeps[0].args[0])} s" if sleeps else "")


def _range(node: ast.expr) -> str:
    if not (isinstance(node, ast.Call) and ast.unparse(node.func) in ("range", "count") and node.args):
        return ""
    if len(node.args) == 1:
        return _text(node.args[0])
    first, last = node.args[0], node.args[1]
    match first, last:
        case ast.Constant(value=1), ast.BinOp(op=ast.Add(), right=ast.Constant(value=1)):
            return _text(last.left)
        case ast.Constant(value=int() as low), ast.Constant(value=int() as high):
            return str(high - low)
        case _:
            return _text(last)
