"""Makes the data files that ship with the package: ``python ship.py SDIST``. January, as text columns in Parquet."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headgate.demo.landing import TABLES, Archive

INTO = Path(__file__).resolve().parents[2] / "src" / "headgate" / "demo" / "data"


def main(sdist: Path) -> None:
    origin = Archive(sdist)
    for name in TABLES:
        table = origin.table(name)
        if name in ("flights", "weather"):
            table = table.filter(pc.equal(table["month"], pa.scalar("1")))
        pq.write_table(table, INTO / f"{name}.parquet", compression="zstd", compression_level=19)
        print(f"{name}: {table.num_rows} rows, {(INTO / f'{name}.parquet').stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
