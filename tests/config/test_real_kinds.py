"""With the kinds that the package brings: the documented project loads, and quickly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import jsonschema
import pytest

from headgate.config.load import load_project
from headgate.config.schema import project_schema
from headgate.config.yaml import parse, plain
from headgate.core.registry import PackageRegistry

DOCUMENTED = dedent("""\
    version: 1
    project: shop
    connections:
      shop_db:   {type: postgres, url: "${SHOP_DB_URL}"}
      orders_in: {type: local, path: data/in}
      warehouse: {type: postgres, host: "${DB_HOST}", database: dw, username: etl, password: "${file:dw}"}
    lake:        {type: iceberg, path: .headgate/lake}
    state:       {url: "sqlite:///.headgate/state.db"}
    defaults:    {batch_size: 100_000, timezone: UTC}
    alerts:      [{type: slack, webhook: "${SLACK_URL}", on: [failed, sla]}]
    pipelines:
      orders:
        type: batch
        description: Orders as the shop has them now.
        owner: data-team
        schedule: "0 2 * * *"
        source:
          connection: shop_db
          table: public.orders
          mode: incremental
          incremental: {column: updated_at, key: order_id, start: 2024-01-01, lag: 5m, nulls: fail}
          where: "status <> 'test'"
        transformations:
          - {type: clean, trim: true, null_values: ["", "N/A"], remove_nulls: [amount, product_id]}
          - {type: deduplicate, keys: [order_id], order_by: updated_at, keep: last}
          - {type: calculate, columns: {total: "quantity * unit_price", day: "CAST(updated_at AS DATE)"}}
          - {type: filter, condition: "total > 0"}
          - {type: join, table: dim_products, connection: warehouse, on: [product_id], how: left, columns: [category]}
        quality_rules:
          - {type: not_null, columns: [product_id, day]}
          - {type: unique, columns: [order_id], scope: table}
          - {type: range, column: total, min: 0, max: 1000000, severity: warning}
          - {type: row_count, min: 1}
          - {type: expression, name: plausible, condition: "quantity <= 10000", on_fail: quarantine}
        target: {table: orders, mode: upsert, keys: [order_id]}
        error_handling:
          {max_error_percentage: 5.0, retry: {max_attempts: 3, base: 1s, factor: 2, cap: 60s}, on_row_error: quarantine}
        monitoring: {sla: {duration: 30m, success_rate: 0.95}}
      daily_sales:
        depends_on: [orders]
        source: {table: orders}
        transformations:
          - type: aggregate
            name: daily
            group_by: [product_id, day]
            metrics: {total_sales: "SUM(total)", order_count: "COUNT(*)"}
        targets:
          - {connection: warehouse, table: fact_daily_sales, mode: overwrite}
          - {table: daily_sales, from: daily, mode: overwrite}
    """)
ENVIRONMENT = {"SHOP_DB_URL": "postgresql:///shop", "DB_HOST": "localhost", "SLACK_URL": "https://hooks.example/x"}
HEAVY = ("duckdb", "pyarrow", "pyiceberg", "sqlglot", "psycopg", "sqlalchemy", "pandas", "numpy", "boto3", "jsonschema")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "headgate.yml").write_text(DOCUMENTED)
    (tmp_path / "dw").write_text("a password\n")
    return tmp_path


def test_the_documented_project_loads(root: Path) -> None:
    project = load_project(root, PackageRegistry(), environment=ENVIRONMENT)
    assert project.problems() == ()
    orders = project.pipeline("orders")
    assert [step.type for step in orders.transformations] == ["clean", "deduplicate", "calculate", "filter", "join"]
    assert len(orders.quality_rules) == 5
    assert orders.source_endpoint(0).kind == "postgres"


def test_the_documented_project_is_in_the_schema() -> None:
    schema = json.loads(json.dumps(project_schema(PackageRegistry())))
    jsonschema.Draft202012Validator.check_schema(schema)
    document = json.loads(json.dumps(plain(parse(DOCUMENTED, "")), default=str))
    assert [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(document)] == []


def test_what_a_run_loads_before_its_probe_is_light(root: Path) -> None:
    script = f"""
        import sys
        from pathlib import Path
        from headgate.config.load import load_project
        from headgate.core.registry import PackageRegistry
        project = load_project(Path({str(root)!r}), PackageRegistry(), environment={ENVIRONMENT!r}, deep=False)
        pipeline = project.pipeline("orders")
        pipeline.source_endpoint(0), pipeline.target_endpoint(0)
        print(*[name for name in {HEAVY!r} if name in sys.modules])
    """
    done = subprocess.run([sys.executable, "-c", dedent(script)], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == ""
