"""Suites of Great Expectations as quality rules. The library itself is not needed: a suite is a JSON document."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headgate.core.errors import Code, FatalError
from headgate.sql.literals import literal, quote_name
from headgate.sql.types import parse_type

Rule = dict[str, Any]
_SEVERITY = {"critical": "error", "warning": "warning", "info": "info"}
_SAID = {"mostly", "column", "column_list", "column_A", "column_B", "result_format", "catch_exceptions", "meta"}
_MEASURES = {
    "mean": "AVG({0})", "median": "MEDIAN({0})", "sum": "SUM({0})", "min": "MIN({0})", "max": "MAX({0})",
    "stdev": "STDDEV({0})", "unique_value_count": "COUNT(DISTINCT {0})",
    "proportion_of_unique_values": "COUNT(DISTINCT {0}) / COUNT({0})",
    "proportion_of_non_null_values": "COUNT({0}) / COUNT(*)",
}  # fmt: skip


class _NoCounterpartError(Exception):
    """Why an expectation cannot be said as a rule."""


@dataclass
class Asked:
    """The arguments of one expectation; what is not taken has no counterpart."""

    given: dict[str, Any]

    def take(self, name: str) -> Any:
        return self.given.pop(name, None)

    def need(self, name: str) -> Any:
        value = self.take(name)
        if value is None:
            raise _NoCounterpartError(f"without {name}")
        return value

    def column(self, name: str = "column") -> str:
        return str(self.given.get(name) or self.need(name))

    def sql(self, name: str = "column") -> str:
        return quote_name(self.column(name))


def rules_of(text: str, name: str = "suite") -> tuple[list[Rule], list[str]]:
    """The rules that a suite asks for, and of each expectation without a counterpart its number, type and why.

    Raises:
        FatalError: USAGE for a document that is no suite.
    """
    try:
        expectations = json.loads(text)["expectations"]
        found = [
            (str(one.get("type") or one["expectation_type"]), dict(one.get("kwargs") or {}), one)
            for one in expectations
        ]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FatalError(
            Code.USAGE, f"it is no suite of expectations: {error}", operation="expectations", object=name,
            hint='a JSON document with a list "expectations" of {"type": …, "kwargs": {…}}',
        ) from None  # fmt: skip
    rules: list[Rule] = []
    missing: list[str] = []
    for number, (kind, kwargs, one) in enumerate(found, 1):
        try:
            rules.append(_with_severity(_rule(kind, kwargs), one))
        except _NoCounterpartError as why:
            missing.append(f"{number}. {kind}" + (f" ({why})" if str(why) else ""))
    return rules, missing


def _with_severity(rule: Rule, one: Mapping[str, Any]) -> Rule:
    severity = _SEVERITY.get(str(one.get("severity") or "critical").lower(), "error")
    notes = (one.get("meta") or {}).get("notes")
    said = notes.get("content") if isinstance(notes, dict) else notes
    said = " ".join(said) if isinstance(said, list) else said
    return rule | ({"severity": severity} if severity != "error" else {}) | ({"description": str(said)} if said else {})


def _rule(kind: str, kwargs: dict[str, Any]) -> Rule:
    asked = Asked({key: value for key, value in kwargs.items() if value is not None})
    make = _KINDS.get(kind)
    measured = kind.removeprefix("expect_column_").removesuffix("_to_be_between")
    if make is not None:
        rule = make(asked)
    elif measured in _MEASURES and kind.endswith("_to_be_between"):
        rule = {"type": "aggregate", "condition": _between(_MEASURES[measured].format(asked.sql()), asked)}
    else:
        raise _NoCounterpartError("")
    mostly = asked.take("mostly")
    if mostly is not None and float(mostly) < 1:
        rule["max_failed"] = f"{100 * (1 - float(mostly)):.10g}%"
    if left := sorted(set(asked.given) - _SAID):
        raise _NoCounterpartError(f"with {', '.join(left)}")
    return rule


# -------------------------------------------------------------------------------------------------- one by one


def _bounds(asked: Asked) -> list[tuple[str, str, Any]]:
    """(comparison in SQL, keyword of JSON Schema, bound) of what is given."""
    low, high = asked.take("min_value"), asked.take("max_value")
    above, below = asked.take("strict_min"), asked.take("strict_max")
    found = []
    if low is not None:
        found.append((">", "exclusiveMinimum", low) if above else (">=", "minimum", low))
    if high is not None:
        found.append(("<", "exclusiveMaximum", high) if below else ("<=", "maximum", high))
    if not found:
        raise _NoCounterpartError("without bounds")
    return found


def _between(expression: str, asked: Asked) -> str:
    return " AND ".join(f"{expression} {sign} {_value(bound)}" for sign, _, bound in _bounds(asked))


def _value(value: Any) -> str:
    if not isinstance(value, str | int | float | bool):
        raise _NoCounterpartError(f"with the value {value!r}")
    return repr(value) if isinstance(value, float) and math.isfinite(value) else literal(value)


def _property(asked: Asked, wanted: Mapping[str, Any]) -> Rule:
    return {"type": "schema", "properties": {asked.column(): dict(wanted)}}


def _range(asked: Asked) -> Rule:
    return _property(asked, {keyword: bound for _, keyword, bound in _bounds(asked)})


def _lengths(asked: Asked) -> Rule:
    step = {"exclusiveMinimum": ("minLength", 1), "minimum": ("minLength", 0), "maximum": ("maxLength", 0),
            "exclusiveMaximum": ("maxLength", -1)}  # fmt: skip
    return _property(asked, {step[keyword][0]: int(bound) + step[keyword][1] for _, keyword, bound in _bounds(asked)})


def _length(asked: Asked) -> Rule:
    value = int(asked.need("value"))
    return _property(asked, {"minLength": value, "maxLength": value})


def _among(asked: Asked, word: str) -> Rule:
    values = ", ".join(_value(one) for one in asked.need("value_set"))
    return _condition(f"{asked.sql()} {word} ({values})")


def _condition(condition: str) -> Rule:
    return {"type": "expression", "condition": condition}


def _pair(asked: Asked, sign: str) -> Rule:
    return _condition(f"{asked.sql('column_A')} {sign} {asked.sql('column_B')}")


def _greater(asked: Asked) -> Rule:
    return _pair(asked, ">=" if asked.take("or_equal") else ">")


def _sum(asked: Asked) -> Rule:
    columns = " + ".join(quote_name(str(one)) for one in asked.need("column_list"))
    return _condition(f"{columns} = {_value(asked.need('sum_total'))}")


def _rows(asked: Asked) -> Rule:
    named = {"min_value": "min", "max_value": "max"}
    found = {said: asked.take(name) for name, said in named.items()}
    if all(value is None for value in found.values()):
        raise _NoCounterpartError("without bounds")
    return {"type": "row_count", **{said: value for said, value in found.items() if value is not None}}


def _present(columns: Sequence[str], *, only: bool) -> Rule:
    rule: Rule = {"type": "schema", "required": list(columns)}
    rule["properties"] = {column: {"nullable": True} for column in columns}
    return rule | ({"additionalProperties": False} if only else {})


def _set(asked: Asked) -> Rule:
    exact = asked.take("exact_match")
    return _present([str(one) for one in asked.need("column_set")], only=exact is not False)


def _type(asked: Asked) -> Rule:
    wanted = str(asked.need("type_"))
    try:
        parse_type(wanted)
    except FatalError:
        raise _NoCounterpartError(f"with the type {wanted}") from None
    return {"type": "schema", "columns": {asked.column(): wanted}}


def _regex(asked: Asked, negated: str) -> Rule:
    return _condition(f"{negated}REGEXP_MATCHES({asked.sql()}, {_value(asked.need('regex'))})")


_KINDS: dict[str, Callable[[Asked], Rule]] = {
    "expect_column_values_to_not_be_null": lambda asked: {"type": "not_null", "columns": [asked.column()]},
    "expect_column_values_to_be_null": lambda asked: _condition(f"{asked.sql()} IS NULL"),
    "expect_column_values_to_be_unique": lambda asked: {"type": "unique", "columns": [asked.column()]},
    "expect_compound_columns_to_be_unique": lambda asked: {
        "type": "unique", "columns": list(asked.need("column_list")),
    },
    "expect_column_values_to_be_between": _range,
    "expect_column_values_to_be_in_set": lambda asked: {
        "type": "accepted_values", "column": asked.column(), "values": list(asked.need("value_set")),
    },
    "expect_column_values_to_not_be_in_set": lambda asked: _among(asked, "NOT IN"),
    "expect_column_values_to_match_regex": lambda asked: _regex(asked, ""),
    "expect_column_values_to_not_match_regex": lambda asked: _regex(asked, "NOT "),
    "expect_column_value_lengths_to_be_between": _lengths,
    "expect_column_value_lengths_to_equal": _length,
    "expect_column_values_to_be_of_type": _type,
    "expect_column_to_exist": lambda asked: _present([asked.column()], only=False),
    "expect_table_columns_to_match_set": _set,
    "expect_table_row_count_to_be_between": _rows,
    "expect_table_row_count_to_equal": lambda asked: {"type": "row_count", "equals": asked.need("value")},
    "expect_column_pair_values_to_be_equal": lambda asked: _pair(asked, "="),
    "expect_column_pair_values_a_to_be_greater_than_b": _greater,
    "expect_column_pair_values_A_to_be_greater_than_B": _greater,
    "expect_multicolumn_sum_to_equal": _sum,
}  # fmt: skip
