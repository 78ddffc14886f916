"""compose, Kubernetes, Terraform and dbt files are drawn with what they say, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.mermaid.parser import Parser

from headgate.diagrams.graph import Graph, Node
from headgate.diagrams.palette import Shape
from headgate.diagrams.readers import draw, found
from headgate.diagrams.render import mermaid
from headgate.diagrams.tree import tree

COMPOSE = """
x-airflow: &airflow
  image: apache/airflow:2.9.1
  depends_on: {postgres: {condition: service_healthy}}
services:
  postgres: {image: "postgres:16", ports: ["5432:5432"]}
  scheduler: {<<: *airflow, mem_limit: 2g}
  source-db: {image: "mysql:8"}
  warehouse: {image: "clickhouse/clickhouse-server:24", deploy: {resources: {limits: {memory: 8G, cpus: "4"}}}}
  etl: {build: ./etl, depends_on: [source-db, warehouse], deploy: {replicas: 3}, environment: {PASSWORD: hunter2}}
  grafana: {image: grafana/grafana}
"""
KUBERNETES = """
apiVersion: v1
kind: ConfigMap
metadata: {name: etl-config}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly-etl}
spec:
  schedule: "0 2 * * *"
  jobTemplate:
    spec:
      template:
        spec:
          containers:
          - name: etl
            image: acme/etl:1.2
            resources: {limits: {memory: 4Gi, cpu: "2"}}
            envFrom: [{configMapRef: {name: etl-config}}]
            env: [{name: DB, value: "postgres://u@orders-db:5432/x"}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: orders-source}
spec:
  replicas: 2
  template:
    metadata: {labels: {app: orders}}
    spec: {containers: [{name: pg, image: "postgres:16"}]}
---
apiVersion: v1
kind: Service
metadata: {name: orders-db}
spec: {selector: {app: orders}}
"""
TERRAFORM = """
variable "workers" { default = 5 }
resource "aws_redshift_cluster" "warehouse" {
  node_type       = "ra3.xlplus"
  number_of_nodes = 3
}
resource "aws_s3_bucket" "raw" { bucket = "acme-raw" }
resource "aws_ecs_service" "etl" {
  name          = "etl"
  desired_count = var.workers
  depends_on    = [aws_redshift_cluster.warehouse]
}
resource "aws_iam_role" "etl" { name = "x" }
"""
MANIFEST = {
    "metadata": {"project_name": "shop"},
    "sources": {"source.shop.raw.orders": {"resource_type": "source", "source_name": "raw", "name": "orders"}},
    "nodes": {
        "model.shop.stg": {
            "resource_type": "model", "name": "stg_orders", "fqn": ["shop", "staging", "stg_orders"],
            "config": {"materialized": "view"}, "depends_on": {"nodes": ["source.shop.raw.orders"]},
        },
        "model.shop.fct": {
            "resource_type": "model", "name": "fct_orders", "fqn": ["shop", "marts", "fct_orders"],
            "config": {"materialized": "incremental", "unique_key": "id"}, "depends_on": {"nodes": ["model.shop.stg"]},
        },
        "test.shop.unique": {"resource_type": "test", "name": "unique", "depends_on": {"nodes": ["model.shop.fct"]}},
    },
    "exposures": {
        "exposure.shop.board": {
            "resource_type": "exposure", "name": "board", "depends_on": {"nodes": ["model.shop.fct"]},
        },
    },
}  # fmt: skip


def drawn(file: Path, text: str) -> Graph:
    file.write_text(text)
    graph, _ = draw(tree(file))
    assert isinstance(graph, Graph)
    return graph


def areas(graph: Graph) -> dict[str, str]:
    groups = {group.id: group.label for group in graph.groups}
    return {node.label: groups.get(node.group, "") for node in graph.nodes}


def node(graph: Graph, label: str) -> Node:
    return next(one for one in graph.nodes if one.label == label)


def ways(graph: Graph) -> set[tuple[str, str]]:
    names = {one.id: one.label for one in graph.nodes}
    return {(names[edge.source], names[edge.target]) for edge in graph.edges}


def test_compose_services_stand_in_their_areas_with_what_is_given(tmp_path: Path) -> None:
    graph = drawn(tmp_path / "docker-compose.yml", COMPOSE)
    found = areas(graph)
    assert found["scheduler"] == "Orchestration"
    assert found["source-db"] == "Source Systems"
    assert found["etl"] == "ETL Processing"
    assert found["warehouse"] == "Target Systems"
    assert found["grafana"] == "Monitoring & Logging"
    assert node(graph, "warehouse").detail == ("image clickhouse/clickhouse-server:24", "memory 8G", "cpus 4")
    assert node(graph, "etl").detail == ("build ./etl", "replicas 3")
    assert node(graph, "source-db").drawn is Shape.STORE
    assert {("etl", "source-db"), ("etl", "warehouse"), ("scheduler", "postgres")} == ways(graph)
    assert "hunter2" not in mermaid(graph)


def test_what_schedulers_depend_on_holds_their_metadata(tmp_path: Path) -> None:
    assert areas(drawn(tmp_path / "docker-compose.yml", COMPOSE))["postgres"] == "Metadata & Config"


def test_kubernetes_documents_give_counts_memory_images_and_schedules(tmp_path: Path) -> None:
    graph = drawn(tmp_path / "all.yaml", KUBERNETES)
    assert node(graph, "nightly-etl").detail == (
        "CronJob", "2 AM Daily (0 2 * * *)", "image acme/etl:1.2", "memory 4Gi", "cpu 2",
    )  # fmt: skip
    assert node(graph, "orders-source").detail == ("StatefulSet", "replicas 2", "image postgres:16")
    assert areas(graph) == {
        "etl-config": "Metadata & Config", "nightly-etl": "ETL Processing", "orders-source": "Source Systems",
    }  # fmt: skip
    assert {("nightly-etl", "etl-config"), ("nightly-etl", "orders-source")} == ways(graph)


def test_terraform_resources_give_types_and_counts_with_variables_filled_in(tmp_path: Path) -> None:
    graph = drawn(tmp_path / "main.tf", TERRAFORM)
    assert node(graph, "etl").detail == ("aws_ecs_service", "count 5")
    assert node(graph, "warehouse").detail == ("aws_redshift_cluster", "ra3.xlplus", "nodes 3")
    assert areas(graph)["warehouse"] == "Target Systems"
    assert ways(graph) == {("etl", "warehouse")}
    assert len(graph.nodes) == 3  # a role is no part of its own


def test_dbt_models_stand_in_their_folders_with_their_tests(tmp_path: Path) -> None:
    graph = drawn(tmp_path / "manifest.json", json.dumps(MANIFEST))
    assert graph.title == "dbt project: shop"
    assert node(graph, "fct_orders").detail == ("model, incremental", "key id", "1 test")
    assert areas(graph)["stg_orders"] == "staging"
    assert ways(graph) == {("raw.orders", "stg_orders"), ("stg_orders", "fct_orders"), ("fct_orders", "board")}


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("docker-compose.yml", "services:\n  a: {image: x}\n  b: [", "docker-compose.yml:"),
        (
            "k.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{image: x}]}\n---\n}",
            "k.yaml:6:",
        ),
        ("main.tf", 'resource "a" {', "main.tf"),
        ("manifest.json", "{", "manifest.json:1"),
        ("deep.yaml", "apiVersion: v1\nkind: " + "[" * 5000, "deep.yaml"),
        ("manifest.json", "[" * 200_000, "manifest.json"),
    ],
)
def test_broken_files_are_told_with_their_line(tmp_path: Path, file: str, text: str, problem: str) -> None:
    (tmp_path / file).write_text(text)
    scanned = tree(tmp_path)
    found(scanned)
    assert any(str(one).startswith(problem) for one in scanned.problems)


@pytest.mark.parametrize(
    "text",
    [
        "services: 7",
        "services: [a, b]",
        "services: {a: null, b: {image: [1], depends_on: 3, ports: {a: b}, deploy: 1}}",
        "services: &a {b: *a}",
        "apiVersion: v1\nkind: CronJob",
        "apiVersion: v1\nkind: Deployment\nmetadata: 3\nspec: {template: {spec: {containers: [1, {image: 2}]}}}",
        "apiVersion: 1\nkind: [x]",
        "apiVersion: v1\nkind: List\nitems: [{kind: Pod}, 3]",
        "!Ref x",
    ],
)
def test_files_of_any_shape_do_not_crash(tmp_path: Path, text: str) -> None:
    (tmp_path / "docker-compose.yml").write_text(text)
    found(tree(tmp_path))


def test_all_of_them_parse(tmp_path: Path, mermaid_parser: Parser) -> None:
    files = {
        "docker-compose.yml": COMPOSE,
        "k.yaml": KUBERNETES,
        "main.tf": TERRAFORM,
        "manifest.json": json.dumps(MANIFEST),
    }
    for file, text in files.items():
        (tmp_path / file).write_text(text)
        assert mermaid_parser.kind(mermaid(draw(tree(tmp_path / file))[0])) == "flowchart-v2"
