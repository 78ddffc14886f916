"""What Python's own operators, functions and methods make of values that are known in part."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from headgate.diagrams.source import paths
from headgate.diagrams.source.values import (
    Called,
    Either,
    Items,
    Known,
    Pairs,
    Thing,
    Value,
    joined,
    known,
    merged,
    origins_of,
)

NAMES = frozenset(
    {
        "open", "print", "range", "len", "str", "int", "float", "list", "dict", "tuple", "set", "zip", "map", "filter",
        "enumerate", "sorted", "sum", "min", "max", "any", "all", "reversed", "iter", "next", "isinstance", "getattr",
        "setattr", "hasattr", "exit", "quit", "input", "bool", "abs", "round", "type", "repr", "format", "bytes",
        "vars", "id", "hash", "callable", "object", "frozenset", "divmod", "issubclass", "super",
    }
)  # fmt: skip
SAME = frozenset({"list", "tuple", "set", "iter", "reversed", "sorted", "str", "next", "frozenset", "dict", "int"})
"""Functions whose result is, as far as a picture goes, their argument."""
_PERCENT = re.compile(r"%(?:\((\w+)\))?[-#0 +]*\d*(?:\.\d+)?[a-zA-Z]")
_FIELD = re.compile(r"\{([^{}]*?)(?:![rsa])?(?::[^{}]*)?\}")
_PLAIN = {"strip", "lstrip", "rstrip", "encode", "decode", "copy", "dedent"}
_CASES: dict[str, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper, "title": str.title}


def operated(operator: str, left: Value, right: Value) -> Value:
    """The result of a binary operator."""
    origins = origins_of([left, right])
    if operator == "+":
        if isinstance(left, Items) and isinstance(right, Items):
            return Items(origins, left.items + right.items)
        if _is_text(left) or _is_text(right):
            return joined([left, right])
        numbers = known(left), known(right)
        if all(isinstance(one, int | float) for one in numbers):
            return Known(origins, numbers[0] + numbers[1])
    if operator == "*" and all(isinstance(known(one), int | float) for one in (left, right)):
        return Known(origins, known(left) * known(right))
    if operator == "%" and _is_text(left):
        return percent(left, right)
    if operator == "/" and beside_code(left):
        return right
    if operator == "/" and (_is_path(left) or _is_text(right)):
        return joined([left, Known(value="/"), right])
    if operator == "|" and isinstance(left, Pairs) and isinstance(right, Pairs):
        return Pairs(origins, {**left.pairs, **right.pairs})
    return Thing(origins, "?")


def _is_text(value: Value) -> bool:
    if isinstance(value, Either):
        return any(_is_text(one) for one in value.options)
    return isinstance(value, Known) and isinstance(value.value, str)


def _is_path(value: Value) -> bool:
    return isinstance(value, Thing) and ("Path" in value.path or "dir" in value.path.lower())


def beside_code(value: Value) -> bool:
    """Whether a path is that of the code's own folder: what lies there is named from there."""
    if not isinstance(value, Thing):
        return False
    inner = value.calls[0].args[:1] if value.calls else ()
    return value.path.startswith("?__file__") or any(beside_code(one) for one in inner)


def percent(template: Value, values: Value) -> Value:
    """``template % values``."""
    given = list(values.items) if isinstance(values, Items) else [values]
    pairs = values.pairs if isinstance(values, Pairs) else {}
    parts: list[Value] = []
    text, end = template.text, 0
    for number, found in enumerate(_PERCENT.finditer(text)):
        parts.append(Known(value=text[end : found.start()]))
        name = found[1]
        parts.append(pairs.get(name, _hole(name)) if name else given[number] if number < len(given) else _hole(""))
        end = found.end()
    return joined([*parts, Known(value=text[end:])])


def _hole(name: str) -> Value:
    return Thing(path=f"?{name or 'value'}")


def formatted(template: Value, call: Called) -> Value:
    """``template.format(…)``."""
    parts: list[Value] = []
    text, end, number = template.text, 0, 0
    for found in _FIELD.finditer(text):
        parts.append(Known(value=text[end : found.start()]))
        name = re.split(r"[.\[]", found[1])[0]
        if not name:
            name, number = str(number), number + 1
        given = call.argument(int(name)) if name.isdigit() else call.kwargs.get(name)
        parts.append(given or _hole(found[1]))
        end = found.end()
    return joined([*parts, Known(value=text[end:])])


def method(value: Value, call: Called) -> Value | None:
    """The result of a method of a text, list or mapping; None where it is not known."""
    match value:
        case Known() if isinstance(value.value, str):
            return _text_method(value, call)
        case Either():
            results = [method(option, call) for option in value.options]
            if any(result is None for result in results):
                return None
            result = results[0]
            for other in results[1:]:
                assert result is not None
                assert other is not None
                result = merged(result, other)
            return result
        case Items():
            return _items_method(value, call)
        case Pairs():
            return _pairs_method(value, call)
        case _:
            return None


def _text_method(value: Known, call: Called) -> Value | None:
    if call.name == "format":
        return formatted(value, call)
    if call.name == "join" and call.args:
        given = call.args[0]
        if isinstance(given, Items):
            return Known(origins_of([given]), value.value.join(item.text for item in given.items), False)
        return Thing(given.origins, "?", shown=given.text)
    if call.name in paths.METHODS:
        return paths.method(value, call)
    if call.name in ("removesuffix", "removeprefix") and call.args:
        cut = str.removesuffix if call.name == "removesuffix" else str.removeprefix
        return Known(value.origins, cut(value.value, call.args[0].text), value.whole)
    if call.name in _PLAIN:
        return value
    if call.name in _CASES:
        return Known(value.origins, _CASES[call.name](value.value), value.whole)
    if call.name == "replace" and len(call.args) == 2:
        return Known(value.origins, value.value.replace(call.args[0].text, call.args[1].text), False)
    if call.name in ("split", "splitlines") and value.whole:
        parts = value.value.split(*(known(one) for one in call.args[:1] if isinstance(known(one), str)))
        return Items(value.origins, tuple(Known(value.origins, part) for part in parts))
    return None


def _items_method(value: Items, call: Called) -> Value | None:
    if call.name == "copy":
        return value
    return None


def _pairs_method(value: Pairs, call: Called) -> Value | None:
    match call.name:
        case "get" | "pop" | "setdefault" if call.args:
            default = call.argument(1)
            return value.pairs.get(call.args[0].text, default or Thing(value.origins, f"?{call.args[0].text}"))
        case "items":
            return Items(
                value.origins, tuple(Items(one.origins, (Known(value=k), one)) for k, one in value.pairs.items())
            )
        case "values":
            return Items(value.origins, tuple(value.pairs.values()))
        case "keys":
            return Items(value.origins, tuple(Known(value=key) for key in value.pairs))
        case "copy":
            return Pairs(value.origins, dict(value.pairs))
        case "update":
            for one in call.args:
                if isinstance(one, Pairs):
                    value.pairs.update(one.pairs)
            value.pairs.update(call.kwargs)
            return Known(value=None)
        case _:
            return None


def function(name: str, args: Sequence[Value]) -> Value | None:
    """The result of a function of Python's own that keeps rows; None where it is not known."""
    if name in SAME:
        return args[0] if args else Items() if name in ("list", "tuple", "set") else Pairs() if name == "dict" else None
    if name == "enumerate" and args:
        if isinstance(args[0], Items):
            return Items(
                args[0].origins,
                tuple(Items(one.origins, (Known(value=n), one)) for n, one in enumerate(args[0].items)),
            )
        return Items(args[0].origins, (Items(args[0].origins, (Thing(path="?number"), element(args[0]))),))
    if name == "zip" and args and all(isinstance(one, Items) for one in args):
        lists = [one.items for one in args if isinstance(one, Items)]
        return Items(origins_of(args), tuple(Items(origins_of(row), row) for row in zip(*lists, strict=False)))
    return None


def element(value: Value) -> Value:
    """What one round of a loop over a value has."""
    match value:
        case Items() if value.items:
            if all(isinstance(one, Items) for one in value.items):
                rows = [one.items for one in value.items if isinstance(one, Items)]
                return Items(value.origins, tuple(_one_of(column) for column in zip(*rows, strict=False)))
            return _one_of(value.items)
        case Pairs() if value.pairs:
            return _one_of([Known(value=key) for key in value.pairs])
        case Thing():
            return Thing(value.origins, f"{value.path}[]", value.calls)
        case _:
            return Thing(value.origins, "?")


def _one_of(values: Sequence[Value]) -> Value:
    result = values[0]
    for value in values[1:]:
        result = merged(result, value)
    return result
