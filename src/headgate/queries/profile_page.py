"""A profile as one HTML page: everything in it, nothing from elsewhere, data shown as text."""

from __future__ import annotations

from html import escape
from typing import Any

from headgate.queries.profile import Profile

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bar: #3b82c4; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
code { font-size: .9em; overflow-wrap: anywhere; }
svg { display: block; } rect { fill: var(--bar); }
.muted { opacity: .65; }
"""


def page(found: Profile) -> str:
    """The page."""
    document = found.as_dict()
    rows = "\n".join(_row(column) for column in document["columns"])
    title = escape(found.table)
    heads = "".join(
        f"<th scope=col>{head}</th>"
        for head in ("Column", "Type", "NULL %", "Distinct, roughly", "Smallest", "Largest", "Mean", "Spread")
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}: profile</title>'
        '<meta name="viewport" content="width=device-width">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<style>{_STYLE}</style></head>\n<body><h1>{title}</h1>"
        f"<p>{document['rows']:,} rows, {len(document['columns'])} columns</p>\n"
        f"<table><thead><tr>{heads}</tr></thead><tbody>\n{rows}\n</tbody></table></body></html>\n"
    )


def _row(column: dict[str, Any]) -> str:
    mean = "" if column["mean"] is None else f"{column['mean']:.6g}"
    distinct = "" if column["distinct"] is None else f"{column['distinct']:,}"
    cells = [
        f"<th scope=row><code>{escape(column['name'])}</code></th>",
        f"<td>{escape(column['type'])}</td>",
        f"<td class=n>{column['null_percentage']:.4g}</td>",
        f"<td class=n>{distinct}</td>",
        f"<td><code>{_text(column['min'])}</code></td>",
        f"<td><code>{_text(column['max'])}</code></td>",
        f"<td class=n>{escape(mean)}</td>",
        f"<td>{_histogram(column['histogram']) or _top(column['top'])}</td>",
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _text(value: Any) -> str:
    text = "" if value is None else str(value)
    return escape(text if len(text) <= 60 else text[:59] + "…")


def _top(values: list[Any]) -> str:
    return ", ".join(f"<code>{_text(value)}</code>" for value in values)


def _histogram(shares: list[float]) -> str:
    highest = max(shares, default=0)
    if not highest:
        return ""
    bars = "".join(
        f'<rect x="{place * 10}" y="{40 - share / highest * 40:.2f}" width="9" height="{share / highest * 40:.2f}"/>'
        for place, share in enumerate(shares)
    )
    return f'<svg width="{len(shares) * 10}" height="40" role="img" aria-label="histogram">{bars}</svg>'
