"""How long `headgate diagram --from` takes for a project of 1,000 Python files; the goal is 10 seconds.

The files are made here: extractors, transformers, loaders and pipelines that import each other, some 70 lines each.

    python -m benchmarks.diagram_source [--files 1000] [--repeat 3]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from benchmarks.measure import HEADGATE, run

GOAL_SECONDS = 10.0
KINDS = ("architecture", "activity", "sequence", "data-flow")
PARTS = {
    "extractors": """
import pandas as pd
from sqlalchemy import create_engine
class Extractor{n}:
    def __init__(self, url, batch=1000):
        self.engine, self.batch = create_engine("postgresql://" + url), batch
    def extract(self, day):
        return pd.read_sql(f"SELECT * FROM raw.t{n} WHERE day = '{{day}}'", self.engine, chunksize=self.batch)
""",
    "transformers": """
class Transformer{n}:
    def transform(self, frame):
        frame = frame.dropna(subset=["id"]).drop_duplicates()
        frame["total"] = frame["quantity"] * frame["price"]
        frame = frame[frame["total"] > {n}]
        return frame.groupby(["day", "region"]).agg({{"total": "sum"}})
""",
    "loaders": """
class Loader{n}:
    def load(self, frame, table="mart.t{n}"):
        for attempt in range(3):
            try:
                frame.to_sql(table, "postgresql://db/dw", if_exists="append", chunksize=500)
                return True
            except Exception:
                continue
        raise RuntimeError("not loaded")
""",
    "pipelines": """
import logging
from extractors.e{n} import Extractor{n}
from transformers.t{n} import Transformer{n}
from loaders.l{n} import Loader{n}
class Pipeline{n}:
    def __init__(self, config):
        self.extractor, self.transformer = Extractor{n}(config["url"]), Transformer{n}()
        self.loader = Loader{n}()
    def run(self, day):
        frame = self.extractor.extract(day)
        if frame.empty:
            logging.warning("nothing")
            return 0
        self.loader.load(self.transformer.transform(frame))
""",
}


def lay_out(folder: Path, files: int) -> int:
    """Write the project; the lines written."""
    lines = 0
    for number in range(files):
        part = list(PARTS)[number % len(PARTS)]
        n = number // len(PARTS)
        helpers = "".join(f"def helper_{i}(value, other={i}):\n    return value * {i} + other\n\n" for i in range(18))
        text = PARTS[part].format(n=n) + "\n" + helpers
        file = folder / part / f"{part[0]}{n}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        lines += text.count("\n")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lines = lay_out(Path(folder), options.files)
        print(f"{options.files} files, {lines:,} lines")
        for kind in KINDS:
            costs = [
                run([HEADGATE, "diagram", "--from", folder, "--kind", kind, "--quiet"]) for _ in range(options.repeat)
            ]
            wall, cpu = statistics.median(one.wall for one in costs), statistics.median(one.cpu for one in costs)
            print(f"{kind:12}  {wall:5.1f} s  {cpu:5.1f} CPU s  {max(one.peak_mb for one in costs):5.0f} MB")
            if cpu > GOAL_SECONDS:  # it is one thread: on a machine that does nothing else, wall time is the same
                raise SystemExit(f"{kind} took longer than {GOAL_SECONDS:g} s")


if __name__ == "__main__":
    main()
