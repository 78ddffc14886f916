"""How the arguments of a known call are shown, without what is secret."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from headgate.diagrams.source.values import Called, Either, Function, Items, Known, Pairs, Thing, Value

LONGEST = 80
SECRET = re.compile(r"passw|secret|token|api_?key|credential|auth|headers", re.I)


def cut(text: str, longest: int = LONGEST) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def clean(text: str) -> str:
    """A place without who may enter it: no user, no password, no query of an address."""
    text = re.sub(r"//[^/@\s]*@", "//", text)
    if re.match(r"https?://", text):
        parts = urlsplit(text.replace("{", "%7B").replace("}", "%7D"))
        path = "" if re.search(r"hook", parts.netloc + parts.path) else parts.path.rstrip("/")
        text = f"{parts.netloc}{path}".replace("%7B", "{").replace("%7D", "}")
    return cut(text)


def listed(value: Value | None) -> str:
    """Names of columns and the like, as people write them."""
    match value:
        case None:
            return ""
        case Items():
            return ", ".join(filter(None, map(listed, value.items[:8]))) + (" …" if len(value.items) > 8 else "")
        case Pairs():
            return ", ".join(f"{key}: {listed(one)}" for key, one in list(value.pairs.items())[:8])
        case Known():
            return str(value.value)
        case Either():
            return " or ".join(value.texts()[:3])
        case Function():
            return name_of(value)
        case Thing():
            return _thing(value)
        case _:
            return ""


def _thing(value: Thing) -> str:
    if value.path.startswith(("pyspark.sql.functions", "polars.col")) and value.calls:
        first = value.calls[0]
        return listed(first.args[0]) if first.args else ""
    if value.calls or value.path == "?" or value.origins:
        return ""
    last = value.path.rpartition(".")[2]
    return last if last.isupper() else value.text.strip("{}")  # a member of an enumeration is known by its own name


def name_of(function: Function) -> str:
    if isinstance(function.node, ast.Lambda):
        return cut(ast.unparse(function.node.body), 50)
    return function.node.name if function.node else ""


def named(called: Called, wanted: tuple[str, ...]) -> Iterator[str]:
    """``name=value`` of the arguments that tell something."""
    for one in wanted:
        name, _, shown = one.partition(">")
        if name in called.kwargs and not SECRET.search(name):
            text = listed(called.kwargs[name])
            if text:
                yield cut(f"{shown or name}={text}")


def told(how: str, called: Called, node: ast.Call) -> list[str]:  # noqa: C901 - one case a way
    """Lines that say what a transformation does, as its arguments do."""
    match how:
        case "group":
            return [f"GROUP BY {names}"] if (names := _columns(called, "by", "every", "rule")) else []
        case "join":
            return list(_join(called))
        case "agg":
            return list(_aggregates(called, node))
        case "columns":
            names = _columns(called, "subset", "columns", "index", "values")
            return [names] if names else []
        case "sorted":
            return [f"ORDER BY {names}"] if (names := _columns(called, "by")) else []
        case "condition":
            return _condition(called, node)
        case "named":
            return list(called.kwargs) or _aliases(node)
        case "column":
            return [called.args[0].text] if called.args else []
        case "function":
            return [name_of(one) for one in called.args if isinstance(one, Function)]
        case "values":
            return [f"with {text}"] if called.args and (text := listed(called.args[0])) else []
        case _:
            text = listed(called.kwargs.get("columns"))
            return [cut(text)] if text else []


def _columns(called: Called, *names: str) -> str:
    given = [one for name in names if (one := called.kwargs.get(name)) is not None]
    positional = given or list(called.args)
    return cut(", ".join(filter(None, map(listed, positional))))


def _join(called: Called) -> Iterator[str]:
    how = called.argument(None, "how", "join_type")
    if how is None and len(called.args) > 2:
        how = called.args[2]
    kind = f"{how.text.upper()} " if isinstance(how, Known) else ""
    on = called.argument(None, "on", "left_on", "by") or (called.args[1] if len(called.args) > 1 else None)
    right = called.kwargs.get("right_on")
    if on is not None and isinstance(on, Known | Items | Either):
        keys = listed(on)
        yield cut(f"{kind}JOIN ON {keys}" + (f" = {listed(right)}" if right is not None else ""))
    elif "left_index" in called.kwargs or "right_index" in called.kwargs:
        yield f"{kind}JOIN ON the index"
    else:
        yield f"{kind}JOIN"


def _aggregates(called: Called, node: ast.Call) -> Iterator[str]:
    given = called.args[0] if called.args else None
    if isinstance(given, Pairs):
        for key, one in list(given.pairs.items())[:6]:
            yield cut(f"{listed(one)}({key})")
    elif isinstance(given, Known | Items) and listed(given):
        yield listed(given)
    for key, one in list(called.kwargs.items())[:6]:
        yield cut(f"{key} = {listed(one)}" if listed(one) else key)
    if not called.kwargs and not isinstance(given, Pairs | Known):
        for argument in node.args[:6]:
            yield cut(plain(argument))


def plain(node: ast.expr) -> str:
    """An expression of Spark or Polars without its wrapping: ``F.sum("amount").alias("total")`` is sum(amount)."""
    text = " ".join(ast.unparse(node).split())
    text = re.sub(r"\b(?:F|f|fn|pl|functions|sf)\.", "", text)
    text = re.sub(r"\bcol\('([^']*)'\)", r"\1", text)
    text = re.sub(r"\.alias\('([^']*)'\)", r" as \1", text)
    return text.replace("'", "")


def _aliases(node: ast.Call) -> list[str]:
    names = [
        str(one.args[0].value)
        for argument in node.args
        for one in ast.walk(argument)
        if isinstance(one, ast.Call)
        and isinstance(one.func, ast.Attribute)
        and one.func.attr == "alias"
        and one.args
        and isinstance(one.args[0], ast.Constant)
    ]
    return names[:6]


def _condition(called: Called, node: ast.Call) -> list[str]:
    first = called.args[0] if called.args else None
    if isinstance(first, Known):
        return [cut(first.text)]
    if isinstance(first, Function):
        return [name_of(first)]
    return [cut(plain(one)) for one in node.args[:3]]
