"""Writes headgate's row of the README's table from what the last ``make bench`` measured."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MEASURED = ROOT / ".cache" / "bench" / "postgres_to_postgres.json"
README = ROOT / "README.md"


def filled(readme: str, document: dict[str, Any]) -> str:
    """The README with the figures of a report of ``postgres_to_postgres``.

    Raises:
        ValueError: when the report has no row of headgate, or the README no place for its figures.
    """
    rows = [row for row in document["rows"] if row["name"].startswith("headgate: filter")]
    if len(rows) != 1 or rows[0]["ratio"] is None:
        raise ValueError("the report has no ratio of headgate: measure without --limit-only")
    for place, text in (("time", f"{rows[0]['ratio']:.1f}"), ("memory", f"{rows[0]['peak_mb']:,.0f} MB")):
        readme, count = re.subn(rf"<!-- {place} -->.*?<!-- -->", f"<!-- {place} -->{text}<!-- -->", readme)
        if count != 1:
            raise ValueError(f"README.md has no place for {place}")
    return readme


def main() -> int:
    """Write the README; exit status 1 when nothing was measured."""
    if not MEASURED.is_file():
        print("nothing was measured here: make bench", file=sys.stderr)
        return 1
    readme = filled(README.read_text(encoding="utf-8"), json.loads(MEASURED.read_text(encoding="utf-8")))
    README.write_text(readme, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
