"""``join``: columns of another table, by key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator
from sqlglot import exp

from headgate.core.engines import Column
from headgate.core.errors import Code, FatalError
from headgate.core.models import Names, StepOptions
from headgate.sql.failures import attempt, can_fail, failed, there
from headgate.sql.lookups import alike, or_types, refuse_types_of_tables, side_read
from headgate.sql.naming import distinct
from headgate.sql.shapes import Drop, Flag, Lookup, Project, Reshape, Shape, SideRead, StepInput, column, missing_column
from headgate.sql.types import SqlType, parse_type

_HIDDEN = "_join_key_"
_ALONE = "_join_alone"
"""Whether a row found no match, as long as that is to be counted."""


def _as_mapping(value: object) -> object:
    if isinstance(value, str):
        return {value: value}
    if isinstance(value, list | tuple):
        if len(set(value)) != len(value):
            raise ValueError("on names a column twice")
        return {name: name for name in value}
    return value


class Options(StepOptions):
    """Look up columns in another table. Its keys must be unique there, unless ``many`` lets rows multiply.

    Rows that an inner, right or semi join drops count as unmatched, those that an anti join drops as filtered, and rows
    that a right or outer join adds as expanded. A left join tells how many rows found no match.
    """

    type: Literal["join"]
    table: str | None = Field(default=None, description="The other table, of the lake or of connection.")
    path: str | None = Field(default=None, description="Instead of a table: files, relative to the project.")
    connection: str | None = Field(default=None, description="Where the table is; default the lake.")
    types: dict[str, str] = Field(
        default_factory=dict, description="SQL types of columns of the files, where not to be found out."
    )
    on: Annotated[dict[str, str], BeforeValidator(_as_mapping), Field(min_length=1)] = Field(
        description="Key columns: a list of names, or a mapping of left to right names. On the left an expression may "
        "stand, such as LOWER(email)."
    )
    how: Literal["left", "inner", "right", "outer", "anti", "semi"] = Field(
        default="left",
        description="left keeps rows without a match, inner drops them; right and outer add the other side's rows "
        "without a match; semi keeps rows with a match and adds nothing, anti keeps those without.",
    )
    columns: Names | None = Field(
        default=None,
        description="What to add; default every column but the keys. For a key that is an expression, right and outer "
        "joins add the other side's, since no column could show it.",
    )
    many: bool = Field(default=False, description="Allow several matches, each of which gives a row.")
    suffix: str | None = Field(default=None, description="Added to names of the other side that exist on this one.")

    @model_validator(mode="after")
    def _one_side(self) -> Options:
        if (self.table is None) == (self.path is None):
            raise ValueError("a join needs either table or path")
        refuse_types_of_tables(self.table, self.types)
        if self.suffix is not None and not self.suffix.strip():
            raise ValueError("an empty suffix changes no name")
        if self.how in ("semi", "anti") and (self.columns or self.many or self.suffix):
            raise ValueError(f"{self.how} joins add nothing, so columns, many and suffix say nothing")
        return self


def side(options: Options) -> SideRead:
    """What the plan scans for this step, and the name under which the step finds it."""
    keys = tuple(dict.fromkeys(options.on.values()))
    asks = options.how in ("semi", "anti")
    columns = keys if asks else tuple(dict.fromkeys((*keys, *options.columns))) if options.columns else ()
    unique = () if options.many or asks else keys
    return side_read(
        "join", options.connection, options.table, options.path, columns, unique=unique, types=options.types
    )


def prepared(options: Options, step: StepInput) -> tuple[list[Shape], Options]:
    """Keys that are expressions become columns of the rows first, under names that :func:`shapes` takes away again."""
    values, flags, on = step.keep_all(), [], {}
    for left, right in options.on.items():
        name = left
        if left.lower() not in {known.lower() for known in step.names}:
            key = _expression(left, step)
            name = f"{_HIDDEN}{left}"
            if can_fail(key, step.columns):
                computed = attempt(key)
                flags.append(Flag(f"join on {left}", failed(key), (name,), f"{left} can be computed", there(computed)))
                key = computed
            values.append((name, key))
        on[name] = right
    if len(values) == len(step.columns):
        return [], options
    return [Project(tuple(values), tuple(flags))], options.model_copy(update={"on": on})


def _expression(text: str, step: StepInput) -> exp.Expr:
    try:
        key = step.expression(text)
    except FatalError:
        if re.fullmatch(r"[\w ]+", text):  # a name that is no column here
            raise missing_column(text, step.names) from None
        raise
    if isinstance(key, exp.Column):
        raise missing_column(text, step.names)
    return key


def shapes(options: Options, step: StepInput) -> list[Shape]:
    """A lookup or a drop; a reshape where rows may multiply or be added, after those that leave have left."""
    hidden = [name for name in options.on if name.startswith(_HIDDEN)]
    if not hidden:
        return _shapes(options, step)
    found = _shapes(options, step)
    names = [name for name in step.names if name not in hidden]
    if options.how not in ("semi", "anti"):
        other = _other(options, side(options).name, step)
        names += [name for _, name in _added(options, other, _keys(options, other, step), step)]
    return [*found, Project(tuple((name, column(name)) for name in names))]


def _shapes(options: Options, step: StepInput) -> list[Shape]:
    name = side(options).name
    other = _other(options, name, step)
    on = _keys(options, other, step)
    matched = Drop(_matched(name, on), "unmatched", (name,))
    match options.how:
        case "semi":
            return [matched]
        case "anti":
            return [Drop(exp.Not(this=exp.func("COALESCE", exp.paren(matched.keep), exp.false())), "filtered", (name,))]
        case "left" | "inner" if not options.many:
            return [Lookup(name, on, _added(options, other, on, step), options.how == "left")]
        case how:
            added = _added(options, other, on, step)
            joined = Reshape(_joined(name, on, added, step, how), relations=(name,))
            if how == "left":
                names = [*step.names, *(new for _, new in added)]
                alone = Flag(_ALONE, column(_ALONE), message="no match", on_error="count")
                return [joined, Project(tuple((one, column(one)) for one in names), (alone,))]
            return [matched, joined] if how in ("inner", "right") else [joined]


def _other(options: Options, name: str, step: StepInput) -> Sequence[Column]:
    if name not in step.relations:
        raise FatalError(
            Code.SOURCE_NOT_FOUND,
            "the other side of the join was not read",
            operation="plan",
            object=options.table or options.path or "",
            hint="check table, path and connection of the step",
        )
    return step.relations[name]


def _keys(options: Options, other: Sequence[Column], step: StepInput) -> tuple[tuple[str, str], ...]:
    keys = []
    for left, right in options.on.items():
        mine, theirs = step.resolve(left), _resolve(right, other)
        _comparable(mine, parse_type(step.type_of(mine)), theirs.name, parse_type(theirs.type), options.path)
        keys.append((mine, theirs.name))
    return tuple(keys)


def _comparable(left: str, mine: SqlType, right: str, theirs: SqlType, path: str | None) -> None:
    """Keys of different families would be converted row by row, and raise or match by accident."""
    if alike(mine, theirs):
        return
    said = left.removeprefix(_HIDDEN)
    raise FatalError(
        Code.PLAN_INVALID,
        f"the key {said} is {mine.name}, but {right} is {theirs.name}",
        operation="plan",
        object=said,
        hint=f"write CAST({said} AS {theirs.name}): {right} as the key, or cast it in a step before"
        + or_types(right, mine, path),
    )


def _added(
    options: Options, other: Sequence[Column], on: tuple[tuple[str, str], ...], step: StepInput
) -> tuple[tuple[str, str], ...]:
    shown = options.how in ("right", "outer")
    keys = {theirs for mine, theirs in on if not (shown and mine.startswith(_HIDDEN))}
    wanted = (
        [_resolve(name, other).name for name in options.columns]
        if options.columns
        else [item.name for item in other if item.name not in keys]
    )
    distinct(wanted)
    mine = {name.lower() for name in step.names}
    clashes = [name for name in wanted if name.lower() in mine]
    if clashes and options.suffix is None:
        raise FatalError(
            Code.PLAN_INVALID,
            "both sides have " + ", ".join(f'"{name}"' for name in clashes),
            operation="plan",
            object=options.table or options.path or "",
            hint="choose the columns to add, or say suffix: _right",
        )
    added = tuple((name, name + (options.suffix or "") if name in clashes else name) for name in wanted)
    distinct([*step.names, *(name for _, name in added)])
    return added


def _resolve(name: str, columns: Sequence[Column]) -> Column:
    for item in columns:
        if item.name.lower() == name.lower():
            return item
    raise missing_column(name, [item.name for item in columns])


def _matched(name: str, on: tuple[tuple[str, str], ...]) -> exp.Expr:
    """Whether the other side has the keys. NULL keys match nothing, also inside a row value."""
    present = [exp.Not(this=exp.Is(this=column(mine), expression=exp.null())) for mine, _ in on]
    query = exp.select(*(column(theirs, "r") for _, theirs in on)).from_(_table(name, "r"))
    if len(on) == 1:
        return exp.In(this=column(on[0][0]), query=query.subquery())
    values = exp.Tuple(expressions=[column(mine) for mine, _ in on])
    return exp.and_(*present, exp.In(this=values, query=query.subquery()))


def _joined(
    name: str, on: tuple[tuple[str, str], ...], added: tuple[tuple[str, str], ...], step: StepInput, how: str
) -> exp.Expr:
    """Where rows of the other side come in alone, the key columns hold their keys."""
    keys = dict(on) if how in ("right", "outer") else {}
    own = []
    for mine in step.names:
        value = column(mine, "l")
        if mine in keys:
            value = exp.func("COALESCE", value, column(keys[mine], "r"))
        own.append(exp.alias_(value, exp.to_identifier(mine, quoted=True), quoted=True))
    theirs = [exp.alias_(column(old, "r"), exp.to_identifier(new, quoted=True), quoted=True) for old, new in added]
    condition = exp.and_(*(exp.EQ(this=column(a, "l"), expression=column(b, "r")) for a, b in on))
    kind = {"outer": "full"}.get(how, how)
    if how == "left":
        # keys that are equal are not NULL, so NULL there says that nothing was
        alone = exp.Is(this=column(on[0][1], "r"), expression=exp.null())
        theirs.append(exp.alias_(alone, exp.to_identifier(_ALONE, quoted=True), quoted=True))
    return exp.select(*own, *theirs).from_(_table("input", "l")).join(_table(name, "r"), on=condition, join_type=kind)


def _table(name: str, alias: str) -> exp.Expr:
    return exp.alias_(exp.Table(this=exp.to_identifier(name, quoted=True)), alias, table=True)
