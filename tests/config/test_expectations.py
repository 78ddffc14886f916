"""Suites of Great Expectations become rules that judge rows as the expectations do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.plan.projects import with_orders
from typer.testing import CliRunner

from headgate.cli.main import app
from headgate.config.expectations import rules_of
from headgate.core.errors import FatalError

# the orders: ids 1 to 5; Bonn, Bonn, Ulm, Ulm, Jena; totals 10, 20, 30, NULL, -5; notes 1, x, 3, NULL, 5
HOLD: list[tuple[str, dict[str, Any]]] = [
    ("expect_column_values_to_not_be_null", {"column": "city"}),
    ("expect_column_values_to_not_be_null", {"column": "total", "mostly": 0.8}),
    ("expect_column_values_to_be_unique", {"column": "id"}),
    ("expect_compound_columns_to_be_unique", {"column_list": ["city", "id"]}),
    ("expect_column_values_to_be_between", {"column": "total", "min_value": -5, "max_value": 30}),
    ("expect_column_values_to_be_in_set", {"column": "city", "value_set": ["Bonn", "Ulm", "Jena"]}),
    ("expect_column_values_to_not_be_in_set", {"column": "city", "value_set": ["O'Hara", "Kiel"]}),
    ("expect_column_values_to_match_regex", {"column": "city", "regex": "^[A-Z]"}),
    ("expect_column_values_to_not_match_regex", {"column": "city", "regex": "\\d"}),
    ("expect_column_value_lengths_to_be_between", {"column": "city", "min_value": 3, "max_value": 4}),
    ("expect_column_value_lengths_to_equal", {"column": "note", "value": 1}),
    ("expect_column_values_to_be_of_type", {"column": "city", "type_": "VARCHAR"}),
    ("expect_column_to_exist", {"column": "total"}),
    ("expect_table_columns_to_match_set", {"column_set": ["id", "city", "total", "note"]}),
    ("expect_table_columns_to_match_set", {"column_set": ["id"], "exact_match": False}),
    ("expect_table_row_count_to_be_between", {"min_value": 5}),
    ("expect_table_row_count_to_equal", {"value": 5}),
    ("expect_column_pair_values_A_to_be_greater_than_B", {"column_A": "id", "column_B": "id", "or_equal": True}),
    ("expect_column_pair_values_to_be_equal", {"column_A": "city", "column_B": "city"}),
    ("expect_column_mean_to_be_between", {"column": "total", "min_value": 13.7, "max_value": 13.8}),
    ("expect_column_median_to_be_between", {"column": "total", "min_value": 15, "max_value": 15}),
    ("expect_column_sum_to_be_between", {"column": "total", "min_value": 55, "max_value": 55}),
    ("expect_column_min_to_be_between", {"column": "total", "max_value": -5}),
    ("expect_column_max_to_be_between", {"column": "total", "min_value": 30}),
    ("expect_column_stdev_to_be_between", {"column": "total", "min_value": 14, "max_value": 16}),
    ("expect_column_unique_value_count_to_be_between", {"column": "city", "min_value": 3, "max_value": 3}),
    ("expect_column_proportion_of_unique_values_to_be_between", {"column": "city", "min_value": 0.6, "max_value": 0.6}),
    ("expect_column_proportion_of_non_null_values_to_be_between", {"column": "total", "min_value": 0.8}),
]
BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("expect_column_values_to_not_be_null", {"column": "total", "mostly": 0.81}),
    ("expect_column_values_to_be_null", {"column": "note"}),
    ("expect_column_values_to_be_unique", {"column": "city"}),
    ("expect_column_values_to_be_between", {"column": "total", "min_value": -5, "strict_min": True}),
    ("expect_column_values_to_be_between", {"column": "total", "max_value": 30, "strict_max": True}),
    ("expect_column_values_to_be_in_set", {"column": "city", "value_set": ["Bonn", "Ulm"]}),
    ("expect_column_values_to_not_be_in_set", {"column": "city", "value_set": ["Jena"]}),
    ("expect_column_values_to_match_regex", {"column": "note", "regex": "\\d"}),
    ("expect_column_value_lengths_to_be_between", {"column": "city", "min_value": 3, "strict_min": True}),
    ("expect_table_row_count_to_be_between", {"max_value": 4}),
    ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "id", "column_B": "id"}),
    ("expect_multicolumn_sum_to_equal", {"column_list": ["id", "total"], "sum_total": 11}),
    ("expect_column_max_to_be_between", {"column": "total", "min_value": 30, "strict_min": True}),
]


def suite(*expectations: tuple[str, dict[str, Any]], **others: Any) -> str:
    listed = [{"type": kind, "kwargs": kwargs, **others} for kind, kwargs in expectations]
    return json.dumps({"name": "orders", "expectations": listed, "meta": {"great_expectations_version": "1.5.0"}})


def test_expectations_hold_or_not_as_rules(tmp_path: Path) -> None:
    rules, missing = rules_of(suite(*HOLD, *BROKEN))
    assert missing == []
    receipt = with_orders(tmp_path).define(rules=[{**rule, "on_fail": "warn"} for rule in rules]).run()
    assert len(receipt.checks) == len(HOLD) + len(BROKEN)
    expected = [True] * len(HOLD) + [False] * len(BROKEN)
    by_rule = dict(zip(sorted(range(len(expected)), key=lambda at: at), receipt.checks, strict=True))
    wrong = [(HOLD + BROKEN)[at] for at, check in by_rule.items() if check.passed is not expected[at]]
    assert wrong == []


def test_older_suites_severity_and_notes_are_read() -> None:
    old = {"expectation_type": "expect_column_to_exist", "kwargs": {"column": "a", "result_format": "BASIC"}}
    new = {
        "type": "expect_column_values_to_be_unique", "kwargs": {"column": "a"}, "severity": "warning",
        "meta": {"notes": {"format": "markdown", "content": ["one a row"]}},
    }  # fmt: skip
    rules, _ = rules_of(json.dumps({"expectation_suite_name": "old", "expectations": [old, new]}))
    assert rules == [
        {"type": "schema", "required": ["a"], "properties": {"a": {"nullable": True}}},
        {"type": "unique", "columns": ["a"], "severity": "warning", "description": "one a row"},
    ]


def test_what_has_no_counterpart_is_named_with_its_number() -> None:
    rules, missing = rules_of(
        suite(
            ("expect_column_to_exist", {"column": "a"}),
            ("expect_column_kl_divergence_to_be_less_than", {"column": "a", "threshold": 0.1}),
            ("expect_column_values_to_be_unique", {"column": "a", "row_condition": 'b == "x"'}),
            ("expect_column_values_to_be_of_type", {"column": "a", "type_": "object"}),
            ("expect_column_values_to_be_between", {"column": "a"}),
        )
    )
    assert len(rules) == 1
    assert missing == [
        "2. expect_column_kl_divergence_to_be_less_than",
        "3. expect_column_values_to_be_unique (with row_condition)",
        "4. expect_column_values_to_be_of_type (with the type object)",
        "5. expect_column_values_to_be_between (without bounds)",
    ]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"expectations": [1]}', '{"expectations": [{}]}', '{"expectations": 3}']
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(FatalError, match="no suite of expectations"):
        rules_of(text)


def test_the_command_prints_rules_and_names_what_it_left_out(tmp_path: Path) -> None:
    listed = suite(("expect_column_to_exist", {"column": "a"}), ("expect_column_kl_divergence_to_be_less_than", {}))
    (tmp_path / "suite.json").write_text(listed)
    call = ["-C", str(tmp_path), "config", "expectations", "suite.json"]
    refused = CliRunner().invoke(app, call)
    assert refused.exit_code == 2
    assert "1 of 2 expectations have no counterpart: 2. expect_column_kl_divergence" in refused.output
    done = CliRunner().invoke(app, [*call, "--skip"])
    assert done.exit_code == 0
    assert "quality_rules:\n- type: schema" in done.output.replace("  - type", "- type")
    assert "left out: 2. expect_column_kl_divergence_to_be_less_than" in done.output
    assert CliRunner().invoke(app, ["-C", str(tmp_path), "config", "expectations", "absent.json"]).exit_code != 0
