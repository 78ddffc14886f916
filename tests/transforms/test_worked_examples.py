"""Examples of the specification, counted by hand, as whole pipelines."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.plan.projects import FILES, SmallProject

ORDERS = """\
order_id,customer_id,product_id,quantity,unit_price,discount_rate,day
1,7,a,2,10.00,0.10,2024-01-01
2,7,b,1,5.55,0.00,2024-01-01
3,8,a,3,10.00,0.05,2024-01-02
4,,a,1,10.00,0.00,2024-01-02
"""
MONEY = "DECIMAL(18, 2)"


def outcome(project: SmallProject, text: str, steps: list[dict[str, Any]], **others: Any) -> tuple[list[Any], Any]:
    project.file("data.csv", text)
    receipt = project.define(source=FILES, steps=steps, **others).run()
    return project.out(), receipt


def test_derived_amounts_match_to_the_cent(project: SmallProject) -> None:
    columns = {
        "order_total": f"CAST(quantity * unit_price AS {MONEY})",
        "discount_amount": f"CAST(order_total * discount_rate AS {MONEY})",
        "final_amount": "order_total - discount_amount",
    }
    outcome(project, ORDERS, [{"type": "calculate", "columns": columns}])
    assert [
        tuple(map(float, row)) for row in project.out("SELECT order_total, discount_amount, final_amount FROM out")
    ] == [
        (10.0, 0.0, 10.0),
        (20.0, 2.0, 18.0),
        (30.0, 1.5, 28.5),
        (5.55, 0.0, 5.55),
    ]


def test_the_analytics_of_orders(project: SmallProject) -> None:
    steps = [
        {"type": "calculate", "columns": {"order_total": "CAST(quantity * unit_price AS DOUBLE)"}},
        {
            "type": "aggregate",
            "aggregations": {
                "order_id": ["count"],
                "order_total": ["sum", "mean", "min", "max"],
                "customer_id": ["nunique"],
            },
        },
    ]
    rows, receipt = outcome(project, ORDERS, steps)
    names = [row[0] for row in project.out("SELECT name FROM pragma_table_info('out')")]
    assert sorted(names) == sorted(
        ["order_id_count", *(f"order_total_{name}" for name in ("sum", "mean", "min", "max")), "customer_id_nunique"]
    )
    assert rows == [(4, pytest.approx(65.55), pytest.approx(16.3875), 5.55, 30.0, 2)]
    assert receipt.rows.aggregated == 3


def test_sales_by_product_and_day_are_the_same_before_and_after_the_join(project: SmallProject) -> None:
    project.table("products", {"product_id": "TEXT", "name": "TEXT", "category": "TEXT"}, [("a", "Tea", "hot")])
    steps: list[dict[str, Any]] = [
        {"type": "clean", "rules": {"remove_nulls": ["customer_id"], "deduplicate": ["order_id"], "order_by": "day"}},
        {
            "type": "aggregate",
            "group_by": ["product_id", "day"],
            "metrics": {"total_sales": "SUM(CAST(quantity * unit_price AS DOUBLE))", "order_count": "COUNT(order_id)"},
        },
        {
            "type": "enrich",
            "join_table": "products",
            "connection": "shop",
            "join_key": "product_id",
            "columns": ["category"],
        },
    ]
    _, receipt = outcome(project, ORDERS, steps)
    assert project.out("SELECT product_id, total_sales, order_count, category FROM out") == [
        ("a", 20.0, 1, "hot"),
        ("a", 30.0, 1, "hot"),
        ("b", 5.55, 1, None),
    ]
    assert (receipt.rows.filtered, receipt.rows.loaded) == (1, 3)
    assert receipt.warnings == ("join: no match in 1 row",)


def test_high_values_lie_above_the_quantile_of_the_whole_set(project: SmallProject) -> None:
    text = "id,order_total\n" + "".join(f"{number},{number}\n" for number in range(1, 101))
    steps = [{"type": "window", "columns": {"is_high_value": "order_total > QUANTILE_CONT(order_total, 0.95)"}}]
    outcome(project, text, steps)
    assert project.out("SELECT MIN(id), COUNT(*) FROM out WHERE is_high_value") == [(96, 5)]


PEOPLE = """\
id,email, name,age,income,status,created_at
1, ADA@X.EXAMPLE , Ada ,29,29999.5,active ,2024-01-01 10:00:00
2,bob@x.example,Bob,,30000.5,,2024-01-02 11:00:00
3,,Cy,59,80000,inactive,
4,dee@x.example,Dee,60,,active,2024-01-04 00:00:00
"""


def test_the_cleaning_of_the_sample_keeps_nullable_integers(project: SmallProject) -> None:
    cleaning = {
        "null_handling": {"email": "drop", "age": "fill_zero", "income": "fill_mean", "status": "active"},
        "type_conversions": {"created_at": "datetime", "age": "int", "income": "float"},
        "string_operations": {"email": ["strip", "lower"], "name": "strip", "status": ["strip", "lower"]},
    }
    project.file("data.csv", PEOPLE.replace(" name", "name"))
    project.define(source={**FILES, "null_values": [""]})
    project.change(transformations={"cleaning_rules": cleaning}).run()
    mean = (29999.5 + 30000.5 + 80000) / 3
    assert project.out("SELECT id, email, age, income, status FROM out") == [
        (1, "ada@x.example", 29, 29999.5, "active"),
        (2, "bob@x.example", 0, 30000.5, "active"),
        (4, "dee@x.example", 60, pytest.approx(mean), "active"),
    ]


def test_a_numeric_conversion_makes_null_of_what_is_no_number_and_tells_it(project: SmallProject) -> None:
    cleaning = {"type_conversions": {"age": "numeric"}, "null_handling": {"age": "fill_zero"}}
    project.file("data.csv", "id,age\n1,7.5\n2,abc\n3,\n")
    project.define(source={**FILES, "null_values": [""]})
    receipt = project.change(transformations={"cleaning_rules": cleaning}).run()
    assert project.out("SELECT id, age FROM out") == [(1, 7.5), (2, 0.0), (3, 0.0)]
    assert receipt.warnings == ("clean: clean age became NULL in 1 row",)


def test_the_rules_of_the_sample_leave_no_gap(project: SmallProject) -> None:
    rules = {
        "derived_columns": {"income_bracket": "CAST(FLOOR(income / 10000) * 10000 AS INTEGER)"},
        "filters": ["age IS NULL OR age >= 18", "income > 0"],
        "categorizations": {
            "income": {"Low": {"min": 0, "max": 30000}, "Medium": {"min": 30001, "max": 80000}, "High": {"min": 80001}},
            "age": {"Young": "age < 30", "Middle": "age >= 30 AND age < 60", "Senior": "age >= 60"},
        },
    }
    project.file("data.csv", PEOPLE.replace(" name", "name"))
    project.define(source={**FILES, "null_values": [""]})
    project.change(transformations={"business_rules": rules}).run()
    assert project.out("SELECT id, income_bracket, income_category, age_category FROM out") == [
        (1, 20000, "Low", "Young"),
        (2, 30000, "Low", None),
        (3, 80000, "Medium", "Middle"),
    ]


@pytest.mark.parametrize(("value", "segment"), [(0, "Bronze"), (999.99, "Bronze"), (1000, "Silver"), (5000, "Gold")])
def test_segments_meet_at_their_edges(project: SmallProject, value: float, segment: str) -> None:
    step = {"type": "categorize", "column": "v", "into": "customer_segment", "bins": [0, 1000, 5000]}
    rows, _ = outcome(project, f"v\n{value}\n", [{**step, "labels": ["Bronze", "Silver", "Gold"]}])
    assert rows[0][1] == segment


def test_days_amounts_and_alerts(project: SmallProject) -> None:
    text = "id,created_at,amount,exchange_rate\n1,2024-01-01,10000,1.0\n2,2024-01-31,10000.01,1.0\n"
    steps: list[dict[str, Any]] = [
        {
            "type": "calculate",
            "expressions": [
                {"field": "lifetime_days", "formula": "CAST({{ var.today }} AS DATE) - created_at"},
                {"field": "amount_usd", "formula": "amount * exchange_rate"},
            ],
        },
        {"type": "filter", "parameters": {"condition": {"field": "amount_usd", "operator": "gt", "value": 10000}}},
    ]
    outcome(project, text, steps, variables={"today": date(2024, 3, 1).isoformat()})
    assert project.out("SELECT id, lifetime_days FROM out") == [(2, 30)]


def test_the_source_is_never_edited(project: SmallProject) -> None:
    path = Path(project.root / "inbox" / "data.csv")
    outcome(
        project,
        ORDERS,
        [{"type": "clean", "case": {"product_id": "upper"}}, {"type": "rename", "columns": {"day": "d"}}],
    )
    assert path.read_text() == ORDERS
