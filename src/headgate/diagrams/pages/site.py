"""The whole site: index, a page a pipeline, a page an error code, practices, search, and what pages need."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources

from headgate.config.cron_words import in_words
from headgate.core.errors import Code, exit_status
from headgate.core.runs import Receipt
from headgate.diagrams.document import Diagram
from headgate.diagrams.pages.advice import advice
from headgate.diagrams.pages.charts import chart
from headgate.diagrams.pages.frame import assets, page
from headgate.diagrams.pages.html import command, diagram, element, facts, link, marked, paragraph, table
from headgate.diagrams.pages.pipeline import Surroundings, pipeline_page
from headgate.diagrams.pages.practices import PRACTICES
from headgate.diagrams.pages.scores import scores_page
from headgate.diagrams.pipelines.chain import Chain
from headgate.diagrams.pipelines.dag import dag, upstream
from headgate.diagrams.render import mermaid
from headgate.diagrams.writing import mermaid_script

HISTORY = "history/"
"""Files there show runs, which are no part of what a check compares."""


def site(
    project: str,
    timezone: str,
    chains: Sequence[Chain],
    receipts: Mapping[str, Sequence[Receipt]],
    planned: Mapping[str, tuple[tuple[str, Diagram], ...]],
) -> dict[str, bytes]:
    """Path to content of every file. All but the history follow from the configuration alone.

    Args:
        receipts: the last runs of pipelines, oldest first.
        planned: titles and diagrams of plans, where they were asked for.
    """
    files = {"index.html": _index(project, chains), "practices.html": _practices(project)}
    before = upstream(chains)
    for chain in chains:
        after = tuple(sorted(name for name, others in before.items() if chain.name in others))
        around = Surroundings(project, timezone, tuple(sorted(before[chain.name])), after, planned.get(chain.name, ()))
        files[f"pipelines/{chain.name}.html"] = pipeline_page(chain, around)
        files[f"{HISTORY}{chain.name}.svg"] = chart(receipts.get(chain.name, ()))
    files |= _errors(project)
    files[f"{HISTORY}quality.html"] = scores_page(project, chains, receipts)
    files["assets/search.js"] = _search(files)
    return files | assets() | _mermaid()


def _index(project: str, chains: Sequence[Chain]) -> bytes:
    rows = [
        (
            link(chain.name, f"pipelines/{chain.name}.html"),
            chain.pipeline.description or "",
            in_words(chain.pipeline.schedule) if chain.pipeline.schedule else "when it is called",
            chain.pipeline.owner or "",
            ", ".join(chain.pipeline.tags),
        )
        for chain in chains
    ]
    body = [
        element("h1", project),
        element("p", f"{len(chains)} pipelines", class_="lead"),
        table(("pipeline", "what it is for", "schedule", "owner", "tags"), rows),
        element("h2", "How they hang together"),
        diagram(mermaid(dag(project, chains))),
        element("h2", "Elsewhere"),
        facts(
            [
                ("Version control", marked("the project's files; `headgate config show` prints what they say")),
                ("Catalogue", marked("tables and columns: `headgate diagram --kind er`")),
                ("Lineage", marked("columns of one pipeline: `headgate diagram NAME --kind lineage`")),
            ]
        ),
    ]
    return page("Pipelines", project, body)


def _practices(project: str) -> bytes:
    def rows(do: bool) -> list[tuple[str, str]]:
        return [(str(number), one.text) for number, one in enumerate((one for one in PRACTICES if one.do is do), 1)]

    body = [
        element("h1", "Practices"),
        paragraph("What can be checked of these is checked by:"),
        command("headgate checklist show"),
        element("h2", "Do"),
        table(("", "do"), rows(True)),
        element("h2", "Don't"),
        table(("", "don't"), rows(False)),
    ]
    return page("Practices", project, body)


def _errors(project: str) -> dict[str, bytes]:
    texts = advice()
    rows = [(link(code, f"{code}.html"), str(exit_status(code)), marked(texts[code]["means"])) for code in Code]
    index = [element("h1", "Error codes"), table(("code", "exit status", "what it means"), rows)]
    files = {"errors/index.html": page("Error codes", project, index, up="../")}
    for code in Code:
        body = [
            element("h1", code),
            paragraph(texts[code]["means"]),
            facts([("Exit status", str(exit_status(code)))]),
            element("h2", "What to do"),
            paragraph(texts[code]["advice"]),
            element("h2", "Find the run"),
            command("headgate runs"),
            command("headgate show RUN"),
            command("headgate diagram --run RUN"),
        ]
        files[f"errors/{code}.html"] = page(code, project, body, up="../")
    return files


def _search(files: Mapping[str, bytes]) -> bytes:
    """The index that the pages' search looks into: title and text of every page, of the history its title."""
    entries = [
        {"url": path, "title": _title(content), "text": "" if path.startswith(HISTORY) else _words(content)}
        for path, content in files.items()
        if path.endswith(".html")
    ]
    shown = json.dumps(entries, ensure_ascii=True).replace("<", "\\u003c")
    return f'"use strict";\nwindow.searchIndex = {shown};\n'.encode()


def _title(content: bytes) -> str:
    found = re.search(r"<h1>(.*?)</h1>", content.decode(), re.DOTALL)
    return _plain(found[1]) if found else ""


def _words(content: bytes) -> str:
    """The text of a page without its diagrams and navigation."""
    main = content.decode().partition("<main>")[2].partition("</main>")[0]
    main = re.sub(r'<pre class="mermaid">.*?</pre>|<nav.*?</nav>|<h1>.*?</h1>', " ", main, flags=re.DOTALL)
    return _plain(main)


def _plain(markup: str) -> str:
    from html import unescape

    return " ".join(unescape(re.sub(r"<[^>]*>", " ", markup)).split())


def _mermaid() -> dict[str, bytes]:
    licence = resources.files("headgate.diagrams").joinpath("vendor", "mermaid.LICENSE").read_bytes()
    return {"assets/mermaid.js": mermaid_script(), "assets/mermaid.LICENSE.txt": licence}


def differences(wanted: Mapping[str, bytes], there: Mapping[str, bytes]) -> Iterable[tuple[str, str]]:
    """(path, missing, differs or no longer wanted) of each file that is not as it should be."""
    for path, content in wanted.items():
        if path.startswith(HISTORY):
            continue
        if path not in there:
            yield path, "missing"
        elif there[path] != content:
            yield path, "differs"
    for path in there:
        if path not in wanted and not path.startswith(HISTORY):
            yield path, "no longer wanted"
