"""Diagrams of headgate's own pipelines say what the configuration and the runs say, and nothing else."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest
from tests.diagrams.conftest import Shop
from tests.mermaid.parser import Parser

from headgate.core.runs import Status
from headgate.diagrams.palette import PALETTE, Role
from headgate.diagrams.pipelines.state import TEXTS, WAYS

KINDS = {
    "architecture": "flowchart-v2",
    "activity": "flowchart-v2",
    "lineage": "flowchart-v2",
    "sequence": "sequence",
    "dag": "flowchart-v2",
    "er": "er",
    "run": "flowchart-v2",
    "branch": "gitGraph",
    "state": "stateDiagram",
}


def drawn(shop: Shop, *arguments: str) -> dict[str, object]:
    """The diagram as JSON."""
    found: dict[str, object] = json.loads(shop.call("diagram", *arguments, "-o", "json"))
    return found


def labels(diagram: dict[str, object]) -> dict[str, dict[str, object]]:
    nodes = diagram["nodes"]
    assert isinstance(nodes, list)
    return {node["id"]: node for node in nodes}


def ways(diagram: dict[str, object]) -> set[tuple[str, str, str]]:
    edges = diagram["edges"]
    assert isinstance(edges, list)
    return {(edge["source"], edge["label"], edge["target"]) for edge in edges}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["orders", "daily_sales", "strict", "broken"])
def test_every_kind_of_every_pipeline_parses(shop: Shop, mermaid_parser: Parser, name: str, kind: str) -> None:
    assert mermaid_parser.kind(shop.call("diagram", name, "--kind", kind)) == KINDS[kind]


@pytest.mark.parametrize("kind", ["architecture", "activity", "sequence", "run", "state"])
@pytest.mark.parametrize("name", ["orders", "strict", "broken"])
def test_every_kind_of_a_run_parses(shop: Shop, mermaid_parser: Parser, name: str, kind: str) -> None:
    text = shop.call("diagram", name, "--kind", kind, "--run", shop.runs[name])
    assert mermaid_parser.kind(text) == KINDS[kind]
    assert shop.runs[name][:12] in text


@pytest.mark.parametrize("kind", ["dag", "er", "branch"])
def test_the_whole_project_parses(shop: Shop, mermaid_parser: Parser, kind: str) -> None:
    assert mermaid_parser.kind(shop.call("diagram", "--kind", kind)) == KINDS[kind]


def test_architecture_has_the_layers_and_the_flow_in_order(shop: Shop) -> None:
    found = drawn(shop, "orders")
    groups = found["groups"]
    assert isinstance(groups, list)
    assert [group["label"] for group in groups] == [
        "Orchestration", "Extract", "Transform", "Load", "Utilities", "Configuration",
    ]  # fmt: skip
    flow = [
        "from inbox (local)", "extract source", "step clean", "step deduplicate", "step join", "step priced",
        "step filter", "check filter", "load 0", "to warehouse (sqlite)",
    ]  # fmt: skip
    edges = {(source, target) for source, _, target in ways(found)}
    assert all(pair in edges for pair in itertools.pairwise(flow))


def test_architecture_tells_details_of_the_configuration(shop: Shop) -> None:
    text = shop.call("diagram", "orders", "--format", "json")
    for said in (
        "2 AM Daily", "0 2 * * *", "batch_size=10000", "LEFT JOIN data/products.csv ON product", "upsert by order_id",
        "total = quantity * price", "slack #data", "on failed, sla", "email oncall@example.com", "3 attempts",
        "owner: data-team",
    ):  # fmt: skip
        assert said in text
    assert "GROUP BY category, day" in shop.call("diagram", "daily_sales", "--format", "json")


def test_the_file_configures_the_pipeline(shop: Shop) -> None:
    text = shop.call("diagram", "orders")
    assert re.search(r"^    file -\.configures\.-> pipeline$", text, re.MULTILINE)


def test_every_decision_has_a_yes_and_a_no(shop: Shop) -> None:
    for name in ("orders", "daily_sales", "strict", "broken"):
        found = drawn(shop, name, "--kind", "activity")
        for id_, node in labels(found).items():
            if node["role"] == "decision":
                exits = sorted(label for source, label, _ in ways(found) if source == id_)
                assert exits == ["No", "Yes"], (name, id_)


def test_the_retry_loop_has_the_numbers_of_the_policy(shop: Shop) -> None:
    found = drawn(shop, "orders", "--kind", "activity")
    nodes = labels(found)
    assert nodes["again"]["label"] == "Attempts so far < 3?"
    assert nodes["wait"]["detail"] == ["1 s × 2ⁿ, at most 1 min"]
    assert ("wait", "try again", "recover") in ways(found)
    assert "wait" not in labels(drawn(shop, "strict", "--kind", "activity"))


def test_each_failure_ends_by_itself_after_who_is_told_of_it(shop: Shop) -> None:
    found = drawn(shop, "orders", "--kind", "activity")
    edges = ways(found)
    assert {("error rate", "", "error rate alert"), ("error rate alert", "", "error rate end")} <= edges
    assert {("refused", "", "refused alert"), ("refused alert", "", "refused end")} <= edges
    assert {("failed", "", "failed alert"), ("failed alert", "", "failed end")} <= edges
    reached, edge = {"start"}, ["start"]
    while edge:
        here = edge.pop()
        fresh = {target for source, _, target in edges if source == here} - reached
        reached |= fresh
        edge += fresh
    assert reached == set(labels(found))


def test_what_the_configuration_lacks_is_not_drawn(shop: Shop) -> None:
    nodes = labels(drawn(shop, "broken", "--kind", "activity"))
    for absent in ("news", "again", "late", "rules", "error rate", "success alert", "hold numbers"):
        assert absent not in nodes
    assert "row error" in nodes
    assert "row error" not in labels(drawn(shop, "orders", "--kind", "activity"))


def test_what_targets_refuse_is_drawn_where_it_can_happen(shop: Shop) -> None:
    nodes = labels(drawn(shop, "orders", "--kind", "activity"))
    assert nodes["keys"]["label"] == "Is a key NULL or repeated? orders (order_id)"
    assert "nothing" not in nodes
    other = labels(drawn(shop, "strict", "--kind", "activity"))
    assert other["nothing"]["label"] == "Would nothing replace strict?"
    assert "keys" not in other


def test_rules_tell_the_gate_that_they_stand_at(tmp_path: Path) -> None:
    """Those before the load, which is usual, have their names only."""
    rules = [
        {"type": "row_count", "min": 1, "stage": "extract"},
        {"type": "unique", "columns": ["a"], "scope": "table", "severity": "warning", "stage": "load"},
        {"type": "not_null", "columns": ["a"]},
    ]
    pipeline = {"source": {"type": "local", "path": "x.csv"}, "quality_rules": rules, "target": {"table": "t"}}
    project = {"version": 1, "project": "gates", "pipelines": {"gated": pipeline}}
    (tmp_path / "headgate.yml").write_text(json.dumps(project))
    found = labels(drawn(Shop(tmp_path), "gated", "--kind", "activity"))
    assert found["rules"]["label"] == "Do the rules hold? row_count (stage: extract), not_null"
    assert found["warnings"]["label"] == "Does a rule warn? unique (stage: load)"


def test_nothing_new_is_an_end_with_no_rows(shop: Shop) -> None:
    found = drawn(shop, "orders", "--kind", "activity")
    assert ("news", "No", "skipped") in ways(found)
    assert labels(found)["skipped"]["label"] == "Skipped: 0 rows"


def test_lineage_goes_from_columns_to_columns(shop: Shop) -> None:
    edges = {(source, target) for source, _, target in ways(drawn(shop, "orders", "--kind", "lineage"))}
    assert {("source.quantity", "write 0.total"), ("source.price", "write 0.total")} <= edges
    assert ("source.order_id", "write 0.order_id") in edges
    assert any(source.endswith(".category") and target == "write 0.category" for source, target in edges)


def test_the_sequence_is_that_of_the_plan(shop: Shop) -> None:
    text = shop.call("diagram", "orders", "--kind", "sequence", "--format", "text")
    order = [
        "claim the next epoch",
        "read orders/*.csv",
        "clean →",
        "check each row",
        "account for every row",
        "publish",
    ]
    places = [text.index(one) for one in order]
    assert places == sorted(places)
    assert "at most 3 attempts" in text
    assert "Scheduler" in text


def test_the_dag_has_dependencies_and_the_tables_between(shop: Shop) -> None:
    found = drawn(shop, "--kind", "dag")
    edges = ways(found)
    assert ("orders", "before", "daily_sales") in edges
    assert ("orders", "", "warehouse (sqlite) orders") in edges
    assert ("warehouse (sqlite) orders", "", "daily_sales") in edges
    assert labels(found)["orders"]["detail"] == ["2 AM Daily"]


def test_the_dag_around_a_pipeline_leaves_the_others_out(shop: Shop) -> None:
    nodes = labels(drawn(shop, "orders", "--kind", "dag", "--depth", "1"))
    assert {"orders", "daily_sales"} <= set(nodes)
    assert "strict" not in nodes


def test_tables_have_their_keys_and_what_they_refer_to(shop: Shop) -> None:
    found = drawn(shop, "orders", "--kind", "er")
    tables = found["tables"]
    assert isinstance(tables, list)
    orders = next(table for table in tables if table["label"] == "orders (warehouse)")
    keys = {column["name"]: column["keys"] for column in orders["columns"]}
    assert keys["order_id"] == ["PK"]
    assert keys["product"] == ["FK"]
    relations = found["relations"]
    assert isinstance(relations, list)
    assert [relation["label"] for relation in relations] == ["product"]


def test_a_run_tells_its_rows_its_quarantine_and_its_commit(shop: Shop) -> None:
    found = drawn(shop, "--run", shop.runs["orders"])
    edges = ways(found)
    assert ("read", "5 rows", "pass filter") in edges
    assert ("pass filter", "1 row", "pass filter quarantined") in edges
    assert labels(found)["pass filter quarantined"]["detail"] == ["not_null: 1 row"]
    assert ("pass filter", "1 row", "pass filter deduplicated") in edges
    assert any(label == "2 inserted" for _, label, _ in edges)
    assert labels(found)["end"]["label"] == "Success"


def test_the_step_that_failed_is_red(shop: Shop) -> None:
    nodes = labels(drawn(shop, "--run", shop.runs["strict"]))
    assert nodes["checks"]["role"] == "error"
    assert nodes["error"]["label"] == "QUALITY_CHECK_FAILED"
    assert nodes["end"]["label"] == "Refused"
    text = shop.call("diagram", "--run", shop.runs["strict"])
    assert re.search(r"^    class checks,error,n_end error$", text, re.MULTILINE)
    assert "fill:#FFB6C1,stroke:#DC143C" in text
    failed = labels(drawn(shop, "--run", shop.runs["broken"]))
    assert failed["error"]["label"] == "ROW_ERROR"
    assert failed["pass numbers"]["role"] == "error"


def test_rows_and_times_of_a_run_stand_on_the_edges(shop: Shop) -> None:
    found = drawn(shop, "orders", "--kind", "architecture", "--run", shop.runs["orders"])
    label = next(label for source, label, target in ways(found) if target == "load 0")
    assert re.fullmatch(r"2 rows\n\d+ (ms|s)", label)
    assert ("extract source", "5 rows", "step clean") in ways(found)


def test_the_branch_of_a_run_is_merged_when_it_published_and_left_when_it_was_refused(shop: Shop) -> None:
    text = shop.call("diagram", "strict", "--kind", "branch", "--format", "text")
    assert "refused: QUALITY_CHECK_FAILED" in text
    assert "merge" not in text
    assert "--merge--> main" in shop.call("diagram", "daily_sales", "--kind", "branch", "--format", "text")


def test_the_life_of_a_run_has_every_status() -> None:
    assert set(TEXTS) == set(Status)
    assert {target for _, target, _ in WAYS} == set(Status)


def test_the_state_of_a_run_is_marked(shop: Shop) -> None:
    found = drawn(shop, "--kind", "state", "--run", shop.runs["strict"])
    states = found["states"]
    assert isinstance(states, list)
    assert [state["id"] for state in states if state["note"]] == ["refused"]


def test_drawing_needs_no_secret(shop: Shop) -> None:
    assert "${SLACK_URL}" not in shop.call("diagram", "orders", "--kind", "activity")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["nothing"], 2, 'there is no pipeline "nothing"'),
        (["--run", "ffff"], 2, "no run has an id that begins with"),
        (["--kind", "lineage"], 2, "needs the name of a pipeline"),
        (["orders", "--kind", "er", "--run", "ffff"], 2, "not that of one run"),
        (["orders", "-o", "x.bmp"], 2, "does not say a format"),
        (["orders", "--kind", "er", "--format", "dot"], 2, "dot draws graphs only"),
        (["--kind", "nonsense"], 2, "nonsense"),
    ],
)
def test_what_cannot_be_drawn_is_told(shop: Shop, arguments: list[str], status: int, says: str) -> None:
    code, text = shop.error("diagram", *arguments)
    assert code == status
    assert says in text


def test_a_run_of_another_pipeline_is_refused(shop: Shop) -> None:
    code, text = shop.error("diagram", "orders", "--run", shop.runs["strict"])
    assert code == 2
    assert "the run is one of strict" in text


@pytest.mark.parametrize(
    ("ending", "begins"), [("mmd", "---"), ("md", "```mermaid"), ("json", "{"), ("dot", "digraph")]
)
def test_files_are_written_in_the_format_of_their_ending(shop: Shop, tmp_path: Path, ending: str, begins: str) -> None:
    file = tmp_path / "pictures" / f"orders.{ending}"
    shop.call("diagram", "orders", "-o", str(file))
    assert file.read_text().startswith(begins)


def test_direction_and_icons_can_be_chosen(shop: Shop) -> None:
    text = shop.call("diagram", "orders", "--direction", "TB", "--no-icons")
    assert "flowchart TB" in text
    assert not re.search("[\U0001f300-\U0001faff⚙⏰✅]", text)
    assert "⏰ 2 AM Daily" in shop.call("diagram", "orders")


def test_at_depth_one_the_layers_are_nodes(shop: Shop) -> None:
    nodes = labels_of_text(shop.call("diagram", "orders", "--depth", "1"))
    assert {"Orchestration", "Extract", "Transform", "Load", "Utilities", "Configuration"} == nodes


def labels_of_text(text: str) -> set[str]:
    return {
        re.sub(r"<br/>.*", "", label).split(" ", 1)[-1] for label in re.findall(r'^\s+\w+\[+\(?"([^"]+)"', text, re.M)
    }


def test_the_palette_is_the_one_that_is_written_down() -> None:
    fills = {role: PALETTE[role].fill for role in Role}
    assert fills[Role.ORCHESTRATION] == fills[Role.START_END] == fills[Role.SCHEDULE] == "#E6E6FA"
    assert fills[Role.EXTRACT] == fills[Role.SOURCE] == "#87CEEB"
    assert fills[Role.TRANSFORM] == fills[Role.PROCESS] == fills[Role.PROCESSING] == "#90EE90"
    assert fills[Role.LOAD] == fills[Role.TARGET] == fills[Role.DECISION] == "#FFD700"
    assert fills[Role.UTILITY] == fills[Role.WARNING] == fills[Role.MONITORING] == fills[Role.DEPENDENCY] == "#F0E68C"
    assert fills[Role.CONFIG] == fills[Role.VALIDATION] == "#FFE4B5"
    assert (fills[Role.ERROR], PALETTE[Role.ERROR].stroke) == ("#FFB6C1", "#DC143C")
    assert {style.text for style in PALETTE.values()} == {"darkblue", "darkgreen", "black"}
    assert {style.stroke for role, style in PALETTE.items() if role is not Role.ERROR} == {"#333"}


def test_every_node_has_its_class(shop: Shop) -> None:
    text = shop.call("diagram", "orders")
    defined = set(re.findall(r"classDef (\w+) ", text))
    used = dict(re.findall(r"^    class (\S+) (\w+)$", text, re.M))
    assert defined == set(used.values())
    named = {name for names in used for name in names.split(",")}
    assert named == set(re.findall(r"^\s+(\w+)[\[{(]", text, re.M)) - {"subgraph"}
