"""A small shop with everything that pictures show: schedules, dependencies, joins, rules, retries, alerts."""

from __future__ import annotations

from pathlib import Path

PROJECT = """
version: 1
project: shop
connections:
  inbox: {type: local, path: data}
  warehouse: {type: sqlite, path: warehouse.db}
alerts:
  - {type: slack, webhook: "${SLACK_URL}", channel: "#data", on: [failed, sla]}
pipelines:
  orders:
    description: Every order once, with its total.
    purpose: warehouse
    owner: data-team
    contacts: {on_call: Ann, escalation: Bob}
    schedule: "0 2 * * *"
    source: {connection: inbox, path: "orders/*.csv", mode: incremental, batch_size: 10000}
    transformations:
      - {type: clean, trim: true}
      - {type: deduplicate, keys: [order_id], order_by: day}
      - {type: join, path: data/products.csv, on: [product], how: left, columns: [category]}
      - {type: calculate, name: priced, columns: {total: "quantity * price"}}
      - {type: filter, condition: "status <> 'test'"}
    quality_rules:
      - {type: not_null, columns: [customer], on_fail: quarantine}
      - {type: unique, columns: [order_id], scope: table}
      - {type: range, column: total, max: 1000, severity: warning}
    target: {connection: warehouse, table: orders, mode: upsert, keys: [order_id]}
    error_handling:
      max_error_percentage: 50
      on_row_error: quarantine
      retry: {max_attempts: 3, base: 1s, factor: 2, cap: 60s}
    monitoring:
      sla: {duration: 30m}
      dashboard: https://example.com/board
      alerts: [{type: email, recipients: [oncall@example.com], on: [refused, success]}]
  daily_sales:
    depends_on: [orders]
    source: {connection: warehouse, table: orders}
    transformations:
      - {type: aggregate, name: daily, group_by: [category, day], metrics: {sold: "CAST(SUM(quantity) AS BIGINT)"}}
    quality_rules: [{type: row_count, min: 1}]
    targets:
      - {table: daily_sales, mode: overwrite}
  strict:
    source: {connection: inbox, path: products.csv}
    quality_rules: [{type: row_count, min: 100}]
    target: {table: strict, mode: overwrite}
  broken:
    source: {connection: inbox, path: products.csv}
    transformations:
      - {type: cast, name: numbers, columns: {category: INTEGER}}
    target: {table: broken, mode: overwrite}
"""
ORDERS = """order_id,customer,product,quantity,price,status,day
1,Ann,pen,2,1.5,paid,2024-03-01
2,,pen,1,1.5,paid,2024-03-01
3,Bob,ink,4,3.0,test,2024-03-01
4,Cid,ink,1,3.0,paid,2024-03-01
4,Cid,ink,2,3.0,paid,2024-03-02
"""
PRODUCTS = "product,category\npen,paper\nink,paper\n"


def write_shop(root: Path) -> Path:
    (root / "data" / "orders").mkdir(parents=True)
    (root / "headgate.yml").write_text(PROJECT)
    (root / "data" / "orders" / "1.csv").write_text(ORDERS)
    (root / "data" / "products.csv").write_text(PRODUCTS)
    return root
