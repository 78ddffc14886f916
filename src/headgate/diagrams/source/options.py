"""What a program is told from outside: arguments of argparse, options of click and typer, the environment.

A default that the source has is shown; without one the name stands in braces.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from headgate.diagrams.source.values import NOTHING, Called, Function, Instance, Items, Known, Pairs, Thing, Value

if TYPE_CHECKING:
    from headgate.diagrams.source.machine import Machine, Scope

PARSER = "\0options"
_ENVIRONMENT = ("os.getenv", "os.environ.get", "decouple.config", "environ.get", "os.environ.setdefault")
_OPTIONS = ("option", "argument", "Option", "Argument")


def called(path: str, thing: Thing, call: Called) -> Value | None:
    """The result of a call of argparse, or of a look into the environment."""
    if path in _ENVIRONMENT and call.args:
        default = call.argument(1, "default")
        if isinstance(default, Known) and isinstance(default.value, str) and default.value:
            return Known(value=default.value, whole=False)
        return Thing(path="?environment", shown="${" + call.args[0].text + "}")
    if path in ("argparse.ArgumentParser", "configargparse.ArgParser"):
        return Thing(path=f"{path}()", calls=(Called(PARSER, (), {PARSER: Pairs()}),))
    options = _options(thing)
    if options is None:
        return None
    match call.name:
        case "add_argument":
            _add(options, call)
            return Known(value=None)
        case "set_defaults":
            options.pairs.update(call.kwargs)
            return Known(value=None)
        case "parse_args" | "parse_known_args":
            given = Instance(NOTHING, None, options.pairs)
            return given if call.name == "parse_args" else Items(NOTHING, (given, Items()))
        case _:
            return None


def _options(thing: Thing) -> Pairs | None:
    first = thing.calls[0] if thing.calls else None
    found = first.kwargs.get(PARSER) if first is not None and first.name == PARSER else None
    return found if isinstance(found, Pairs) else None


def _add(options: Pairs, call: Called) -> None:
    names = [one.text for one in call.args]
    if not names:
        return
    long = next((one for one in names if one.startswith("--")), names[0])
    given = call.kwargs.get("dest")
    name = given.text if given is not None else long.lstrip("-").replace("-", "_")
    default = call.kwargs.get("default")
    unset = default is None or (isinstance(default, Known) and default.value is None)
    options.pairs[name] = Thing(NOTHING, f"?{name}", shown="{" + name + "}") if default is None or unset else default


def default(machine: Machine, function: Function, name: str, scope: Scope) -> Value | None:
    """What ``@click.option("--name", default=…)`` says of a parameter."""
    node = function.node
    if node is None or isinstance(node, ast.Lambda):
        return None
    for one in node.decorator_list:
        if not (isinstance(one, ast.Call) and ast.unparse(one.func).rpartition(".")[2] in _OPTIONS):
            continue
        names = [text.value for text in one.args if isinstance(text, ast.Constant) and isinstance(text.value, str)]
        if name not in [text.lstrip("-").replace("-", "_") for text in names]:
            continue
        given = next((keyword.value for keyword in one.keywords if keyword.arg == "default"), None)
        return machine.evaluate(given, scope) if given is not None else None
    return None


def unwrapped(value: Value) -> Value | None:
    """The default within ``typer.Option("orders.csv")``; None where it has none."""
    if isinstance(value, Thing) and value.calls and value.path.startswith(("typer.", "fastapi.", "click.")):
        given = value.calls[-1].argument(0, "default")
        return given if isinstance(given, Known) and isinstance(given.value, str) else None
    return value
