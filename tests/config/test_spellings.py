"""Other spellings of the field are read into the same models, or refused; nothing is dropped in silence."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.config.conftest import Folder

from headgate.config.models import Pipeline
from headgate.config.report import Report
from headgate.config.spellings import canonical_connection
from headgate.config.yaml import parse, plain
from headgate.io.postgres.connection import Connection

CANONICAL = """
sales:
  description: Sales of a day.
  schedule: "0 2 * * *"
  source:
    connection: db
    query: SELECT * FROM sales
    mode: incremental
    incremental: {column: updated_at, key: [id]}
    batch_size: 10000
  transformations:
    - {type: clean, remove_nulls: [amount, product_id], deduplicate: [order_id]}
    - {type: calculate, columns: {amount_usd: amount * rate}}
    - {type: filter, condition: amount_usd > 0}
    - {type: aggregate, group_by: [product_id], metrics: {total_sales: SUM(amount), order_count: COUNT(order_id)}}
    - {type: join, table: dim_products, on: [product_id], columns: [name, category]}
  quality_rules:
    - {type: row_count, min: 1000}
    - {type: not_null, columns: [product_id]}
    - {type: range, column: total_sales, min: 0, max: 1000000}
    - {type: unique, columns: [product_id]}
  target: {connection: db, table: fact_sales, mode: upsert, keys: [product_id]}
  error_handling: {retry: {max_attempts: 4, base: 300, factor: 1, cap: 300}, max_error_percentage: 5}
  monitoring: {alerts: [{type: email, recipients: [a@b.example]}]}
"""
WITH_PARAMETERS = """
sales:
  description: Sales of a day.
  schedule: "0 2 * * *"
  type: batch
  source:
    type: database
    connection: db
    query: SELECT * FROM sales
    timestamp_column: updated_at
    unique_key: id
    batch_size: 10000
  transformations:
    - type: clean
      parameters: {remove_nulls: [amount, product_id], deduplicate: [order_id]}
    - type: calculate
      parameters: {expressions: [{field: amount_usd, formula: amount * rate}]}
    - type: filter
      parameters: {condition: amount_usd > 0}
    - type: aggregation
      parameters: {group_by: [product_id], metrics: {total_sales: SUM(amount), order_count: COUNT(order_id)}}
    - type: enrich
      parameters: {join_table: dim_products, join_key: product_id, columns: [name, category]}
  quality_rules:
    - {type: row_count, parameters: {min_rows: 1000}}
    - {type: not_null, field: product_id}
    - {type: range, field: total_sales, parameters: {min: 0, max: 1000000}}
    - {type: unique, field: product_id}
  target: {type: database, connection: db, table_name: fact_sales, write_mode: upsert, business_key: product_id}
  error_handling:
    strategy: retry
    max_retries: 3
    retry_delay: 300
    max_error_percentage: 5
    on_transform_error: fail
    alerts: [{type: email, recipients: [a@b.example]}]
"""
INLINE = """
sales:
  description: Sales of a day.
  schedule: "0 2 * * *"
  source:
    type: postgres
    connection: db
    sql: SELECT * FROM sales
    incremental: {column: updated_at, key: id}
    mode: incremental
    batch_size: 10000
  transformations:
    - type: clean
      rules: [{remove_nulls: [amount, product_id]}, {deduplicate: [order_id]}]
    - {type: calculate, columns: {amount_usd: amount * rate}}
    - {type: filter, condition: amount_usd > 0}
    - {type: aggregate, group_by: product_id, metrics: {total_sales: SUM(amount), order_count: COUNT(order_id)}}
    - {type: enrich, join_table: dim_products, join_key: product_id, columns: [name, category]}
  target: {type: postgres, connection: db, table: fact_sales, mode: upsert, merge_keys: [product_id]}
  quality_checks:
    - {name: row_count, min_rows: 1000}
    - {name: null_check, columns: [product_id]}
    - {name: range_check, column: total_sales, min: 0, max: 1000000}
    - {name: duplicate_check, keys: [product_id]}
  error_handling: {retry: {max_retries: 3, retry_delay: 300}, max_error_percentage: 5}
  monitoring: {alerts: {email: [a@b.example]}}
"""
ONE_FILE = """
name: sales
description: Sales of a day.
schedule_interval: "0 2 * * *"
extraction:
  source_name: db
  query: SELECT * FROM sales
  extract_mode: incremental
  last_updated_column: updated_at
  primary_key: id
  chunk_size: 10000
transformations:
  - {rule_type: clean, parameters: {remove_nulls: [amount, product_id], deduplicate: [order_id]}}
  - rule_type: calculation
    source_columns: [amount, rate]
    target_column: amount_usd
    parameters: {expression: amount * rate}
  - {rule_type: filter, parameters: {condition: amount_usd > 0}}
  - rule_type: aggregation
    parameters: {group_by: [product_id], metrics: {total_sales: SUM(amount), order_count: COUNT(order_id)}}
  - {rule_type: join, parameters: {join_table: dim_products, join_key: product_id, columns: [name, category]}}
quality_checks:
  - {check: row_count, min_rows: 1000}
  - {check: null_check, field: product_id}
  - {check: range_check, field: total_sales, min_value: 0, max_value: 1000000}
validation:
  uniqueness_check: {unique_columns: [product_id]}
load: {target_connection: db, target_table: fact_sales, load_mode: upsert, conflict_columns: product_id}
error_handling: {max_retries: 3, retry_delay: 300, max_error_percentage: 5}
alert_recipients: [a@b.example]
"""


def loaded(folder: Folder, text: str) -> Pipeline:
    path = folder.write("pipelines/sales.yml", text)
    try:
        return folder.load().pipeline("sales")
    finally:
        path.unlink()


@pytest.mark.parametrize("text", [WITH_PARAMETERS, INLINE, ONE_FILE], ids=["parameters", "inline", "one file"])
def test_one_pipeline_in_every_spelling_is_one_model(folder: Folder, text: str) -> None:
    canonical, spelled = loaded(folder, CANONICAL), loaded(folder, text)
    for part in ("header", "sources", "transformations", "quality_rules", "targets"):
        assert getattr(spelled, part) == getattr(canonical, part), part
    assert spelled == canonical


@pytest.mark.parametrize("text", [CANONICAL, WITH_PARAMETERS, INLINE, ONE_FILE])
def test_the_canonical_form_of_every_spelling_loads_to_the_same(folder: Folder, text: str) -> None:
    from headgate.config.dump import dump

    first = loaded(folder, text)
    second = loaded(folder, dump({"sales": first.canonical()}))
    assert first == second
    assert first.canonical() == second.canonical()


def test_connections_have_other_spellings() -> None:
    section = parse("{type: postgres, host: h, dbname: d, user: u}", "headgate.yml")
    report = Report(section, "headgate.yml")
    canonical_connection(section, Connection, report, ())
    assert plain(section) == {"type": "postgres", "host": "h", "database": "d", "username": "u"}
    section = parse("{type: postgres, database: d, user: u, username: v}", "headgate.yml")
    canonical_connection(section, Connection, report, ())
    assert [problem.message for problem in report.problems] == ['"user" and "username" say the same']


def test_retries_count_the_first_run_too(folder: Folder) -> None:
    retry = loaded(folder, ONE_FILE).error_handling.retry
    assert (retry.max_attempts, retry.base, retry.factor) == (4, timedelta(seconds=300), 1)


def pipeline(**parts: str) -> str:
    lines = {"source": "{connection: db, table: a}", "target": "{table: b}", **parts}
    return "sales:\n" + "".join(f"  {key}: {value}\n" for key, value in lines.items())


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("{type: rename, mapping: {a: b}}", "{type: rename, columns: {a: b}}"),
        ("{rule_type: column_rename, source_columns: [a], target_column: b}", "{type: rename, columns: {a: b}}"),
        ("{rule_type: data_type, source_columns: [a], parameters: {target_type: int}}",
         "{type: cast, columns: {a: BIGINT}}"),
        ("{type: cast, columns: [{column: a, type: DATE}]}", "{type: cast, columns: {a: DATE}}"),
        ("{type: calculate, columns: [{a: 'b + 1'}]}", "{type: calculate, columns: {a: b + 1}}"),
        ("{type: filter, condition: [a > 1, b > 2]}", "{type: filter, condition: (a > 1) AND (b > 2)}"),
        ("{type: deduplicate, columns: [a], sort_by: t}", "{type: deduplicate, keys: [a], order_by: t}"),
        ("{type: aggregate, group_by: [g], aggregations: {x: [sum], y: nunique}}",
         "{type: aggregate, group_by: [g], aggregations: {x: [sum], y: nunique}}"),
        ("{type: aggregate, groupby: g, aggregations: [{field: x, function: sum}, {field: x, function: p95}]}",
         "{type: aggregate, group_by: [g], aggregations: {x: [sum, p95]}}"),
        ("{rule_type: aggregation, source_columns: [x, y], parameters: {group_by: [g], function: max}}",
         "{type: aggregate, group_by: [g], aggregations: {x: [max], y: [max]}}"),
        ("{rule_type: calculation, source_columns: [b], target_column: a, expression: b, condition: b > 0}",
         "{type: calculate, condition: b > 0, columns: {a: b}}"),
        ("{rule_type: filter, source_columns: [a], condition: a > 1}", "{type: filter, condition: a > 1}"),
        ("{type: aggregate, groupby: g, aggregations: [{field: x, function: count, alias: n}]}",
         "{type: aggregate, group_by: [g], metrics: {n: 'COUNT(\"x\")'}}"),
        ("{type: aggregate, groupby: g, metrics: {m: MAX(y)}, aggregations: [{column: x, agg: count, name: n}]}",
         "{type: aggregate, group_by: [g], metrics: {m: MAX(y), n: 'COUNT(\"x\")'}}"),
        ("{rule_type: column_rename, source_columns: [a, b], parameters: {mapping: {a: c, b: d}}}",
         "{type: rename, columns: {a: c, b: d}}"),
        ("{rule_type: column_rename, source_columns: a, target_column: b, condition: null, parameters: null}",
         "{type: rename, columns: {a: b}}"),
        ("{rule_type: data_type, source_columns: [a, b], target_column: null, parameters: {target_type: int}}",
         "{type: cast, columns: {a: BIGINT, b: BIGINT}}"),
        ("{rule_type: data_type, source_columns: [a], target_column: a, parameters: {to: date}}",
         "{type: cast, columns: {a: DATE}}"),
        ("{rule_type: aggregation, source_columns: [x], target_column: n, parameters: {group_by: g, function: count}}",
         "{type: aggregate, group_by: [g], metrics: {n: 'COUNT(\"x\")'}}"),
        ("{rule_type: join, source_columns: [k], parameters: {join_table: t}}", "{type: join, table: t, on: [k]}"),
        ("{type: join, join_table: t, join_on: k, join_type: inner}", "{type: join, table: t, on: [k], how: inner}"),
    ],
)  # fmt: skip
def test_steps_have_other_spellings(folder: Folder, given: str, canonical: str) -> None:
    spelled = loaded(folder, pipeline(transformations=f"[{given}]"))
    assert spelled.canonical()["transformations"] == [plain(parse(f"x: {canonical}", ""))["x"]]
    assert spelled.transformations == loaded(folder, pipeline(transformations=f"[{canonical}]")).transformations


def test_a_filter_by_field_keeps_its_form_with_one_set_of_operators(folder: Folder) -> None:
    found = folder_step(folder, "{type: filter, parameters: {condition: {field: amount, operator: '>=', value: 5}}}")
    assert found == {"type": "filter", "field": "amount", "operator": "gte", "value": 5}


def folder_step(folder: Folder, step: str) -> Any:
    """The canonical form of a step, whether or not its kind takes it."""
    folder.write("pipelines/sales.yml", pipeline(transformations=f"[{step}]"))
    return folder.load(deep=False).pipelines["sales"].canonical()["transformations"][0]


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("{connection: db, table_name: a}", "{connection: db, table: a}"),
        ("{connection: db, schema: {table: a, columns: [x]}}", "{connection: db, table: a, columns: [x]}"),
        ("{connection: db, schema: public, table: a}", "{connection: db, table: public.a}"),
        ("{connection: db, table: a, incremental: u}",
         "{connection: db, table: a, incremental: {column: u}, mode: incremental}"),
        ("{connection: files, file_path: x.csv, incremental: true}",
         "{connection: files, path: x.csv, mode: incremental}"),
        ("{connection: db, table: a, mode: incremental, watermark_column: u}",
         "{connection: db, table: a, mode: incremental, incremental: {column: u}}"),
        ("{source: {connection: db}, table: a}", "{connection: db, table: a}"),
        ("{source: db, table: a}", "{connection: db, table: a}"),
    ],
)  # fmt: skip
def test_sources_have_other_spellings(folder: Folder, given: str, canonical: str) -> None:
    assert loaded(folder, pipeline(source=given)) == loaded(folder, pipeline(source=canonical))


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("{table: b, if_exists: replace}", "{table: b, mode: overwrite}"),
        ("{table: b, load_mode: upsert, key: id}", "{table: b, mode: upsert, keys: [id]}"),
        ("{connection: db, schema: dw, target_table: b}", "{connection: db, table: dw.b}"),
        ("{type: data_lake, table: b, evolve: false}", "{table: b, evolve: freeze}"),
        ("{table: b, create_table_if_not_exists: false}", "{table: b, create: false}"),
    ],
)
def test_targets_have_other_spellings(folder: Folder, given: str, canonical: str) -> None:
    assert loaded(folder, pipeline(target=given)) == loaded(folder, pipeline(target=canonical))


def test_cleaning_and_business_rules_become_steps(folder: Folder) -> None:
    text = """
    sales:
      source: {connection: db, table: a}
      target: {table: b}
      transformations:
        cleaning_rules:
          null_handling: {email: drop, age: fill_zero, income: fill_mean, status: active}
          type_conversions: {created_at: datetime, age: int, income: numeric}
          string_operations: {email: [strip, lower], name: [strip, remove_special_chars]}
        business_rules:
          derived_columns: {total: a * b}
          filters: [age >= 18, total > 0]
          categorizations:
            income: {Low: {min: 0, max: 30000}, Medium: {min: 30001, max: 80000}, High: {min: 80001}}
            country: {home: [DE, AT], far: "country = 'NZ'"}
    """
    folder.write("pipelines/sales.yml", text)
    assert folder.load(deep=False).pipelines["sales"].canonical()["transformations"] == [
        {
            "type": "clean",
            "fill": {"age": 0, "income": {"strategy": "mean"}, "status": "active"},
            "remove_nulls": ["email"],
            "convert": {"created_at": "TIMESTAMP", "age": "BIGINT", "income": {"type": "DOUBLE", "on_error": "null"}},
            "trim": ["email", "name"],
            "case": {"email": "lower"},
            "remove_special": ["name"],
        },
        {"type": "calculate", "columns": {"total": "a * b"}},
        {"type": "filter", "condition": "age >= 18"},
        {"type": "filter", "condition": "total > 0"},
        {
            "type": "categorize",
            "column": "income",
            "categories": [
                {"name": "Low", "min": 0, "below": 30001},
                {"name": "Medium", "min": 30001, "below": 80001},
                {"name": "High", "min": 80001},
            ],
        },
        {
            "type": "categorize",
            "column": "country",
            "categories": [{"name": "home", "values": ["DE", "AT"]}, {"name": "far", "condition": "country = 'NZ'"}],
        },
    ]


def test_a_validation_becomes_rules(folder: Folder) -> None:
    validation = "{schema: {required: [id], properties: {age: {minimum: 0, maximum: 150}}}, uniqueness_check: [id]}"
    rules = loaded(folder, pipeline(validation=validation)).canonical()["quality_rules"]
    assert rules == [
        {"type": "not_null", "columns": ["id"]},
        {"type": "range", "column": "age", "min": 0, "max": 150},
        {"type": "unique", "columns": ["id"]},
    ]


RECORDS = [
    ("{rule_type: column_rename, source_columns: [a, b], target_column: c}", "2 columns cannot all be called 'c'"),
    ("{rule_type: column_rename, source_columns: [a]}", '"target_column" is missing'),
    ("{rule_type: column_rename, source_columns: [a], mapping: {b: c}}", "none of the source_columns"),
    ("{rule_type: column_rename, source_columns: [a], target_column: b, condition: c > 1}", "has no condition"),
    ("{rule_type: data_type, source_columns: [a]}", '"parameters.target_type" is missing'),
    ("{rule_type: data_type, source_columns: [a], target_column: b, target_type: int}", "changed in place"),
    ("{rule_type: calculation, source_columns: [a], target_column: b}", '"parameters.expression" is missing'),
    ("{rule_type: calculation, source_columns: [a], expression: a * 2}", '"target_column" is missing'),
    ("{rule_type: aggregation, source_columns: [a, b], target_column: c}", "one target_column is for one column"),
    ("{rule_type: unpivot, source_columns: [a], target_column: b, value_name: c}", '"values_to" say the same'),
    ("{rule_type: filter, source_columns: [a], target_column: b, condition: a > 1}", "has no one target_column"),
]


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        *[({"transformations": f"[{record}]"}, told) for record, told in RECORDS],
        ({"error_handling": "{strategy: continue}"}, "strategy continue has no meaning here"),
        ({"error_handling": "{strategy: shrug}"}, "expected: retry or fail, got 'shrug'"),
        ({"error_handling": "{on_transform_error: skip}"}, "a failing step cannot be skipped"),
        ({"error_handling": "shrug"}, "got 'shrug'"),
        ({"error_handling": "{max_retries: '${N}'}"}, "must be a number; write max_attempts"),
        ({"error_handling": "{max_retries: 2, retry: {max_attempts: 2}}"}, "say the same"),
        ({"target": "{table: b, mode: append, load_mode: upsert}"}, '"load_mode" and "mode" say the same'),
        ({"target": "{table: b, if_exists: fail}"}, "got 'fail'"),
        ({"target": "{table: b, load_mode: upsert, merge_keys: [a], truncate_before_load: true}"}, "empties the table"),
        ({"source": "{connection: db, table: a, table_name: b}"}, '"table_name" and "table" say the same'),
        ({"extraction": "{connection: db, table: a}"}, '"extraction" and "source" say the same'),
        ({"name": "other"}, 'the pipeline is called "sales"'),
        ({"validation": "{scheme: {}}"}, 'unknown key "scheme"'),
        ({"validation": "{schema: {properties: {a: {type: string}}}}"}, 'unknown rule "schema"'),
        ({"validation": "{completeness_check: {required_columns: [a]}}"}, 'unknown rule "completeness"'),
        ({"quality_rules": "[{type: date_format, field: d, parameters: {format: Y}}]"}, 'unknown rule "format"'),
        ({"transformations": "[{type: filter, parameters: {where: a}, condition: b}]"}, "say the same"),
        ({"transformations": "[{type: filter}]"}, '"condition" is missing'),
        ({"transformations": "[{type: calculate, parameters: 5}]"}, "expected: a mapping of options"),
        ({"transformations": "[{type: calculate, expressions: [{field: a}]}]"}, "expected: {field: NAME"),
        ({"transformations": "[{type: calculate, expressions: [{field: a, formula: b}, {field: a, formula: c}]}]"},
         'the column "a" stands twice'),
        ({"transformations": "[{type: aggregate, aggregations: [{field: x, function: f, alias: y}]}]"},
         '"f" is not an aggregate'),
        ({"transformations": "[{type: aggregate, aggregations: [{field: x, function: sum, where: y > 1}]}]"},
         'unknown key "where"'),
        ({"transformations": "[{type: aggregate, aggregations: [{field: x, function: sum, alias: t}, "
                             "{field: y, function: sum, alias: t}]}]"}, '"t" stands twice'),
        ({"transformations": "[{type: aggregate, metrics: {t: SUM(y)}, "
                             "aggregations: [{field: x, function: sum, alias: t}]}]"}, '"t" stands twice'),
        ({"cleaning_rules": "{trim: true, string_operations: {name: [strip]}}"}, '"trim" stands twice'),
        ({"cleaning_rules": "{null_handling: {a: 0}, fill: {b: 0}}"}, '"fill" stands twice'),
        ({"cleaning_rules": "{remove_nulls: [a], null_handling: {b: drop}}"}, '"remove_nulls" stands twice'),
        ({"cleaning_rules": "{type_conversions: {a: int}, data_types: {b: int}}"}, '"convert" stands twice'),
        ({"error_handling": "{max_attempts: 2, retry: {max_attempts: 3}}"}, '"max_attempts" stands twice'),
        ({"transformations": "[{type: normalize, columns: [a]}]"}, 'unknown step "normalize"'),
        ({"cleaning_rules": "{null_handling: {a: forward_fill}}"}, "forward_fill needs an order"),
        ({"cleaning_rules": "{null_handling: {a: fill_meen}}"}, '"fill_meen" is no strategy'),
        ({"cleaning_rules": "{string_operations: {a: rot13}}"}, '"rot13" is not known'),
        ({"cleaning_rules": "{string_operations: {a: [upper, lower]}}"}, '"lower" undoes "upper"'),
        ({"business_rules": "{bands: {}}"}, 'unknown key "bands"'),
        ({"business_rules": "5"}, "expected: a mapping of rules"),
    ],
)  # fmt: skip
def test_what_a_spelling_cannot_mean_here_is_refused(folder: Folder, parts: dict[str, str], told: str) -> None:
    folder.write("pipelines/sales.yml", pipeline(**parts))
    problems = folder.problems()
    assert any(told in str(problem) for problem in problems), [str(problem) for problem in problems]
    assert all(problem.line > 1 for problem in problems)
