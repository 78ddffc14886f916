"""The documentation of a project: a static site that says what the configuration says, safely, and can be checked."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sqlite3
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.diagrams.conftest import HOSTILE, Shop
from tests.mermaid.needed import needs_browser
from tests.mermaid.parser import Parser
from typer.testing import CliRunner

from headgate.cli.main import app
from headgate.core.errors import Code
from headgate.diagrams.pages.practices import PRACTICES
from headgate.io import chromium

HEADINGS = [
    "Overview", "Schedule", "Data Flow", "Dependencies", "Quality", "Monitoring", "Runbook", "Contacts", "History",
]  # fmt: skip


@pytest.fixture(scope="module")
def site(shop: Shop) -> Path:
    """The site as ``headgate docs --live`` writes it, of the pipelines that can be planned."""
    shop.call("docs", "pages")
    return shop.root / "pages"


def text_of(file: Path) -> str:
    """What is shown of a page."""
    body = re.sub(r"<script.*?</script>|<style.*?</style>", "", file.read_text(), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


def test_a_page_a_pipeline_has_every_heading_filled_from_the_configuration(site: Path) -> None:
    page = (site / "pipelines" / "orders.html").read_text()
    assert re.findall(r"<h2>(.*?)</h2>", page) == HEADINGS
    shown = text_of(site / "pipelines" / "orders.html")
    for said in (
        "Every order once, with its total.", "Purpose warehouse", "Owner data-team", "On call Ann", "Escalation Bob",
        "Frequency 2 AM Daily (0 2 * * *, UTC)", "expected: 30 min", "SLA at most 30 min a run",
        "3 attempts after passing faults", "Upstream None.", "Downstream daily_sales", "Dashboard https://example.com/board",
        "slack #data: on failed, sla", "not_null customer error the rows are held back", "orders in warehouse (sqlite)",
    ):  # fmt: skip
        assert said in shown, said


def test_diagrams_are_in_the_page_and_parse(site: Path, mermaid_parser: Parser) -> None:
    for file in [site / "index.html", *(site / "pipelines").glob("*.html")]:
        found = re.findall(r'<pre class="mermaid">(.*?)</pre>', file.read_text(), re.DOTALL)
        assert found
        for diagram in found:
            mermaid_parser.kind(unescape(diagram))


def test_the_runbook_shows_the_flow_as_text(site: Path) -> None:
    assert "Load orders --> warehouse (sqlite)" in text_of(site / "pipelines" / "orders.html")


def test_every_error_code_has_a_page_and_the_runbook_an_entry(site: Path) -> None:
    runbook = (site / "pipelines" / "orders.html").read_text()
    for code in Code:
        assert f"<h1>{code}</h1>" in (site / "errors" / f"{code}.html").read_text()
        if code not in (Code.USAGE, Code.INTERNAL):
            assert f'href="../errors/{code}.html"' in runbook
    assert "Runs become slower" in runbook
    assert "Memory runs short" in runbook
    assert "Connections time out" in runbook


def test_the_commands_of_a_runbook_run_as_they_are_written(shop: Shop, site: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(shop.root, copy)
    page = (site / "pipelines" / "orders.html").read_text()
    commands = [unescape(one) for one in re.findall(r'<code class="command">(.*?)</code>', page, re.DOTALL)]
    assert len(commands) >= 10
    for command in commands:
        words = shlex.split(command.replace("RUN", shop.runs["orders"]))
        assert words[0] == "headgate"
        done = CliRunner().invoke(app, ["-C", str(copy), *words[1:]], env={"SLACK_URL": "https://example.com"})
        assert done.exit_code == 0, (command, done.output)


def test_a_reload_by_dates_is_told_where_the_source_knows_time(tmp_path: Path) -> None:
    source = {"connection": "db", "table": "t", "mode": "incremental", "incremental": {"column": "at"}}
    project = {
        "version": 1,
        "project": "timed",
        "connections": {"db": {"type": "sqlite", "path": "db.sqlite"}},
        "pipelines": {"timed": {"source": source, "target": {"table": "copied", "mode": "append"}}},
    }
    (tmp_path / "headgate.yml").write_text(json.dumps(project))
    with sqlite3.connect(tmp_path / "db.sqlite") as database:
        database.execute("CREATE TABLE t (at TEXT)")
        database.execute("INSERT INTO t VALUES ('2024-01-15')")
    Shop(tmp_path).call("docs")
    command = "headgate run timed --start 2024-01-01 --end 2024-02-01 --force"
    assert command in text_of(tmp_path / "site" / "pipelines" / "timed.html")
    Shop(tmp_path).call(*command.split()[1:])


def test_there_are_twelve_things_to_do_and_twelve_not_to_do(site: Path) -> None:
    assert sum(one.do for one in PRACTICES) == sum(not one.do for one in PRACTICES) == 12
    shown = text_of(site / "practices.html")
    assert all(one.text in shown for one in PRACTICES)
    assert len({one.key for one in PRACTICES}) == 24


def test_the_index_lists_pipelines_and_links_catalogue_lineage_and_version_control(site: Path) -> None:
    shown = text_of(site / "index.html")
    for said in ("orders", "2 AM Daily", "data-team", "Version control", "Catalogue", "Lineage"):
        assert said in shown
    assert 'href="pipelines/orders.html"' in (site / "index.html").read_text()


def test_every_link_leads_to_a_file_of_the_site(site: Path) -> None:
    for file in site.rglob("*.html"):
        for to in re.findall(r'(?:href|src)="([^"#]+)', file.read_text()):
            if not to.startswith("https://"):
                assert (file.parent / to).is_file(), (file, to)


def test_the_chart_shows_every_run(site: Path) -> None:
    chart = (site / "history" / "orders.svg").read_text()
    assert chart.count("<title>") == 1
    assert "success: 2 rows" in chart
    assert "#dc143c" in (site / "history" / "strict.svg").read_text()


def test_a_site_that_is_current_passes_the_check_and_one_that_is_not_names_what_differs(
    shop: Shop, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(shop.root, copy)
    project = Shop(copy)
    project.call("docs")
    assert "up to date" in project.call("docs", "--check")
    settings = copy / "headgate.yml"
    settings.write_text(settings.read_text().replace("data-team", "other-team"))
    (copy / "site" / "pipelines" / "gone.html").write_text("old")
    (copy / "site" / "errors" / "LOCKED.html").unlink()
    done = CliRunner().invoke(app, ["-C", str(copy), "docs", "--check", "-o", "json"])
    assert done.exit_code == 1
    assert {one["path"]: one["problem"] for one in json.loads(done.stdout)["changed"]} == {
        "index.html": "differs",
        "assets/search.js": "differs",
        "pipelines/orders.html": "differs",
        "errors/LOCKED.html": "missing",
        "pipelines/gone.html": "no longer wanted",
    }
    project.call("docs")
    assert not (copy / "site" / "pipelines" / "gone.html").exists()
    project.call("docs", "--check")


def test_new_runs_are_no_drift(shop: Shop, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(shop.root, copy)
    Shop(copy).call("docs")
    CliRunner().invoke(app, ["-C", str(copy), "run", "strict"], env={"SLACK_URL": "https://hooks.invalid/services/T0"})
    Shop(copy).call("docs", "--check")


def test_a_folder_of_something_else_is_not_touched(shop: Shop) -> None:
    code, text = shop.error("docs", "data")
    assert code == 2
    assert "holds something else" in text
    assert sorted(one.name for one in (shop.root / "data").iterdir()) == ["orders", "products.csv"]


EVIL = (
    "<script>window.evil = 1</script>",
    '"><img src=x onerror="window.evil=1">',
    "javascript:alert(1)",
    "</pre><b>x",
)


class Tags(HTMLParser):
    """Every element of a page, and every attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        self.attributes += attrs


def evil_project(root: Path) -> Path:
    texts = [*EVIL, *(text for text in HOSTILE if text.strip() and text.isprintable())]
    pipelines = {
        f"p{number}": {
            "description": text,
            "owner": text,
            "purpose": "reporting",
            "contacts": {"on_call": text, "escalation": text},
            "monitoring": {"dashboard": text},
            "tags": [text],
            "source": {"type": "local", "path": "x.csv", "where": None},
            "transformations": [{"type": "filter", "condition": "'a' = " + "'" + text.replace("'", "''") + "'"}],
            "quality_rules": [{"type": "not_null", "columns": ["a"], "description": text}],
            "target": {"table": "t"},
        }
        for number, text in enumerate(texts)
    }
    for pipeline in pipelines.values():
        source = pipeline["source"]
        assert isinstance(source, dict)
        del source["where"]
    document = {"version": 1, "project": "evil", "pipelines": pipelines}
    root.joinpath("headgate.yml").write_text(json.dumps(document, ensure_ascii=False))
    return root


def test_hostile_texts_are_shown_and_never_become_markup(tmp_path: Path) -> None:
    project = Shop(evil_project(tmp_path))
    project.call("docs")
    for file in (tmp_path / "site").rglob("*.html"):
        tags = Tags()
        tags.feed(file.read_text())
        assert tags.found <= {
            "html", "head", "meta", "title", "link", "body", "header", "strong", "nav", "a", "div", "input", "ul",
            "main", "h1", "h2", "h3", "p", "section", "dl", "dt", "dd", "code", "pre", "table", "thead", "tbody", "tr",
            "th", "td", "li", "img", "script",
        }, file  # fmt: skip
        assert not [name for name, _ in tags.attributes if name.startswith("on") or name == "style"]
        assert not [
            value for name, value in tags.attributes if name in ("href", "src") and value and "script:" in value
        ]
    index = (tmp_path / "site" / "assets" / "search.js").read_text()
    assert "<" not in index
    assert EVIL[0] in text_of(tmp_path / "site" / "pipelines" / "p0.html")


@needs_browser
def test_a_browser_shows_the_pages_without_a_complaint(site: Path) -> None:
    with chromium.chromium() as page:
        for name in ("index.html", "pipelines/orders.html", "errors/LOCKED.html", "history/quality.html"):
            page.open((site / name).as_uri())
            page.evaluate("window.drawn")
            assert page.complaints == []
        page.open((site / "pipelines" / "orders.html").as_uri())
        page.evaluate("window.drawn")
        assert page.evaluate("document.querySelectorAll('pre.mermaid svg').length") == 2
        assert page.evaluate("document.querySelector('img.chart').naturalWidth") > 0
        page.evaluate(
            "(one => { one.value = 'another run holds'; one.dispatchEvent(new Event('input')) })"
            "(document.getElementById('search'))"
        )
        hits = page.evaluate("[...document.querySelectorAll('#found a')].map(one => one.getAttribute('href'))")
        assert "../errors/LOCKED.html" in hits


@needs_browser
def test_no_script_of_a_hostile_text_runs(tmp_path: Path) -> None:
    Shop(evil_project(tmp_path)).call("docs")
    with chromium.chromium() as page:
        for name in ("index", *(f"pipelines/p{number}" for number in range(len(EVIL)))):
            page.open((tmp_path / "site" / f"{name}.html").as_uri())
            page.evaluate("window.drawn")
            assert page.evaluate("window.evil === undefined")
            assert page.complaints == []


def test_live_pages_have_lineage_tables_and_messages(shop: Shop, mermaid_parser: Parser) -> None:
    shop.call("docs", "live", "--live")
    page = (shop.root / "live" / "pipelines" / "orders.html").read_text()
    kinds = {
        mermaid_parser.kind(unescape(one)) for one in re.findall(r'<pre class="mermaid">(.*?)</pre>', page, re.DOTALL)
    }
    assert kinds == {"flowchart-v2", "er", "sequence"}
    assert [one for one in ("Column lineage", "Tables", "Messages of a run") if f"<h3>{one}</h3>" not in page] == []
