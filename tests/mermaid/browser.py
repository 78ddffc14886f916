"""A browser that draws many diagrams, with the Mermaid that ships: one page for all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from headgate.diagrams.writing import mermaid_script
from headgate.io import chromium

BATCH = 25
"""Diagrams of one question, so that an answer comes soon enough."""
SETUP = """
globalThis.mermaid = mermaid;
mermaid.initialize({startOnLoad: false, securityLevel: 'strict'});
async function drawAll(texts) {
  const answers = [];
  for (const text of texts) {
    const start = performance.now();
    try {
      const { svg } = await mermaid.render('drawing', text);
      const holder = document.createElement('div');
      holder.innerHTML = svg;
      for (const style of holder.querySelectorAll('style')) style.remove();
      const found = holder.querySelector('svg');
      answers.push({ error: found ? '' : 'no svg', text: holder.textContent, ms: performance.now() - start });
    } catch (error) {
      answers.push({ error: String(error.message ?? error) || 'unknown', text: '', ms: performance.now() - start });
    }
    document.body.innerHTML = '';
  }
  return answers;
}
"""


@dataclass(frozen=True)
class Drawing:
    """What came of a text. ``error``: why it was not drawn; ``shown``: all text of the picture."""

    error: str
    shown: str
    seconds: float


class Browser:
    def __init__(self, page: chromium.Page) -> None:
        self._page = page
        page.open("about:blank")
        page.evaluate(mermaid_script().decode() + ";" + SETUP + "void 0")

    def draw(self, texts: Sequence[str]) -> Iterator[Drawing]:
        """Each text's drawing, in their order."""
        for start in range(0, len(texts), BATCH):
            asked = json.dumps(texts[start : start + BATCH])
            for one in self._page.evaluate(f"drawAll({asked})"):
                yield Drawing(one["error"], one["text"], one["ms"] / 1000)


@contextmanager
def running_browser() -> Iterator[Browser]:
    with chromium.chromium() as page:
        yield Browser(page)
