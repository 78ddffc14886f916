"""Diagrams as bytes in every format, those that a browser draws included."""

from __future__ import annotations

import gzip
import json
import tempfile
from importlib import resources
from pathlib import Path

from headgate.core.errors import Code, FatalError
from headgate.diagrams.document import Diagram
from headgate.diagrams.graph import Graph
from headgate.diagrams.render import PLAIN, Look, render

DRAWN = ("svg", "png")


def written(diagram: Diagram, format_: str, look: Look = PLAIN) -> bytes:
    """The diagram in a format: mermaid, markdown, json, dot, text, svg or png.

    Raises:
        FatalError: USAGE for dot of what is no graph, DRIVER_MISSING for svg and png without Chromium.
    """
    if format_ in DRAWN:
        return drawn(render(diagram, "mermaid", look), format_)
    if format_ == "dot" and not isinstance(diagram, Graph):
        what = type(diagram).__name__.lower()
        raise FatalError(
            Code.USAGE,
            f"this diagram is made of {what}, and dot draws graphs only",
            operation="diagram",
            object="dot",
            hint="use mermaid, markdown, json, text, svg or png",
        )
    return render(diagram, format_, look).encode()  # type: ignore[arg-type]


def mermaid_script() -> bytes:
    """Mermaid as it ships with headgate: one script, which needs nothing else."""
    packed = resources.files("headgate.diagrams").joinpath("vendor", "mermaid.tiny.js.gz").read_bytes()
    return gzip.decompress(packed)


def drawn(text: str, format_: str) -> bytes:
    """Mermaid's own drawing of a diagram, made in an installed Chromium; nothing leaves the machine."""
    from headgate.io.chromium import chromium

    with tempfile.TemporaryDirectory(prefix="headgate-") as folder, chromium(scale=2) as page:
        (Path(folder) / "mermaid.js").write_bytes(mermaid_script())
        file = Path(folder) / "page.html"
        file.write_text('<!doctype html><meta charset="utf-8"><div id="x"></div><script src="mermaid.js"></script>')
        page.open(file.as_uri())
        page.evaluate(
            f"mermaid.initialize({{startOnLoad: false, securityLevel: 'strict', htmlLabels: {_html(format_)}}})"
        )
        svg = page.evaluate(f"mermaid.render('drawing', {json.dumps(text)}).then(done => done.svg)")
        if format_ == "svg":
            return str(svg).encode()
        page.evaluate(f"void (document.getElementById('x').innerHTML = {json.dumps(svg)})")
        page.evaluate("void (s => { s.style.width = s.style.maxWidth })(document.querySelector('#x svg'))")
        return page.picture("#x svg")


def _html(format_: str) -> str:
    """Labels in SVG files are text: what shows SVG outside of a browser knows no HTML in it."""
    return "true" if format_ == "png" else "false"
