"""Writes the reference from what the program itself is made of: option models, commands, error codes.

python docs/generate.py            write docs/reference/{configuration,cli,errors}.md
python docs/generate.py --check    only say which of them are out of date (exit status 1)
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import yaml
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from headgate.config import sections
from headgate.config.schema import project_schema
from headgate.core.errors import Code, exit_status
from headgate.core.models import ConnectionOptions, Incremental, ReadOptions, RuleOptions, StepOptions, WriteOptions
from headgate.core.models import size as read_size
from headgate.core.registry import PackageRegistry
from headgate.core.secrets import Secret
from headgate.diagrams.pages.advice import advice_file

FOLDER = Path(__file__).parent / "reference"
GENERATED = "<!-- Written by docs/generate.py (make docs): change the models, not this page. -->\n"
PROJECT = {
    "connections": "Named systems that data comes from or goes to.",
    "lake": "The embedded lake; it is there without this key.",
    "state": "Where the history of runs is kept.",
    "defaults": "What pipelines take where they say nothing.",
    "alerts": "Who is told of every pipeline.",
    "pipelines": "Pipelines by name; files in `pipelines/` hold the same.",
}
PIPELINE_LINKS = {"error_handling": "error-handling", "monitoring": "monitoring"}


TEXTS = Path(__file__).parent / "texts"
ADVICE: dict[str, dict[str, str]] = yaml.safe_load(advice_file().read_text(encoding="utf-8"))
EXAMPLES: dict[str, dict[str, str]] = yaml.safe_load((TEXTS / "examples.yml").read_text(encoding="utf-8"))
PAGES: dict[str, str] = {
    path.stem: path.read_text(encoding="utf-8").strip() + "\n" for path in sorted(TEXTS.glob("*.md"))
}
CONNECTION_TEXT, LAKE_TEXT, PIPELINE_TEXT = PAGES["connections"], PAGES["lake"], PAGES["pipelines"]
SOURCE_TEXT, STEP_TEXT, RULE_TEXT = PAGES["sources"], PAGES["transformations"], PAGES["rules"]
TARGET_TEXT, MONITORING_TEXT = PAGES["targets"], PAGES["monitoring"]
CLI_TEXT, ERROR_TEXT = PAGES["cli"], PAGES["errors"]
BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
WORDS = {
    str: "text",
    int: "number",
    float: "number",
    Decimal: "number",
    bool: "true or false",
    timedelta: "duration",
    Secret: "secret",
}


def pages() -> dict[str, str]:
    """File name to content of every generated page."""
    return {"configuration.md": configuration(), "cli.md": command_line(), "errors.md": errors()}


# ------------------------------------------------------------------------------------------------- types in words


def type_in_words(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """What may be written for an option, such as ``number``, ``text or list`` or ```a` or `b```."""
    readers = [item.func for item in metadata if isinstance(item, BeforeValidator)]
    if read_size in readers:
        return "size"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_in_words(arguments[0], arguments[1:])
    if origin in (Union, UnionType):
        kinds = [type_in_words(one) for one in arguments if one is not type(None)]
        return ", ".join(dict.fromkeys(kinds)) if len(set(kinds)) < 4 else "value"
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin is tuple:
        inner = type_in_words(arguments[0])
        return "name or list of names" if readers else f"list of {_plural(inner)}"
    if origin in (dict, Mapping):
        return f"mapping of {_plural(type_in_words(arguments[1]))}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "options, see below"
    return WORDS.get(annotation, "value")


def _plural(word: str) -> str:
    return word + "s" if word in ("text", "number", "value", "duration") else word


def bounds_in_words(metadata: Iterable[Any]) -> str:
    found = []
    for item in metadata:
        for name, sign in BOUNDS.items():
            value = getattr(item, name, None)
            if isinstance(item, annotated_types.BaseMetadata) and value is not None:
                found.append(f"{sign} {_value(value)}")
    return " and ".join(found)


def default_in_words(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default in (None, PydanticUndefined, ()):
        return ""
    return f"`{_value(field.default)}`"


def _value(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case timedelta():
            return f"{value.total_seconds():g}s"
        case Secret():
            return value.reveal()
        case "":
            return '""'
        case tuple():
            return "[" + ", ".join(str(item) or '""' for item in value) + "]"
        case _:
            return str(value)


# ------------------------------------------------------------------------------------------------- configuration


def configuration() -> str:
    """The page of every option of the project file and of pipelines."""
    return GENERATED + "\n".join(_configuration()).rstrip() + "\n"


def _configuration() -> Iterator[str]:
    yield PAGES["configuration"]
    registry = PackageRegistry()
    yield "## Project: `headgate.yml`\n"
    schema = project_schema(registry)["properties"]
    yield "| key | what it is |\n|---|---|"
    for key, value in schema.items():
        shown = f"[`{key}`](#{key})" if key in PROJECT else f"`{key}`"
        yield f"| {shown} | {_cell(PROJECT.get(key) or value['description'])} |"
    yield "\n### Defaults\n"
    yield from _options(sections.Defaults)
    yield "### State\n"
    yield from _options(sections.State)
    yield from _kinds(
        "Connections", CONNECTION_TEXT, "connection", ConnectionOptions, _connections(registry), EXAMPLES["connections"]
    )
    lakes = {kind: registry.module("lake", kind).Connection for kind in registry.kinds("lake")}
    yield from _kinds("Lake", LAKE_TEXT, "lake", ConnectionOptions, lakes, {})
    yield "## Pipelines\n"
    yield PIPELINE_TEXT
    yield from _options(sections.Header, links=PIPELINE_LINKS, described=False)
    yield from _kinds("Sources", SOURCE_TEXT, "source", ReadOptions, _reads(registry), EXAMPLES["sources"])
    yield "### Incremental\n"
    yield from _options(Incremental)
    steps = {kind: registry.module("transforms", kind).Options for kind in registry.kinds("transforms")}
    yield from _kinds("Transformations", STEP_TEXT, "step", StepOptions, steps, EXAMPLES["steps"])
    rules = {kind: registry.module("quality", kind).Options for kind in registry.kinds("quality")}
    yield from _kinds("Quality rules", RULE_TEXT, "rule", RuleOptions, rules, EXAMPLES["rules"])
    yield from _kinds("Targets", TARGET_TEXT, "target", WriteOptions, _writes(registry), EXAMPLES["targets"])
    yield "## Error handling\n"
    yield from _options(sections.ErrorHandling, links={"retry": "retry"})
    yield "### Retry\n"
    yield from _options(sections.Retry)
    yield "## Monitoring\n"
    yield MONITORING_TEXT
    yield from _options(sections.Monitoring, links={"sla": "sla", "alerts": "alerts"})
    yield "### SLA\n"
    yield from _options(sections.Sla)
    yield "### Alerts\n"
    for alert in get_args(get_args(sections.Alert)[0]):
        yield f"#### Alert `{get_args(alert.model_fields['type'].annotation)[0]}`\n"
        yield from _options(alert)


def _connections(registry: PackageRegistry) -> dict[str, type[BaseModel]]:
    kinds = sorted({*registry.kinds("sources"), *registry.kinds("targets")})
    return {kind: registry.connection(kind) for kind in kinds}


def _reads(registry: PackageRegistry) -> dict[str, type[BaseModel]]:
    lakes = {f"{kind} (the lake)": registry.module("lake", kind).Read for kind in registry.kinds("lake")}
    return {kind: registry.module("sources", kind).Read for kind in registry.kinds("sources")} | lakes


def _writes(registry: PackageRegistry) -> dict[str, type[BaseModel]]:
    lakes = {f"{kind} (the lake)": registry.module("lake", kind).Write for kind in registry.kinds("lake")}
    return {kind: registry.module("targets", kind).Write for kind in registry.kinds("targets")} | lakes


def _kinds(
    title: str, text: str, word: str, common: type[BaseModel], kinds: Mapping[str, type[BaseModel]],
    examples: Mapping[str, str],
) -> Iterator[str]:  # fmt: skip
    """One section: what all kinds share, then each kind's own options and an example."""
    yield f"## {title}\n"
    yield text
    yield f"### Options of every {word}\n"
    yield from _options(common, links={"incremental": "incremental"}, described=False)
    for kind, model in kinds.items():
        name, _, note = kind.partition(" ")
        yield f"### {word.capitalize()} `{name}`{' ' + note if note else ''}\n"
        if name in examples:
            yield f"{_text(model)}\n\n```yaml\n{examples[name].strip()}\n```\n"
        else:
            yield f"{_text(model)}\n"
        yield from _options(model, without=common, described=False)


def _options(
    model: type[BaseModel],
    *,
    without: type[BaseModel] | None = None,
    links: Mapping[str, str] | None = None,
    described: bool = True,
) -> Iterator[str]:
    """A table of options; those that are as in ``without`` are left out."""
    rows, inner = [], list[tuple[str, type[BaseModel]]]()
    for name, field in model.model_fields.items():
        if name == "type" and without is not None:
            continue
        if without is not None and name in without.model_fields and _same(field, without.model_fields[name]):
            continue
        called = field.alias or name
        rows.append(_row(called, field, links or {}))
        if called not in (links or {}):
            inner += ((called, one) for one in _inside(field.annotation))
    if described:
        yield f"{_text(model)}\n"
    if rows:
        yield "| option | takes | default | meaning |\n|---|---|---|---|"
        yield "\n".join(rows) + "\n"
    else:
        yield "No options of its own.\n"
    for called, one in inner:
        yield f"Options of `{called}`: {_text(one)}\n"
        yield from _options(one, described=False)


def _inside(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models of which a value, or each value of a list or mapping, may be one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is not Literal:
        for argument in get_args(annotation):
            yield from _inside(argument)


def _same(one: FieldInfo, other: FieldInfo) -> bool:
    return one.description == other.description and default_in_words(one) == default_in_words(other)


def _row(name: str, field: FieldInfo, links: Mapping[str, str]) -> str:
    takes = type_in_words(field.annotation, field.metadata)
    limits = bounds_in_words(field.metadata)
    takes = f"[options](#{links[name]})" if name in links else takes
    meaning = field.description or ("The kind." if name == "type" else "")
    takes = f"{takes}, {limits}" if limits else takes
    return f"| `{name}` | {_cell(takes)} | {default_in_words(field)} | {_cell(meaning)} |"


def _text(model: type[BaseModel]) -> str:
    return "\n\n".join(map(_plain, (model.__doc__ or "").split("\n\n")))


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("``", "`")).strip()


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")


# ------------------------------------------------------------------------------------------------- command line


def command_line() -> str:
    """The page of every command."""
    import typer

    from headgate.cli.command import OPTIONS
    from headgate.cli.main import app

    program: Any = typer.main.get_command(app)
    lines = [CLI_TEXT, "| option | meaning |", "|---|---|"]
    lines += [_option_row(option) for option in program.params if option.name in OPTIONS]
    lines.append("\n## Commands\n\n| command | what it does |\n|---|---|")
    found = list(_commands(program, "headgate"))
    lines += [f"| [`{name}`](#{name.replace(' ', '-')}) | {_cell(one.help)} |" for name, one in found]
    for name, one in found:
        lines += ["", *_command(name, one, set(OPTIONS))]
    return GENERATED + "\n".join(lines).rstrip() + "\n"


def _commands(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    for word, one in group.commands.items():
        if hasattr(one, "commands"):
            yield from _commands(one, f"{name} {word}")
        else:
            yield f"{name} {word}", one


def _command(name: str, one: Any, common: set[str]) -> Iterator[str]:
    own = [parameter for parameter in one.params if parameter.name not in {*common, "help"}]
    arguments = [parameter for parameter in own if parameter.param_type_name == "argument"]
    options = [parameter for parameter in own if parameter.param_type_name == "option"]
    usage = [name, *(_argument(parameter) for parameter in arguments), *(["[OPTIONS]"] if options else [])]
    yield f"## {name}\n"
    yield _plain(one.help) + "\n"
    yield f"```\n{' '.join(usage)}\n```"
    if own:
        yield "\n| | meaning |\n|---|---|"
        yield from (f"| `{parameter.metavar}` | {_cell(parameter.help or '')} |" for parameter in arguments)
        yield from (_option_row(parameter) for parameter in options)


def _argument(parameter: Any) -> str:
    shown = f"{parameter.metavar}{' …' if parameter.nargs == -1 else ''}"
    return shown if parameter.required else f"[{shown}]"


def _option_row(option: Any) -> str:
    spellings = ", ".join(f"`{spelling}`" for spelling in option.opts)
    choices = (
        "|".join(getattr(option.type_descriptor.annotation, "__members__", {}).values()) if not option.metavar else ""
    )
    value = "" if option.is_flag else f" `{option.metavar or choices}`"
    default = f" Default: `{option.default}`." if option.default and not option.is_flag else ""
    return f"| {spellings}{value.replace('|', chr(92) + '|')} | {_cell((option.help or '') + default)} |"


# ------------------------------------------------------------------------------------------------- error codes


def errors() -> str:
    """The page of every error code: what it means, its exit status, what to do."""
    lines = [ERROR_TEXT, "| code | exit | what it means |", "|---|---|---|"]
    lines += [f"| [`{code}`](#{code.lower()}) | {exit_status(code)} | {ADVICE[code]['means']} |" for code in Code]
    for code in Code:
        lines.append(
            f"\n### {code}\n\n{ADVICE[code]['means']} Exit status {exit_status(code)}.\n\n{ADVICE[code]['advice']}"
        )
    return GENERATED + "\n".join(lines) + "\n"


# ------------------------------------------------------------------------------------------------- the program


def main(arguments: list[str]) -> int:
    """Write the pages, or with ``--check`` name those that are out of date; the exit status."""
    stale = []
    for name, content in pages().items():
        path = FOLDER / name
        if path.is_file() and path.read_text(encoding="utf-8") == content:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.write_text(content, encoding="utf-8")
    print("\n".join(f"docs/reference/{name}" for name in stale) or "docs/reference is up to date")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
