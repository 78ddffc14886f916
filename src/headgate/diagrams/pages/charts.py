"""The history of a pipeline as an SVG of its own: how long each run took and how many rows it published."""

from __future__ import annotations

from collections.abc import Sequence

from headgate.core.runs import Receipt, Status
from headgate.diagrams.pages.html import Html, element
from headgate.diagrams.pipelines.words import rows, seconds

WIDTH, HEIGHT, LEFT, BASE, TOP = 760, 180, 70, 140, 30
COLOURS = {
    Status.SUCCESS: "#3c9d5d",
    Status.DEGRADED: "#d9a400",
    Status.STAGED: "#7a6fd0",
    Status.SKIPPED: "#b8bfcc",
    Status.FAILED: "#dc143c",
    Status.REFUSED: "#dc143c",
    Status.UNKNOWN: "#dc143c",
}
OTHER = "#8a93a5"


def chart(receipts: Sequence[Receipt]) -> bytes:
    """Bars, oldest on the left; empty when there was no run."""
    longest = max((receipt.duration_seconds for receipt in receipts), default=0.0) or 1.0
    step = (WIDTH - LEFT - 20) / max(len(receipts), 12)
    bars = [_bar(receipt, number, step, longest) for number, receipt in enumerate(receipts)]
    title = f"Time of the last {len(receipts)} runs" if receipts else "No run yet"
    parts = [
        element("rect", width=str(WIDTH), height=str(HEIGHT), fill="#fff"),
        label(LEFT, 18, title, "start", weight="600"),
        *_scale(longest if receipts else 0.0),
        *bars,
        *_legend(receipts),
    ]
    svg = element(
        "svg",
        element("style", "text{font:12px system-ui,sans-serif;fill:#344054}"),
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        width=str(WIDTH),
        role="img",
    )
    return svg.encode()


def _bar(receipt: Receipt, number: int, step: float, longest: float) -> str:
    height = max(2.0, (BASE - TOP) * receipt.duration_seconds / longest)
    said = (
        f"{receipt.started_at:%Y-%m-%d %H:%M} {receipt.status.value}: {rows(receipt.rows.loaded)},"
        f" {seconds(receipt.duration_seconds)}"
    )
    return element(
        "rect",
        element("title", said),
        x=f"{LEFT + number * step + 2:.1f}",
        y=f"{BASE - height:.1f}",
        width=f"{max(1.0, step - 4):.1f}",
        height=f"{height:.1f}",
        rx="2",
        fill=COLOURS.get(receipt.status, OTHER),
    )


def _scale(longest: float) -> list[str]:
    lines: list[str] = [element("line", x1=str(LEFT), x2=str(WIDTH - 20), y1=str(BASE), y2=str(BASE), stroke="#98a2b3")]
    for share in (0.5, 1.0) if longest else ():
        y = BASE - (BASE - TOP) * share
        lines.append(element("line", x1=str(LEFT), x2=str(WIDTH - 20), y1=f"{y:g}", y2=f"{y:g}", stroke="#eaecf0"))
        lines.append(label(LEFT - 8, y + 4, seconds(longest * share), "end"))
    return lines


def _legend(receipts: Sequence[Receipt]) -> list[str]:
    parts: list[str] = []
    x = LEFT
    for status in dict.fromkeys(receipt.status for receipt in receipts):
        parts.append(element("rect", x=str(x), y="156", width="10", height="10", fill=COLOURS.get(status, OTHER)))
        parts.append(label(x + 15, 165, status.value.replace("_", " "), "start"))
        x += 100
    return parts


def label(x: float, y: float, content: str, anchor: str, weight: str = "400") -> Html:
    """Text in a chart, at its baseline."""
    return element("text", content, x=f"{x:g}", y=f"{y:g}", text_anchor=anchor, font_weight=weight, fill="#344054")
