"""What runs found of their data, over time: a page with a chart and a table for each pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headgate.core.runs import Receipt
from headgate.diagrams.pages.charts import LEFT, WIDTH, label
from headgate.diagrams.pages.frame import page, section
from headgate.diagrams.pages.html import Html, element, joined, link, marked, paragraph, table
from headgate.diagrams.pipelines.chain import Chain

SCORES = {
    "overall": "#1d2330",
    "completeness": "#1f5fbf",
    "accuracy": "#3c9d5d",
    "consistency": "#b45f06",
    "timeliness": "#7a6fd0",
}
"""Each with its colour."""
HELD = "#dc143c"
TOP, BASE, LOW, LEGEND = 20, 150, 200, 226
"""Scores stand between the first two, the bars of rows held back above the third."""
FLOORS = (0.0, 0.5, 0.9)
"""Where the scale may begin: the highest below all scores, so that small changes are seen."""


def scores_page(project: str, chains: Sequence[Chain], receipts: Mapping[str, Sequence[Receipt]]) -> bytes:
    """The page, in the folder ``history`` of the site; receipts are oldest first."""
    body: list[str] = [
        element("h1", "Quality over time"),
        paragraph(
            "Scores go from 0 to 1, and are measured by each run on the rows that it published. Completeness is the"
            " share of values that are not NULL; the others are the share of rows that rules find in order; overall is"
            " their mean. `headgate docs` draws the last runs again."
        ),
    ]
    for chain in chains:
        runs = [one for one in receipts.get(chain.name, ()) if one.quality is not None or one.checks]
        body.append(section(chain.name, chain.name, *_history(chain, runs)))
    return page("Quality over time", project, body, up="../")


def _history(chain: Chain, runs: Sequence[Receipt]) -> Iterator[Html]:
    yield element("p", link("the pipeline and its rules", f"../pipelines/{chain.name}.html#quality"))
    if not runs:
        yield element("p", "No run has been measured yet.")
        return
    shown = [name for name in SCORES if any(_score(run, name) is not None for run in runs)]
    if shown or any(run.rows.quarantined for run in runs):
        yield _chart(runs, shown)
    columns = ("run", "status", "rows", "held back", *shown, "rules that rows broke")
    yield element("div", table(columns, (_row(run, shown) for run in reversed(runs))), class_="scores")


def _row(run: Receipt, shown: Sequence[str]) -> tuple[str, ...]:
    broken = (f"{check.rule} ({check.failed_rows:,})" for check in run.checks if not check.passed)
    found: Mapping[str, Any] = run.quality or {}
    return (
        joined((f"{run.started_at:%Y-%m-%d %H:%M} ", marked(f"`{run.run_id[:8]}`"))),
        run.status.value.replace("_", " "),
        "" if found.get("record_count") is None else f"{found['record_count']:,}",
        f"{run.rows.quarantined:,}",
        *(_shown(_score(run, name)) for name in shown),
        ", ".join(broken) or "none",
    )


def _score(run: Receipt, name: str) -> float | None:
    value = (run.quality or {}).get(f"{name}_score")
    return None if value is None else min(1.0, max(0.0, float(value)))


def _shown(value: float | None) -> str:
    """Never rounded up to a full score."""
    return "" if value is None else "1" if value == 1 else f"{min(value, 0.9999):.4g}"


# ------------------------------------------------------------------------------------------------ the chart


def _chart(runs: Sequence[Receipt], shown: Sequence[str]) -> Html:
    step = (WIDTH - LEFT - 20) / max(len(runs), 12)
    places = [LEFT + step * (number + 0.5) for number in range(len(runs))]
    lowest = min((value for name in shown for run in runs if (value := _score(run, name)) is not None), default=0.0)
    floor = max(value for value in FLOORS if value <= lowest)
    lines = (part for name in reversed(shown) for part in _line(name, runs, places, floor))
    return element(
        "svg",
        element("title", f"Scores of the last {len(runs)} runs"),
        element("rect", width=str(WIDTH), height="240", fill="#fff"),
        *_scale(floor),
        *_held(runs, places, step),
        *lines,
        *_legend(shown),
        viewBox=f"0 0 {WIDTH} 240",
        width=str(WIDTH),
        role="img",
        class_="chart",
        font_family="system-ui, sans-serif",
        font_size="12",
    )


def _scale(floor: float) -> Iterator[Html]:
    for value in (floor, (floor + 1) / 2, 1.0):
        y = _height(value, floor)
        yield element("line", x1=str(LEFT), x2=str(WIDTH - 20), y1=f"{y:g}", y2=f"{y:g}", stroke="#d8dce4")
        yield label(LEFT - 8, y + 4, f"{value:g}", "end")
    yield element("line", x1=str(LEFT), x2=str(WIDTH - 20), y1=str(LOW), y2=str(LOW), stroke="#98a2b3")
    yield label(LEFT - 8, LOW, "held", "end")


def _height(value: float, floor: float) -> float:
    return BASE - (BASE - TOP) * (value - floor) / (1 - floor)


def _line(name: str, runs: Sequence[Receipt], places: Sequence[float], floor: float) -> Iterator[Html]:
    """Points, joined where runs follow each other without a gap in what was measured."""
    before: tuple[float, float] | None = None
    for run, x in zip(runs, places, strict=True):
        value = _score(run, name)
        here = None if value is None else (x, _height(value, floor))
        if here is not None:
            if before is not None:
                ends = dict(zip(("x1", "y1", "x2", "y2"), (f"{at:.1f}" for at in (*before, *here)), strict=True))
                yield element("line", stroke=SCORES[name], stroke_width="2", **ends)
            said = f"{run.started_at:%Y-%m-%d %H:%M} {name}: {_shown(value)}"
            dot = {"cx": f"{here[0]:.1f}", "cy": f"{here[1]:.1f}", "r": "3"}
            yield element("circle", element("title", said), fill=SCORES[name], **dot)
        before = here


def _held(runs: Sequence[Receipt], places: Sequence[float], step: float) -> Iterator[Html]:
    """Bars of the rows held back, the most of them full."""
    most = max(run.rows.quarantined for run in runs)
    for run, x in zip(runs, places, strict=True):
        if run.rows.quarantined:
            height = max(2.0, 36 * run.rows.quarantined / most)
            said = f"{run.started_at:%Y-%m-%d %H:%M}: {run.rows.quarantined:,} rows held back"
            where = {"x": f"{x - step * 0.3:.1f}", "y": f"{LOW - height:.1f}"}
            yield element(
                "rect", element("title", said), fill=HELD, width=f"{step * 0.6:.1f}", height=f"{height:.1f}", **where
            )


def _legend(shown: Sequence[str]) -> Iterator[Html]:
    for number, (name, colour) in enumerate([*((name, SCORES[name]) for name in shown), ("rows held back", HELD)]):
        x = LEFT + 110 * number
        yield element("rect", x=str(x), y=str(LEGEND - 9), width="10", height="10", fill=colour)
        yield label(x + 15, LEGEND, name, "start")
