"""Pictures of foreign Python: layers, parts, decisions, retries and failures, as the source has them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.diagrams.corpus import HELD_OUT, NAMES, lay_out
from tests.mermaid.parser import Parser

from headgate.diagrams.graph import EdgeKind, Graph
from headgate.diagrams.palette import Role, Shape
from headgate.diagrams.readers import draw
from headgate.diagrams.render import mermaid
from headgate.diagrams.sequence import Block, Message, Sequence
from headgate.diagrams.tree import tree

PROJECT = Path(__file__).parent / "corpus" / "daily_sales.project"


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    for part in ("\n" + PROJECT.read_text()).split("\n== ")[1:]:
        file, _, text = part.partition("\n")
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    return tmp_path


def graph(path: Path, kind: str, name: str = "", depth: int | None = None) -> Graph:
    found, _ = draw(tree(path), name, kind, depth)
    assert isinstance(found, Graph)
    return found


def labels(found: Graph, role: Role) -> list[str]:
    return ["\n".join((node.label, *node.detail)) for node in found.nodes if node.role is role]


def edges(found: Graph, kind: EdgeKind) -> set[tuple[str, str]]:
    names = {node.id: node.label for node in found.nodes}
    return {(names[edge.source], names[edge.target]) for edge in found.edges if edge.kind is kind}


def test_folders_give_the_layers(sales: Path) -> None:
    found = graph(sales, "architecture")
    groups = {group.id: group.label for group in found.groups}
    layers = {node.label: groups.get(node.group) for node in found.nodes}
    assert layers["PostgresExtractor"] == "Extract"
    assert layers["SalesTransformer"] == "Transform"
    assert layers["WarehouseLoader"] == "Load"
    assert layers["DailySalesPipeline"] == "Orchestration"
    assert layers["alerts"] == "Utilities"
    assert layers["config/pipeline.yaml"] == "Configuration"


def test_bases_are_implemented_parts_used_and_files_configure(sales: Path) -> None:
    found = graph(sales, "architecture")
    assert edges(found, EdgeKind.IMPLEMENTS) == {("BaseExtractor", "PostgresExtractor")}
    uses = edges(found, EdgeKind.USES)
    assert {
        ("DailySalesPipeline", part) for part in ("PostgresExtractor", "SalesTransformer", "WarehouseLoader")
    } <= uses
    assert ("DailySalesPipeline", "alerts") in uses
    assert edges(found, EdgeKind.CONFIGURES) == {("config/pipeline.yaml", "DailySalesPipeline")}


def test_data_goes_the_pipelines_real_way(sales: Path) -> None:
    assert edges(graph(sales, "architecture"), EdgeKind.FLOW) == {
        ("sales", "PostgresExtractor"),
        ("PostgresExtractor", "SalesTransformer"),
        ("SalesTransformer", "WarehouseLoader"),
        ("WarehouseLoader", "fact_daily_sales"),
    }


def test_steps_carry_their_arguments(sales: Path) -> None:
    found = graph(sales, "activity")
    assert labels(found, Role.EXTRACT) == [
        "Extract: read_sql\nfrom sales (PostgreSQL)\nWHERE sale_date = '2024-01-01'\nchunksize=10000"
    ]
    assert "Transform: groupby\nGROUP BY product_id, day\nsum(total)\ncount(order_id)" in labels(found, Role.TRANSFORM)
    assert labels(found, Role.LOAD) == ["Load: to_sql\ninto fact_daily_sales\nif_exists=append\nbatch_size=5000"]


def test_every_decision_has_two_labelled_ways(sales: Path) -> None:
    found = graph(sales, "activity")
    decisions = [node for node in found.nodes if node.role is Role.DECISION]
    assert decisions
    assert all(node.drawn is Shape.DIAMOND for node in decisions)
    for node in decisions:
        assert sorted(edge.label for edge in found.edges if edge.source == node.id) == ["No", "Yes"]


def test_a_retrying_decorator_is_a_loop_with_its_numbers(sales: Path) -> None:
    found = graph(sales, "activity")
    assert "Retry count < 3?" in labels(found, Role.DECISION)
    assert labels(found, Role.WARNING) == ["Wait 2**n s"]
    assert edges(found, EdgeKind.RETRY) == {("Wait 2**n s", "Load: to_sql")}


def test_what_is_raised_leads_to_the_alert_and_an_end(sales: Path) -> None:
    found = graph(sales, "activity")
    ways = edges(found, EdgeKind.FLOW) | edges(found, EdgeKind.FAILURE)
    assert ("Raise DataQualityError: null amounts", "Alert: send_alert") in ways
    assert ("Alert: send_alert", "Raise again") in ways
    assert ("Raise again", "Failed") in ways


def test_an_empty_extract_ends_in_success_of_its_own(sales: Path) -> None:
    found = graph(sales, "activity")
    names = {node.id: node.label for node in found.nodes}
    assert ("df.empty?", "Yes", "Log warning") in {(names[e.source], e.label, names[e.target]) for e in found.edges}
    ends = [node.label for node in found.nodes if node.role is Role.START_END]
    assert "Success: 0" in ends
    assert "Success" in ends


def test_a_loop_without_policy_draws_no_retry(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text("import pandas as pd\npd.read_csv('a').to_csv('b')\n")
    found = graph(tmp_path, "activity")
    assert not [node for node in found.nodes if node.role in (Role.DECISION, Role.ERROR, Role.WARNING)]


def test_a_loop_that_tries_again_is_a_retry(tmp_path: Path) -> None:
    (tmp_path / "again.py").write_text(
        "import time, requests\nfor attempt in range(5):\n    try:\n        requests.get('http://a.org/x')\n"
        "        break\n    except OSError:\n        time.sleep(7)\n"
    )
    found = graph(tmp_path, "activity")
    assert "Retry count < 5?" in labels(found, Role.DECISION)
    assert labels(found, Role.WARNING) == ["Wait 7 s"]


def test_messages_are_in_the_order_of_calls(sales: Path) -> None:
    found, _ = draw(tree(sales), "", "sequence")
    assert isinstance(found, Sequence)
    flat: list[str] = []

    def visit(items: tuple[object, ...]) -> None:
        for item in items:
            if isinstance(item, Message) and not item.reply:
                flat.append(item.text.split("\n")[0])
            elif isinstance(item, Block):
                for _, inner in item.sections:
                    visit(inner)

    visit(found.items)
    order = ["extract(2024-01-01)", "read_sql sales", "clean(rows)", "aggregate(rows)", "load(rows, fact_daily_sales)"]
    assert [text for text in flat if text in order] == order
    assert [item.kind for item in found.items if isinstance(item, Block)] == ["loop", "break"] or any(
        isinstance(item, Block) and item.sections[0][0].startswith("at most 3 times") for item in found.items
    )


def test_depth_makes_one_node_of_what_lies_deeper(sales: Path) -> None:
    found = graph(sales, "activity", depth=1)
    assert len(found.nodes) < len(graph(sales, "activity").nodes)


def test_the_same_source_gives_the_same_text(sales: Path) -> None:
    for kind in ("architecture", "activity", "sequence", "data-flow"):
        assert mermaid(draw(tree(sales), "", kind)[0]) == mermaid(draw(tree(sales), "", kind)[0])


@pytest.mark.parametrize("name", [*NAMES, *HELD_OUT])
def test_every_picture_of_the_corpus_parses(name: str, tmp_path: Path, mermaid_parser: Parser) -> None:
    scanned = tree(lay_out(name, tmp_path))
    for kind in ("architecture", "activity", "sequence", "data-flow"):
        assert mermaid_parser.kind(mermaid(draw(scanned, "", kind)[0]))


def test_what_lies_beside_the_code_is_named_from_there(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(
        "import os\nfrom pathlib import Path\nimport pandas as pd\nBASE = Path(__file__).resolve().parents[2]\n"
        "HERE = os.path.dirname(os.path.abspath(__file__))\n"
        "pd.read_csv(BASE / 'data' / 'in.csv').to_csv(os.path.join(HERE, 'out', 'out.csv'))\n"
    )
    found = graph(tmp_path, "data-flow")
    assert labels(found, Role.SOURCE) == ["data/in.csv\nfile"]
    assert labels(found, Role.TARGET) == ["out/out.csv\nfile"]


def test_modules_that_import_each_other_know_their_names(tmp_path: Path) -> None:
    (tmp_path / "first.py").write_text(
        "import second\nimport json\ndef read():\n    return json.load(open('in.json'))\nsecond.run()\n"
    )
    (tmp_path / "second.py").write_text(
        "from first import read\ndef run():\n    with open('out.txt', 'w') as out:\n        out.write(str(read()))\n"
    )
    found = graph(tmp_path, "data-flow")
    assert labels(found, Role.EXTRACT) == ["Extract: json.load"]
    assert labels(found, Role.SOURCE) == ["in.json\nfile"]


def test_settings_and_single_values_are_no_rows(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(
        "import pandas as pd\nfrom helpers import *\ndef read_credential_file(path):\n    return {'a': 1}\n"
        "def parse_date(frame):\n    return frame['day']\n"
        "key = read_credential_file('x')\nframe = pd.read_csv('in.csv')\nday = parse_date(frame)\n"
        "frame.to_csv('out.csv')\n"
    )
    found = graph(tmp_path, "data-flow")
    assert [node.label for node in found.nodes] == ["Extract: read_csv", "Load: to_csv", "in.csv", "out.csv"]


def test_a_file_named_like_a_library_does_not_stand_for_it(tmp_path: Path) -> None:
    (tmp_path / "shop" / "utils").mkdir(parents=True)
    (tmp_path / "shop" / "utils" / "json.py").write_text("def dumps_date(x): ...\n")
    (tmp_path / "shop" / "job.py").write_text("import json\njson.load(open('in.json'))\n")
    assert labels(graph(tmp_path, "data-flow"), Role.EXTRACT) == ["Extract: json.load"]


def test_functions_in_sql_are_no_tables(tmp_path: Path) -> None:
    query = "SELECT * FROM t JOIN children(7) c ON t.id = c.id"
    (tmp_path / "job.py").write_text(f"import pandas as pd\npd.read_sql('{query}', c)\n")
    assert labels(graph(tmp_path, "data-flow"), Role.SOURCE) == ["t\ntable"]
