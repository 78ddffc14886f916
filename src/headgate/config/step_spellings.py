"""Other spellings of transformation steps, cleaning rules and business rules."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from difflib import get_close_matches
from math import inf

from headgate.config.record_spellings import canonical_record
from headgate.config.renames import as_items, flatten, lift, put_once, rename, replace, section_of
from headgate.config.report import Path, Report
from headgate.config.yaml import Items, Section, Value

_Number = int | float | Decimal
_KINDS = {
    "column_rename": "rename", "data_type": "cast", "type_conversion": "cast", "calculation": "calculate",
    "calculated": "calculate", "derive": "calculate", "aggregation": "aggregate", "enrich": "join",
    "enrichment": "join", "lookup": "join", "cleaning": "clean", "dedupe": "deduplicate",
    "deduplication": "deduplicate",
    "remove_duplicates": "deduplicate", "filtering": "filter",
}  # fmt: skip
_KEYS: dict[str, dict[str, str]] = {
    "rename": {"mapping": "columns", "column_mapping": "columns", "mappings": "columns"},
    "cast": {"types": "columns", "type_conversions": "columns", "conversions": "columns"},
    "calculate": {"derived_columns": "columns", "formulas": "columns"},
    "filter": {"expression": "condition", "where": "condition"},
    "deduplicate": {"columns": "keys", "subset": "keys", "key_columns": "keys", "key": "keys", "sort_by": "order_by"},
    "aggregate": {"groupby": "group_by", "group_columns": "group_by", "aggregates": "metrics"},
    "join": {"join_table": "table", "lookup_table": "table", "join_key": "on", "join_keys": "on", "join_on": "on",
             "keys": "on", "join_type": "how"},
    "pivot": {"index": "keys", "columns": "column", "aggfunc": "function"},
    "unpivot": {"id_vars": "keep", "value_vars": "columns", "var_name": "names_to", "value_name": "values_to"},
}  # fmt: skip
_NAMES = ("field", "name", "column", "target", "from", "old")
_VALUES = ("formula", "expression", "type", "to", "new")
_OPERATORS = {
    "==": "eq", "=": "eq", "equals": "eq", "!=": "ne", "<>": "ne", "neq": "ne", "not_equals": "ne", ">": "gt",
    "greater_than": "gt", ">=": "gte", "ge": "gte", "<": "lt", "less_than": "lt", "<=": "lte", "le": "lte",
    "notin": "not_in", "nin": "not_in", "isnull": "is_null", "notnull": "not_null", "is_not_null": "not_null",
}  # fmt: skip
_FUNCTIONS = {
    "sum": "SUM({})", "avg": "AVG({})", "mean": "AVG({})", "count": "COUNT({})", "min": "MIN({})", "max": "MAX({})",
    "median": "MEDIAN({})", "nunique": "COUNT(DISTINCT {})", "count_distinct": "COUNT(DISTINCT {})",
    "std": "STDDEV_SAMP({})", "stddev": "STDDEV_SAMP({})", "var": "VAR_SAMP({})",
    "first": "FIRST({})", "last": "LAST({})",
}  # fmt: skip
_TYPES = {
    "datetime": "TIMESTAMP", "date": "DATE", "int": "BIGINT", "integer": "BIGINT", "numeric": "DOUBLE",
    "float": "DOUBLE", "str": "VARCHAR", "string": "VARCHAR", "bool": "BOOLEAN", "boolean": "BOOLEAN",
}  # fmt: skip


def canonical_step(step: Section, report: Report, path: Path) -> None:
    """Rewrite one step in place."""
    rename(step, {"rule_type": "type", "rule_name": "name", "transformation": "type"}, report, path)
    flatten(step, "parameters", report, path)
    replace(step, "type", _KINDS)
    kind = step.get("type")
    if not isinstance(kind, str):
        return
    if kind == "clean":
        flatten(step, "rules", report, path)
    rename(step, _KEYS.get(kind, {}), report, path)
    if {"source_columns", "target_column"} & step.keys():
        canonical_record(step, kind, report, path, types=_TYPES, metrics=_FUNCTIONS)
    match kind:
        case "rename" | "cast" | "calculate":
            _columns(step, kind, report, path)
        case "filter":
            _filter(step, report, path)
        case "aggregate":
            _aggregate(step, report, path)
        case "join":
            _join(step)
        case _:
            pass


def _columns(step: Section, kind: str, report: Report, path: Path) -> None:
    """Columns as one mapping, from lists of pairs or from one rule's loose keys."""
    if kind == "calculate" and "expressions" in step:
        rename(step, {"expressions": "columns"}, report, path)
    loose = {"rename": (), "cast": ("target_type", "to"), "calculate": ("expression", "formula")}[kind]
    given = next((key for key in loose if key in step), None)
    if given is not None and "columns" not in step:
        line, value = step.line_of(given), step.take(given)
        name = _first(step, ("field", "column", "source_column"))
        if isinstance(name, str):
            step.put("columns", section_of([(name, value)], step.file, line), line)
        else:
            report.note("it names no column", path, "columns: {NAME: …}")
    if isinstance(step.get("columns"), Items):
        _pairs(step, report, (*path, "columns"))
    columns = step.get("columns")
    if kind == "cast" and isinstance(columns, Section):
        for name in columns:
            replace(columns, name, _TYPES)


def _first(step: Section, keys: tuple[str, ...]) -> Value:
    """The one name under the first of ``keys`` that is there; it is taken out."""
    for key in keys:
        if key in step:
            value = step[key]
            if isinstance(value, Items) and len(value) != 1:
                return None
            step.take(key)
            return value[0] if isinstance(value, Items) else value
    return None


def _pairs(step: Section, report: Report, path: Path) -> None:
    """``[{field: total, formula: "a * b"}]`` as ``{total: "a * b"}``."""
    line = step.line_of("columns")
    columns = Section(step.file, line)
    for index, pair in enumerate(step["columns"]):
        match pair:
            case Section() if len(pair) == 2:
                name = next((pair[key] for key in _NAMES if key in pair), None)
                value = next((pair[key] for key in _VALUES if key in pair), None)
            case Section() if len(pair) == 1 and not {*_NAMES, *_VALUES} & pair.keys():
                name, value = next(iter(pair.items()))
            case _:
                name = value = None
        where = step["columns"].line_of(index)
        if not isinstance(name, str) or value is None:
            report.note(
                "expected: {field: NAME, formula: EXPRESSION}", (*path, index), "or columns: {NAME: EXPRESSION}"
            )
        elif name in columns:
            report.note(f'the column "{name}" stands twice', (*path, index), "keep one")
        else:
            columns.put(name, value, where)
    step.put("columns", columns, line)


def _filter(step: Section, report: Report, path: Path) -> None:
    """The condition as a text, or field, operator and value."""
    if isinstance(step.get("condition"), Section):
        flatten(step, "condition", report, path)
    if "condition" not in step:
        rename(step, {"column": "field", "op": "operator"}, report, path)
    if isinstance(step.get("condition"), Items):
        line = step.line_of("condition")
        parts = step["condition"]
        if all(isinstance(part, str) for part in parts) and parts:
            step.put("condition", " AND ".join(f"({part})" for part in parts), line)
    replace(step, "operator", _OPERATORS)


def _aggregate(step: Section, report: Report, path: Path) -> None:
    """Metrics as names of aggregate expressions, from ``aggregations: {column: [sum, mean]}`` and its kin."""
    if isinstance(step.get("group_by"), str):
        line = step.line_of("group_by")
        step.put("group_by", as_items(step["group_by"], line), line)
    if not isinstance(step.get("aggregations"), Items):
        return
    _listed(step, report, path)


def _listed(step: Section, report: Report, path: Path) -> None:
    """``[{field, function, alias}]``: what has a name of its own is a metric, the others are short names."""
    line, given = step.line_of("aggregations"), step.take("aggregations")
    metrics, short = Section(step.file, line), Section(step.file, line)
    for column, function, name, where in _aggregations(given, report, path):
        expression = _FUNCTIONS.get(str(function).lower())
        if not isinstance(column, str) or not isinstance(function, str):
            report.note("expected: {field: NAME, function: NAME}", path, "or aggregations: {NAME: [sum]}", line=where)
        elif isinstance(name, str) and expression is not None:
            quoted = "*" if column == "*" else '"' + column.replace('"', '""') + '"'
            put_once(metrics, name, expression.format(quoted), report, path, line=where)
        elif isinstance(name, str):
            hint = f"known with an alias: {', '.join(_FUNCTIONS)}"
            report.note(f'"{function}" is not an aggregate here', path, hint, line=where)
        else:
            functions = short[column] if column in short else as_items(function, where)
            if column in short:
                functions.add(function, where)
            short.put(column, functions, where)
    if metrics and isinstance(step.get("metrics"), Section):
        lift(step["metrics"], metrics, report, (*path, "metrics"))
    elif metrics:
        put_once(step, "metrics", metrics, report, path, line=line)
    if short:
        step.put("aggregations", short, line)


def _aggregations(given: Items, report: Report, path: Path) -> Iterable[tuple[Value, Value, Value, int]]:
    """Column, function, name and line of each."""
    for index, one in enumerate(given):
        where = given.line_of(index)
        if isinstance(one, Section):
            at = (*path, "aggregations", index)
            rename(one, {"column": "field", "agg": "function", "name": "alias"}, report, at)
            for key in [key for key in one if key not in ("field", "function", "alias")]:
                report.note(f'unknown key "{key}"', (*at, key), "known: field, function, alias", line=one.line_of(key))
            yield one.get("field"), one.get("function"), one.get("alias"), where
        else:
            yield None, one, None, where


def _join(step: Section) -> None:
    replace(step, "how", {"left_outer": "left", "full": "outer"})
    if isinstance(step.get("on"), str):
        line = step.line_of("on")
        step.put("on", as_items(step["on"], line), line)


def cleaning_steps(rules: Section, report: Report, path: Path) -> list[Section]:
    """One clean step of ``cleaning_rules: {remove_duplicates, null_handling, type_conversions, string_operations}``."""
    step = section_of([("type", "clean")], rules.file, rules.line)
    known = {
        "null_handling": _nulls, "null_strategies": _nulls, "handle_nulls": _nulls, "type_conversions": _conversions,
        "data_types": _conversions, "string_operations": _strings, "string_cleaning": _strings,
    }  # fmt: skip
    for key, value in rules.items():
        if key in known and isinstance(value, Section):
            known[key](step, value, report, (*path, key))
        elif key == "remove_duplicates":
            if value is not False:
                put_once(step, "deduplicate", value, report, path, line=rules.line_of(key))
        else:
            put_once(step, key, value, report, path, line=rules.line_of(key))
    return [step] if len(step) > 1 else []


_STRATEGIES = {
    "fill_zero": "zero", "zero": "zero", "fill_mean": "mean", "mean": "mean", "fill_median": "median",
    "median": "median", "fill_mode": "mode", "mode": "mode", "forward_fill": "forward", "ffill": "forward",
    "backward_fill": "backward", "bfill": "backward",
}  # fmt: skip


def _nulls(step: Section, value: Section, report: Report, path: Path) -> None:
    """Strategies and literal values share one place here, so that a word like a strategy is not taken for data."""
    fill, dropped = Section(step.file, value.line), Items(value.line)
    for column, strategy in value.items():
        line = value.line_of(column)
        known = _STRATEGIES.get(strategy) if isinstance(strategy, str) else None
        if strategy == "drop":
            dropped.add(column, line)
        elif known in ("forward", "backward"):
            hint = "fill: {NAME: {strategy: forward, order_by: NAME}}"
            report.note(f"{strategy} needs an order", (*path, column), hint, line=line)
        elif known == "zero":
            fill.put(column, 0, line)
        elif known is not None:
            fill.put(column, section_of([("strategy", known)], step.file, line), line)
        elif isinstance(strategy, str) and (near := get_close_matches(strategy, [*_STRATEGIES, "drop"], 1, 0.8)):
            hint = f'did you mean "{near[0]}"? If the text itself is meant, write {{value: {strategy}}}'
            report.note(f'"{strategy}" is no strategy', (*path, column), hint, line=line)
        else:
            fill.put(column, strategy, line)
    if fill:
        put_once(step, "fill", fill, report, path, line=value.line)
    if dropped:
        put_once(step, "remove_nulls", dropped, report, path, line=value.line)


def _conversions(step: Section, value: Section, report: Report, path: Path) -> None:
    """``numeric`` makes NULL of what is no number, and tells how often; the others are types."""
    for column, kind in value.items():
        if isinstance(kind, str) and kind.lower() == "numeric":
            line = value.line_of(column)
            number = section_of([("type", _TYPES["numeric"]), ("on_error", "null")], value.file, line)
            value.put(column, number, line)
        else:
            replace(value, column, _TYPES)
    put_once(step, "convert", value, report, path, line=value.line)


def _strings(step: Section, value: Section, report: Report, path: Path) -> None:
    trim, case, special = Items(value.line), Section(step.file, value.line), Items(value.line)
    for column, operations in value.items():
        line = value.line_of(column)
        for operation in as_items(operations, line):
            match operation:
                case "strip" | "trim":
                    trim.add(column, line)
                case "lower" | "upper" | "title" if case.get(column, operation) != operation:
                    report.note(f'"{operation}" undoes "{case[column]}"', (*path, column), "keep one", line=line)
                case "lower" | "upper" | "title":
                    case.put(column, operation, line)
                case "remove_special_chars" | "remove_special":
                    special.add(column, line)
                case _:
                    hint = "known: strip, lower, upper, title, remove_special_chars"
                    report.note(f'"{operation}" is not known', (*path, column), hint, line=line)
    if trim:
        put_once(step, "trim", trim, report, path, line=value.line)
    if case:
        put_once(step, "case", case, report, path, line=value.line)
    if special:
        put_once(step, "remove_special", special, report, path, line=value.line)


def business_steps(rules: Section, report: Report, path: Path) -> list[Section]:
    """Steps of ``business_rules: {derived_columns, filters, categorizations}``, in that order."""
    steps: list[Section] = []
    for key, kind in (("derived_columns", "calculate"), ("filters", "filter"), ("categorizations", "categorize")):
        if rules.get(key) is None:
            continue
        line, value = rules.line_of(key), rules[key]
        if kind == "filter":
            conditions = as_items(value, line)
            steps += [section_of([("type", kind), ("condition", one)], rules.file, line) for one in conditions]
        elif kind == "categorize":
            steps += _categories(value, report, (*path, key))
        else:
            steps.append(section_of([("type", kind), ("columns", value)], rules.file, line))
    for key in rules:
        if key not in ("derived_columns", "filters", "categorizations"):
            hint = "known: derived_columns, filters, categorizations"
            report.note(f'unknown key "{key}"', (*path, key), hint, line=rules.line_of(key))
    return steps


def _categories(value: Value, report: Report, path: Path) -> list[Section]:
    """``{income: {Low: {min: 0, max: 30000}, Medium: {min: 30001}}}``: bands that are written as closed become half
    open where they reach to the next one (see :func:`_next`); elsewhere their end lies inside."""
    if not isinstance(value, Section):
        report.note("expected: {COLUMN: {CATEGORY: {min, max}, a list of values, or a condition}}", path, "")
        return []
    steps = []
    for column, categories in value.items():
        line, found = value.line_of(column), Items(value.line_of(column))
        for name, what in categories.items() if isinstance(categories, Section) else ():
            where = categories.line_of(name)
            one = section_of([("name", name)], value.file, where)
            match what:
                case Section():
                    for key in what:
                        one.put({"max": "below"}.get(key, key), what[key], what.line_of(key))
                case Items():
                    one.put("values", what, where)
                case _:
                    one.put("condition", what, where)
            found.add(one, where)
        _meet(column, [one for one in found if "min" in one or "below" in one])
        steps.append(section_of([("type", "categorize"), ("column", column), ("categories", found)], value.file, line))
    return steps


def _meet(column: str, bands: list[Section]) -> None:
    for one in bands:
        end = one.get("below")
        starts = [other["min"] for other in bands if other is not one and isinstance(other.get("min"), _Number)]
        following = [start for start in starts if _next(end, start)] if isinstance(end, _Number) else []
        if following:
            one["below"] = min(following)
        elif end is not None and end != inf:
            _close(column, one)


def _next(end: _Number, start: _Number) -> bool:
    """Whether a band begins where one ends, or at the next number of as many digits: 31 after 30, 10 after 9.99."""
    last, first = Decimal(str(end)), Decimal(str(start))
    digits = [number.normalize().as_tuple().exponent for number in (last, first) if number.is_finite()]
    step = Decimal(1).scaleb(min([0, *(place for place in digits if isinstance(place, int))]))
    return last <= first <= last + step


def _close(column: str, band: Section) -> None:
    """A band with its end inside, as a condition."""
    quoted, line = '"' + column.replace('"', '""') + '"', band.line_of("below")
    edges = [(sign, band.take(key)) for key, sign in (("min", ">="), ("below", "<=")) if key in band]
    texts = [(sign, value if isinstance(value, _Number) else f"'{value}'") for sign, value in edges]
    band.put("condition", " AND ".join(f"{quoted} {sign} {value}" for sign, value in texts), line)
