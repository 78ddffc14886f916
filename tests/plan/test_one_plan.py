"""A pipeline written three other ways is the same plan: equal stages, equal hash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.plan.projects import NAME, SmallProject

from headgate.config.yaml import parse, plain
from headgate.plan.stages import Plan

CANONICAL = """
source: {connection: shop, table: orders}
transformations:
  - {type: clean, trim: [city], remove_nulls: [total], fill: {note: none}}
  - {type: calculate, columns: {twice: total * 2}}
  - {type: filter, condition: twice > 0}
  - {type: join, table: towns, connection: shop, on: [city], columns: [land]}
  - {type: categorize, column: twice, into: size, categories: [{name: small, min: 0, below: 30}], else: large}
  - {type: aggregate, group_by: [land, size], aggregations: {total: [sum, mean]}, metrics: {n: COUNT(*)}}
quality_rules:
  - {type: row_count, min: 1}
  - {type: not_null, columns: [n]}
  - {type: range, column: total_sum, min: 0, max: 1000}
targets: [{connection: goal, table: out, mode: upsert, keys: [land, size]}]
"""
ONE_FILE = """
extraction: {source_name: shop, table_name: orders, extract_mode: full}
transformations:
  - {rule_name: clean, rule_type: clean, parameters: {trim: [city], remove_nulls: [total], fill: {note: none}}}
  - rule_type: calculation
    source_columns: [total]
    target_column: twice
    parameters: {expression: total * 2}
  - {rule_type: filter, source_columns: [twice], condition: twice > 0}
  - rule_type: join
    source_columns: [city]
    parameters: {join_table: towns, connection: shop, join_key: city, columns: [land]}
  - {type: categorize, column: twice, into: size, categories: [{name: small, min: 0, below: 30}], else: large}
  - rule_type: aggregation
    source_columns: [total]
    parameters: {group_by: [land, size], aggregations: {total: [sum, mean]}, metrics: {n: COUNT(*)}}
quality_checks:
  - {check: row_count, min_rows: 1}
  - {check: null_check, field: n}
  - {check: range_check, field: total_sum, min_value: 0, max_value: 1000}
load: {target_connection: goal, target_table: out, load_mode: upsert, conflict_columns: [land, size]}
"""
PARAMETERS = """
type: batch
source: {type: database, connection: shop, table_name: orders}
transformations:
  - {type: clean, parameters: {trim: [city], remove_nulls: [total], fill: {note: none}}}
  - {type: calculate, parameters: {expressions: [{field: twice, formula: total * 2}]}}
  - {type: filter, parameters: {condition: twice > 0}}
  - {type: enrich, parameters: {join_table: towns, connection: shop, join_key: city, columns: [land]}}
  - type: categorize
    parameters: {column: twice, into: size, categories: [{name: small, min: 0, below: 30}], else: large}
  - type: aggregation
    parameters: {group_by: [land, size], aggregations: {total: [sum, mean]}, metrics: {n: COUNT(*)}}
quality_rules:
  - {type: row_count, parameters: {min_rows: 1}}
  - {type: not_null, field: n}
  - {type: range, field: total_sum, parameters: {min: 0, max: 1000}}
target: {type: database, connection: goal, table_name: out, write_mode: upsert, business_key: [land, size]}
"""
INLINE = """
source: {type: sqlite, connection: shop, table: orders}
transformations:
  - {type: clean, rules: [{trim: [city]}, {remove_nulls: [total]}, {fill: {note: none}}]}
  - {type: calculate, columns: {twice: total * 2}}
  - {type: filter, condition: twice > 0}
  - {type: enrich, join_table: towns, connection: shop, join_key: city, columns: [land]}
  - {type: categorize, column: twice, into: size, categories: [{name: small, min: 0, below: 30}], else: large}
  - {type: aggregate, group_by: [land, size], aggregations: {total: [sum, mean]}, metrics: {n: COUNT(*)}}
quality_checks:
  - {name: row_count, min_rows: 1}
  - {name: null_check, columns: [n]}
  - {name: range_check, column: total_sum, min: 0, max: 1000}
target: {type: sqlite, connection: goal, table: out, mode: upsert, merge_keys: [land, size]}
"""


def plan_of(project: SmallProject, text: str) -> Plan:
    project.pipeline = plain(parse(text, ""))
    project.change()
    return project.plan()


@pytest.fixture
def towns(project: SmallProject) -> SmallProject:
    rows = [("Bonn", "NW"), ("Ulm", "BW"), ("Jena", "TH")]
    return project.table("towns", {"city": "TEXT", "land": "TEXT"}, rows)


@pytest.mark.parametrize("text", [ONE_FILE, PARAMETERS, INLINE], ids=["one file", "parameters", "inline"])
def test_the_same_pipeline_written_another_way_is_the_same_plan(towns: SmallProject, text: str) -> None:
    canonical, other = plan_of(towns, CANONICAL), plan_of(towns, text)
    assert other.stages == canonical.stages
    assert other.hash == canonical.hash
    assert other == canonical


def test_what_the_four_do_is_what_the_canonical_form_says(towns: SmallProject) -> None:
    plan_of(towns, CANONICAL)
    receipt = towns.run()
    assert towns.out("SELECT land, size, total_sum, total_mean, n FROM out") == [
        ("BW", "large", 30, 30.0, 1),
        ("NW", "large", 20, 20.0, 1),
        ("NW", "small", 10, 10.0, 1),
    ]
    assert receipt.rows.filtered == 2


def test_a_comment_or_another_order_of_keys_changes_no_plan(towns: SmallProject) -> None:
    document: dict[str, Any] = plain(parse(CANONICAL, ""))
    first = plan_of(towns, CANONICAL)
    document["transformations"] = [dict(reversed(step.items())) for step in document["transformations"]]
    document["transformations"][2]["condition"] = "twice /* more than nothing */ > 0"
    assert plan_of(towns, yaml.safe_dump(document)) == first
    assert Path(towns.root / "headgate.yml").read_text().count(NAME)
