"""Casts of lists, structs and maps, part by part: the engine rounds parts, and makes NULL what does not convert."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlglot import exp

from headgate.sql.types import DIALECT

To = Callable[[exp.Expr, str, str], exp.Expr]
"""A value of one type as one of another."""
Wrong = Callable[[exp.Expr, str, str], exp.Expr | None]
"""Where a value of one type is lost by a cast to another; None: nowhere."""
_LISTS = (exp.DType.ARRAY, exp.DType.LIST)
_FLOATS = (exp.DType.FLOAT, exp.DType.DOUBLE)
_NAME = "part"


def has_parts(name: str) -> bool:
    """Whether a type is one of lists, structs or maps."""
    return _built(name).this in (*_LISTS, exp.DType.STRUCT, exp.DType.MAP)


def wrong_part(value: exp.Expr, source: str, target: str, wrong: Wrong) -> exp.Expr | None:
    """Where a part of ``value`` is lost by the engine's cast from ``source`` to ``target``; None if none can be.

    A text is taken apart as the engine does it, and its parts are texts.
    """
    given, wanted = _built(source), _built(target)
    if given.this == exp.DType.TEXT:
        given = _of_texts(wanted)
        value = exp.TryCast(this=value.copy(), to=given)
    parts = [exp.paren(part) for part in _parts(value, given, wanted, wrong) if part is not None]
    return exp.func("COALESCE", exp.or_(*parts), exp.false()) if parts else None


def by_part(value: exp.Expr, source: str, target: str, to: To) -> exp.Expr:
    """The value with its doubles rounded as ``to`` does it, where they become exact numbers; else as it is.

    The engine rounds parts by their bits, and halves to the even: 2.675 to 2.67, 2.5 to 2.
    """
    return _by_part(value, _built(source), _built(target), to) or value


def _by_part(value: exp.Expr, given: exp.DataType, wanted: exp.DataType, to: To) -> exp.Expr | None:
    """None where no double is rounded."""
    if given.this in _FLOATS and (wanted.this in exp.DataType.INTEGER_TYPES or wanted.this == exp.DType.DECIMAL):
        return to(value, given.sql(DIALECT), wanted.sql(DIALECT))
    if given.this in _LISTS and wanted.this in _LISTS:
        return _each(value, given.expressions[0], wanted.expressions[0], to)
    if given.this == wanted.this == exp.DType.MAP and given.expressions[0] == wanted.expressions[0]:
        values = _each(_call("MAP_VALUES", value.copy()), given.expressions[1], wanted.expressions[1], to)
        return None if values is None else _filled(value, _call("MAP", _call("MAP_KEYS", value.copy()), values))
    if given.this == wanted.this == exp.DType.STRUCT:
        return _by_field(value, given, wanted, to)
    return None


def _by_field(value: exp.Expr, given: exp.DataType, wanted: exp.DataType, to: To) -> exp.Expr | None:
    kinds = {field.name.lower(): field.args["kind"] for field in wanted.expressions}
    fields, rounded = [], False
    for field in given.expressions:
        part: exp.Expr = _call("STRUCT_EXTRACT", value.copy(), exp.Literal.string(field.name))
        kind = kinds.get(field.name.lower())
        made = None if kind is None else _by_part(part, field.args["kind"], kind, to)
        rounded = rounded or made is not None
        fields.append(exp.PropertyEQ(this=exp.to_identifier(field.name, quoted=True), expression=made or part))
    return _filled(value, exp.Struct(expressions=fields)) if rounded else None


def _each(value: exp.Expr, given: exp.DataType, wanted: exp.DataType, to: To) -> exp.Expr | None:
    element = exp.to_identifier(_NAME)
    made = _by_part(element, given, wanted, to)
    return None if made is None else _call("LIST_TRANSFORM", value, exp.Lambda(this=made, expressions=[element.copy()]))


def _filled(value: exp.Expr, made: exp.Expr) -> exp.Expr:
    """What is made of a value, and NULL of none."""
    return exp.Case().when(exp.Is(this=value.copy(), expression=exp.null()), exp.null()).else_(made)


def _parts(value: exp.Expr, given: exp.DataType, wanted: exp.DataType, wrong: Wrong) -> Iterator[exp.Expr | None]:
    if given.this in _LISTS and wanted.this in _LISTS:
        yield _in_list(value, given.expressions[0], wanted.expressions[0], wrong)
    elif given.this == wanted.this == exp.DType.MAP:
        for function, before, after in zip(
            ("MAP_KEYS", "MAP_VALUES"), given.expressions, wanted.expressions, strict=True
        ):
            yield _in_list(_call(function, value.copy()), before, after, wrong)
    elif given.this == wanted.this == exp.DType.STRUCT:
        kinds = {field.name.lower(): field.args["kind"] for field in given.expressions}
        for field in wanted.expressions:
            if (kind := kinds.get(field.name.lower())) is not None:
                part = _call("STRUCT_EXTRACT", value.copy(), exp.Literal.string(field.name))
                yield wrong(part, kind.sql(DIALECT), field.args["kind"].sql(DIALECT))


def _in_list(value: exp.Expr, given: exp.DataType, wanted: exp.DataType, wrong: Wrong) -> exp.Expr | None:
    """Where an element is lost. Within an element's own lists the name means the inner ones."""
    element = exp.to_identifier(_NAME)
    found = wrong(element, given.sql(DIALECT), wanted.sql(DIALECT))
    if found is None:
        return None
    each = exp.Lambda(this=found, expressions=[element.copy()])
    return _call("LIST_CONTAINS", _call("LIST_TRANSFORM", value.copy(), each), exp.true())


def _of_texts(type_: exp.DataType) -> exp.DataType:
    """The type with texts for its parts."""
    made = type_.copy()
    if made.this == exp.DType.STRUCT:
        for field in made.expressions:
            field.set("kind", _of_texts(field.args["kind"]))
    elif made.this in (*_LISTS, exp.DType.MAP):
        made.set("expressions", [_of_texts(part) for part in made.expressions])
    else:
        return _built("VARCHAR")
    return made


def _built(name: str) -> exp.DataType:
    return exp.DataType.build(name, dialect=DIALECT)


def _call(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=list(arguments))
