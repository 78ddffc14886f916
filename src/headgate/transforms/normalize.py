"""``normalize``: nested values as columns, lists as tables of their own, numbers on one scale."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator
from sqlglot import exp

from headgate.core.engines import Column
from headgate.core.errors import Code, FatalError
from headgate.core.models import Model, Names, StepOptions
from headgate.sql.casts import exact_cast
from headgate.sql.failures import attempt
from headgate.sql.json_numbers import MOST_DIGITS, rounded, rounded_anywhere
from headgate.sql.naming import distinct
from headgate.sql.nested import element_of, fields, is_struct, joined, json_path, split_path, type_tree
from headgate.sql.scales import Scale, factor, scaled
from headgate.sql.shapes import Branch, Flag, Project, Reshape, Shape, StepInput, column
from headgate.sql.types import SqlType, parse_type

FACTOR = "_hg_factor"
_TEXT = SqlType("VARCHAR", "text")
Taken = tuple[str, exp.Expr, tuple[Flag, ...]]
"""A column of the result: its name, its value, and what may be wrong with it."""


class Explode(Model):
    """A list column as a table of its own: one row for each element."""

    name: str = Field(description="What targets and rules call its rows: from: NAME.")
    keys: Names = Field(description="Columns that each row takes along, to find its parent again.")
    position: str = Field(default="position", description="The column that numbers the elements of a row, from 1.")
    fields: dict[str, str] = Field(
        default_factory=dict, description="For JSON: path to SQL type; structs give all their fields."
    )
    value: str = Field(default="value", description="The column that holds an element that is no struct or document.")


def _as_scale(value: object) -> object:
    return {"method": value} if isinstance(value, str) else value


class Options(StepOptions):
    """Take nested values apart, and bring numbers to one scale.

    A nested field is called by its path: customer, then city gives customer_city; underscores at the start of a name
    stay. JSON documents (text, too) need their fields said, since a plan's columns do not depend on rows; a document
    that is none, or a field that is not of its type, makes its row a row error. Exploded lists leave the rows.
    """

    type: Literal["normalize"]
    flatten: bool | Names = Field(default=False, description="Struct columns to take apart: true for all, or names.")
    fields: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="JSON column to its fields: path (such as customer.city) to SQL type."
    )
    explode: dict[str, Explode] = Field(default_factory=dict, description="List column to the table that it becomes.")
    scale: dict[str, Annotated[Scale, BeforeValidator(_as_scale)]] = Field(
        default_factory=dict, description="Column to standard, min_max or robust, over all rows of the run."
    )
    separator: str = Field(default="_", max_length=5, description="What stands between the parts of a name.")
    depth: int | None = Field(default=None, ge=1, description="How many levels of structs; default all.")

    @model_validator(mode="after")
    def _does_something(self) -> Options:
        if not (self.flatten or self.fields or self.explode or self.scale):
            raise ValueError("say flatten, fields, explode or scale")
        return self


def outputs(options: Options) -> list[str]:
    """Names of the tables that lists become."""
    return [one.name for one in options.explode.values()]


def shapes(options: Options, step: StepInput) -> list[Shape]:
    """Branches for lists, then one projection, and one more for scales.

    Rows that the step holds back have no part in the branches: a replay makes both, the row and those of its lists.
    """
    lists = {step.resolve(name): one for name, one in options.explode.items()}
    items, flags = [], [flag for name, one in lists.items() for flag in _unlisted(name, one, step)]
    for item in step.columns:
        if item.name in lists:
            continue
        for name, value, wrong in _taken_apart(item, options, step):
            items.append((name, value))
            flags += wrong
    distinct(name for name, _ in items)
    branches = [_branch(name, one, options, step) for name, one in lists.items()]
    names = [name for name, _ in items]
    found: list[Shape] = []
    if lists and flags:
        asked = dict.fromkeys([*lists, *(step.resolve(key) for one in lists.values() for key in one.keys)])
        beside = [(name, column(name)) for name in asked if name not in names]
        distinct([*names, *(name for name, _ in beside)])
        found = [Project((*items, *beside), tuple(flags)), *branches]
        items, flags = [(name, column(name)) for name in names], []
    else:
        found += branches
    if lists or names != step.names or flags:
        found.append(Project(tuple(items), tuple(flags)))
    if options.scale:
        found += _scales(options, names, step)
    return found


def _unlisted(name: str, one: Explode, step: StepInput) -> list[Flag]:
    """Documents of which no rows can be made: they are no list, or the engine would round their numbers."""
    if step.type_of(name) not in ("JSON", "VARCHAR"):
        return []
    kinds = [exp.Literal.string(kind) for kind in ("ARRAY", "NULL")]
    listed = exp.In(this=attempt(exp.Anonymous(this="JSON_TYPE", expressions=[column(name)])), expressions=kinds)
    given = exp.Not(this=exp.Is(this=column(name), expression=exp.null()))
    other = exp.and_(given, exp.Not(this=exp.func("COALESCE", listed, exp.false())))
    fields = [path for path, type_name in one.fields.items() if _exact(type_name)]
    whole = [] if one.fields else [_rounding(name, rounded_anywhere(column(name)), name, "every number")]
    return [
        Flag(f"normalize {name}", other, (name,), f"{name} is a JSON list"),
        *whole,
        *(_rounding(name, rounded(column(name), split_path(path)[-1]), name, path) for path in fields),
    ]


def _rounding(name: str, condition: exp.Expr, document: str, path: str) -> Flag:
    message = f"{path} in {document} keeps its digits: a fraction of more than {MOST_DIGITS} must be written as text"
    return Flag(f"normalize {name}", condition, (name,), message)


def _exact(type_name: str) -> bool:
    """Whether a field of the type keeps every digit of a number; documents within documents are not looked at."""
    type_ = parse_type(type_name)
    return type_.family != "float" and type_.name != "JSON"


def _taken_apart(item: Column, options: Options, step: StepInput) -> Iterator[Taken]:
    """The columns that one column gives: itself, or its fields."""
    documents = {step.resolve(name): paths for name, paths in options.fields.items()}
    flat = options.flatten if isinstance(options.flatten, bool) else [step.resolve(n) for n in options.flatten]
    type_ = type_tree(item.type)
    if item.name in documents:
        yield from _documented(item, documents[item.name], (item.name,), options.separator, item.name)
    elif (flat is True and is_struct(type_)) or (isinstance(flat, list) and item.name in flat):
        if not is_struct(type_):
            hint = "say its fields: fields: {…}" if item.type in ("JSON", "VARCHAR") else "leave it out of flatten"
            raise _refuse(item.name, f"{item.name} is {item.type}, not a struct", hint)
        for path, value, _ in fields(column(item.name), type_, options.depth):
            yield joined((item.name, *path), options.separator), value, ()
    else:
        yield item.name, column(item.name), ()


def _documented(
    item: Column, paths: dict[str, str], prefix: tuple[str, ...], separator: str, called: str
) -> Iterator[Taken]:
    """The fields of a JSON document, each exactly of its type; ``called``: what users know the document by."""
    if item.type not in ("JSON", "VARCHAR"):
        raise _refuse(called, f"{called} is {item.type}, not JSON", "say flatten for structs, explode for lists")
    for number, (text, type_name) in enumerate(paths.items()):
        name, target = joined((*prefix, *split_path(text)), separator), parse_type(type_name)
        function = "JSON_EXTRACT" if target.name == "JSON" else "JSON_EXTRACT_STRING"
        read = attempt(
            exp.Anonymous(this=function, expressions=[column(item.name), exp.Literal.string(json_path(text))])
        )
        message = f"{called} has {text} as {target.name}"
        cast = exact_cast(read, SqlType("JSON", "other") if target.name == "JSON" else _TEXT, target)
        wrong: list[exp.Expr] = (
            [exp.Not(this=exp.Anonymous(this="JSON_VALID", expressions=[column(item.name)]))] if number == 0 else []
        )
        wrong += [cast.wrong] if cast.wrong is not None else []
        flags = [Flag(f"normalize {name}", exp.or_(*wrong), (name,), message)] if wrong else []
        if _exact(target.name):
            flags.append(_rounding(name, _rounded(column(item.name), text), called, text))
        yield name, cast.value, tuple(flags)


def _rounded(document: exp.Expr, path: str) -> exp.Expr:
    """Whether the engine would round the number at the path."""
    found = exp.Anonymous(this="JSON_TYPE", expressions=[document, exp.Literal.string(json_path(path))])
    fraction = exp.EQ(this=attempt(found), expression=exp.Literal.string("DOUBLE"))
    return exp.and_(fraction, rounded(document, split_path(path)[-1]))


def _branch(name: str, one: Explode, options: Options, step: StepInput) -> Branch:
    keys = [step.resolve(key) for key in one.keys]
    if name in keys:
        raise _refuse(name, f"{name} is the list itself", "name columns that identify the row in keys")
    type_ = type_tree(step.type_of(name))
    inner = element_of(type_)
    values: exp.Expr = column(name)
    if inner is None:
        if step.type_of(name) not in ("JSON", "VARCHAR"):
            raise _refuse(name, f"{name} is {step.type_of(name)}, not a list", "explode lists and JSON only")
        inner = type_tree("JSON")
        values = attempt(exp.Anonymous(this="JSON_EXTRACT", expressions=[values, exp.Literal.string("$[*]")]))
    opened = {
        one.position: exp.cast(
            exp.Anonymous(this="GENERATE_SUBSCRIPTS", expressions=[values.copy(), exp.Literal.number(1)]), exp.DType.INT
        ),
        _element(name, one): exp.Anonymous(this="UNNEST", expressions=[values]),
    }
    query = exp.select(
        *(column(key) for key in keys),
        *(exp.alias_(value, exp.to_identifier(new, quoted=True), quoted=True) for new, value in opened.items()),
    ).from_(exp.Table(this=exp.to_identifier("input")))
    kept: list[tuple[str, exp.Expr]] = [(key, column(key)) for key in (*keys, one.position)]
    flags: list[Flag] = []
    for new, value, wrong in _elements(name, inner, one, options):
        kept.append((new, value))
        flags += wrong
    distinct(new for new, _ in kept)
    return Branch(one.name, (Reshape(query), Project(tuple(kept), tuple(flags))))


def _element(name: str, one: Explode) -> str:
    """The column that holds an element while it is taken apart; rows that are held back show it."""
    return name if name.lower() != one.position.lower() else f"{name}_{one.value}"


def _elements(name: str, inner: exp.DataType, one: Explode, options: Options) -> Iterator[Taken]:
    element = _element(name, one)
    if one.fields:
        type_ = "VARCHAR" if inner.this == exp.DType.TEXT else inner.sql("duckdb")
        yield from _documented(Column(element, type_), one.fields, (), options.separator, f"an element of {name}")
    elif is_struct(inner):
        for path, value, _ in fields(column(element), inner, options.depth):
            yield joined(path, options.separator), value, ()
    else:
        yield one.value, column(element), ()


def _scales(options: Options, names: list[str], step: StepInput) -> list[Shape]:
    """One projection, and one before it for what doubles are multiplied by."""
    wanted = {step.resolve(name): scale for name, scale in options.scale.items()}
    if absent := [name for name in wanted if name not in names]:
        raise _refuse(absent[0], f'"{absent[0]}" is taken apart', "scale its fields in a step after this one")
    values: dict[str, exp.Expr] = {name: column(name) for name in names}
    known, found = dict[str, exp.Expr](), dict(values)
    for place, (name, scale) in enumerate(wanted.items()):
        if (value := factor(name, scale, step)) is not None:
            known[f"{FACTOR}{place}"] = value
        found[name] = scaled(name, scale, step, f"{FACTOR}{place}" if value is not None else None)
    before: list[Shape] = [Project((*values.items(), *known.items()))] if known else []
    return [*before, Project(tuple(found.items()))]


def _refuse(name: str, why: str, hint: str) -> FatalError:
    return FatalError(Code.PLAN_INVALID, why, operation="plan", object=name, hint=hint)
