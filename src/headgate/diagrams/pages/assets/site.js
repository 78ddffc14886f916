"use strict";
(() => {
  const up = document.body.dataset.up;
  if (window.mermaid) {
    window.mermaid.initialize({ startOnLoad: false, securityLevel: "strict", theme: "default" });
    window.drawn = window.mermaid.run({ querySelector: "pre.mermaid" });
  }
  const input = document.getElementById("search");
  const found = document.getElementById("found");
  const words = (text) => text.toLowerCase().split(/[^\p{L}\p{N}_]+/u).filter(Boolean);
  const score = (entry, wanted) => {
    const title = entry.title.toLowerCase();
    const text = entry.text.toLowerCase();
    let sum = 0;
    for (const word of wanted) {
      const points = (title.includes(word) ? 5 : 0) + (text.includes(word) ? 1 : 0);
      if (points === 0) return 0;
      sum += points;
    }
    return sum;
  };
  const show = () => {
    const wanted = words(input.value);
    const hits = (wanted.length ? window.searchIndex || [] : [])
      .map((entry) => ({ entry, points: score(entry, wanted) }))
      .filter((hit) => hit.points > 0)
      .sort((a, b) => b.points - a.points)
      .slice(0, 12);
    found.replaceChildren(...hits.map(({ entry }) => {
      const item = document.createElement("li");
      const way = document.createElement("a");
      const note = document.createElement("span");
      way.href = up + entry.url;
      way.textContent = entry.title;
      note.textContent = entry.text.slice(0, 90);
      way.append(note);
      item.append(way);
      return item;
    }));
    found.hidden = hits.length === 0;
  };
  input.addEventListener("input", show);
})();
