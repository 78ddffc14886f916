"""Other spellings of quality rules, checks and validations."""

from __future__ import annotations

from headgate.config.renames import as_items, flatten, rename, replace, section_of
from headgate.config.report import Path, Report
from headgate.config.yaml import Items, Section

_KINDS = {
    "null_check": "not_null", "no_nulls": "not_null", "not_null_check": "not_null", "range_check": "range",
    "duplicate_check": "unique", "uniqueness": "unique", "uniqueness_check": "unique", "no_duplicates": "unique",
    "row_count_check": "row_count", "completeness_check": "completeness", "allowed_values": "accepted_values",
    "pattern": "regex", "custom": "expression", "custom_sql": "expression", "referential_integrity": "referential",
    "referential_integrity_check": "referential", "foreign_key": "referential", "relationships": "referential",
    "aggregation": "aggregate", "aggregate_check": "aggregate", "recency": "freshness", "freshness_check": "freshness",
    "anomaly": "volume", "row_count_anomaly": "volume", "reconcile": "compare", "reconciliation": "compare",
    "date_range_check": "date_range", "custom_python": "python",
    "schema_check": "schema", "schema_validation": "schema",
}  # fmt: skip
_KEYS: dict[str, dict[str, str]] = {
    "not_null": {"fields": "columns", "required_columns": "columns"},
    "completeness": {"fields": "columns", "required_columns": "columns"},
    "unique": {"keys": "columns", "key": "columns", "fields": "columns", "unique_columns": "columns"},
    "range": {"min_value": "min", "max_value": "max", "minimum": "min", "maximum": "max"},
    "accepted_values": {"allowed_values": "values", "valid_values": "values", "allowed": "values"},
    "regex": {"regex": "pattern"},
    "format": {},
    "drift": {"limit": "threshold"},
    "schema": {"additional": "additionalProperties"},
    "row_count": {"min_rows": "min", "max_rows": "max", "min_count": "min", "max_count": "max", "expected": "equals",
                  "tolerance": "allowed_difference"},
    "referential": {"fields": "columns", "foreign_key": "columns", "valid_values": "values", "to": "table"},
    "date_range": {"min_date": "min", "max_date": "max", "start": "min", "end": "max"},
    "aggregate": {"expression": "condition"},
    "freshness": {"max_delay": "max_age"},
    "sql": {"sql": "query"},
    "expression": {"expression": "condition", "sql": "condition"},
}  # fmt: skip
_SEVERAL = ("not_null", "unique", "completeness", "referential")
_WHOLE = ("row_count", "expression", "aggregate", "sql", "schema")
_COMMON = {
    "max_failures": "max_failed", "max_failed_rows": "max_failed", "gate": "stage", "level": "severity",
    "action": "on_fail", "on_failure": "on_fail",
}  # fmt: skip


_FORMATS = {"email", "email_format", "uuid", "url", "ip", "date_format", "valid_email", "email_check"}
"""Formats that stand as types of their own in the field."""


def _format(rule: Section, report: Report, path: Path) -> None:
    """``type: date_format`` with ``parameters.format``, ``type: email``: all are the format rule."""
    kind = rule.get("type")
    if not isinstance(kind, str) or kind.lower() not in _FORMATS:
        return
    line = rule.line_of("type")
    if kind.lower() == "date_format":
        rename(rule, {"format": "date_format", "pattern": "date_format"}, report, path)
        if "date_format" not in rule:
            rule.put("date_format", "YYYY-MM-DD", line)
    rule.put("type", "format", line)
    rule.put("format", "email" if "email" in kind.lower() else kind.lower(), line)


def canonical_rule(rule: Section, report: Report, path: Path) -> None:
    """Rewrite one rule in place."""
    rename(rule, {"rule_type": "type", "check": "type", "rule_name": "name"}, report, path)
    flatten(rule, "parameters", report, path)
    rename(rule, _COMMON, report, path)
    if "type" not in rule and "name" in rule:
        rule.move("name", "type")
    replace(rule, "type", _KINDS)
    _format(rule, report, path)
    kind = rule.get("type")
    if not isinstance(kind, str):
        return
    rename(rule, _KEYS.get(kind, {}), report, path)
    if kind in _SEVERAL:
        _several(rule, report, path)
    elif kind in _KEYS and kind not in _WHOLE:
        rename(rule, {"field": "column"}, report, path)
        if "column" not in rule and isinstance(rule.get("columns"), str):
            rule.move("columns", "column")
        elif "column" not in rule and isinstance(rule.get("columns"), Items) and len(rule["columns"]) == 1:
            line, columns = rule.line_of("columns"), rule.take("columns")
            rule.put("column", columns[0], line)


def _several(rule: Section, report: Report, path: Path) -> None:
    rename(rule, {"field": "columns"}, report, path)
    rename(rule, {"column": "columns"}, report, path)
    if isinstance(rule.get("columns"), str):
        line = rule.line_of("columns")
        rule.put("columns", as_items(rule["columns"], line), line)


def validation_rules(section: Section, report: Report, path: Path) -> list[Section]:
    """Rules of ``validation: {schema, completeness_check, uniqueness_check}``."""
    rules: list[Section] = []
    for key, value in section.items():
        line = section.line_of(key)
        match key:
            case "schema" if isinstance(value, Section):
                rules += _schema(value, line)
            case "completeness_check" | "uniqueness_check" | "completeness" | "uniqueness":
                rules.append(_check(key.removesuffix("_check"), value, section.file, line))
            case _:
                hint = "known: schema, completeness_check, uniqueness_check"
                report.note(f'unknown key "{key}"', (*path, key), hint, line=line)
    return rules


def _check(name: str, value: object, file: str, line: int) -> Section:
    rule = section_of([("type", "unique" if name == "uniqueness" else name)], file, line)
    for key, item in value.items() if isinstance(value, Section) else (("columns", value),):
        rule.put(key, item, line)
    return rule


def _schema(schema: Section, line: int) -> list[Section]:
    """``required`` and bounds are rules of their own; types too are left to the rule that knows them."""
    properties = schema.get("properties")
    bounded = isinstance(properties, Section) and all(
        isinstance(item, Section) and set(item) <= {"minimum", "maximum"} for item in properties.values()
    )
    if set(schema) - {"required", "properties", "type"} or (properties is not None and not bounded):
        rule = section_of([("type", "schema")], schema.file, line)
        for key, item in schema.items():
            if key != "type":
                rule.put(key, item, schema.line_of(key))
        return [rule]
    rules = []
    if schema.get("required") is not None:
        rules.append(section_of([("type", "not_null"), ("columns", schema["required"])], schema.file, line))
    for column, item in properties.items() if isinstance(properties, Section) else ():
        where = properties.line_of(column) if isinstance(properties, Section) else line
        rules.append(section_of([("type", "range"), ("column", column), *item.items()], schema.file, where))
    return rules
