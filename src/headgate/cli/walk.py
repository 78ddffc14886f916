"""The demo's walk: land real data, run, run again, land more, meet a rule that refuses, look at what is there."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.cli.face import Face
from headgate.cli.receipts import show as show_receipt
from headgate.core.errors import Code, FatalError
from headgate.demo.landing import YEAR, Origin, land_flights, land_reference, land_weather, month
from headgate.io import files

if TYPE_CHECKING:
    from headgate.core.runs import Receipt
    from headgate.execute.workspace import Workspace

PIPELINE = "flights"
FILES = ("headgate.yml", "pipelines/flights.yml")
Days = tuple[date, date]
WORST = """SELECT airline, origin, SUM(flights) AS flights, SUM(late_flights) AS late,
  ROUND(100.0 * SUM(late_flights) / SUM(flights), 1) AS late_percent, MAX(worst_delay) AS worst_delay_minutes
FROM daily_delays GROUP BY airline, origin HAVING SUM(flights) >= 200 ORDER BY late_percent DESC LIMIT 8"""


def walk(face: Face, folder: Path | None, origin: Origin, months: str | None) -> None:
    """Show the product at work.

    Args:
        folder: where; None makes a temporary folder, which stays.
        origin: where the data comes from.
        months: ``1-12`` lands whole months, the last one later; None splits January after the 20th.
    """
    batches = _batches(months)
    project = _project(folder)
    _Walk(face, project, origin, batches).walk()


@dataclass
class _Walk:
    face: Face
    folder: Path
    origin: Origin
    batches: Sequence[Days]
    started: float = field(default_factory=time.monotonic)
    receipts: list[Receipt] = field(default_factory=list)
    number: int = 0

    @property
    def landing(self) -> Path:
        return self.folder / "data" / "landing"

    def walk(self) -> None:
        *first, last = self.batches
        self._say(f"Real flights out of New York City in {YEAR}, in {self.folder}")
        self._title("Land source data: flights as CSV, reference tables in SQLite, weather as Parquet")
        self._landed(land_reference(self.origin, self.landing))
        self._landed(land_weather(self.origin, self.landing))
        for days in first:
            self._landed(land_flights(self.origin, self.landing, *days))
        self._title("Run the pipeline: extract, clean, join, check, publish two tables in one commit")
        self._show(self._run())
        self._title("Run it again: nothing is new, so nothing is done")
        self._show(self._run())
        self._title("Land more days, and run: only the new file is read")
        self._landed(land_flights(self.origin, self.landing, *last))
        self._show(self._run())
        self._refused(last)
        quarantine = self._quarantine()
        self._title("What was published")
        results = self._query(WORST)
        self._table(results["columns"], results["rows"])
        self._end(quarantine, results)

    def _refused(self, days: Days) -> None:
        self._title("The same days are delivered twice, under another name: a rule refuses, and nothing changes")
        before = self._counts()
        again = land_flights(self.origin, self.landing, *days, name="delivered_again")
        self._landed(again)
        refused = self._run()
        self._show(refused)
        after = self._counts()
        again.unlink()
        if refused.status.value != "refused" or before != after:
            raise FatalError(
                Code.INTERNAL,
                f"the run is {refused.status.value}, rows before {before} and after {after}",
                operation="demo",
                object=PIPELINE,
                hint="please report this",
            )
        tables = ", ".join(f"{table} {count:,} rows" for table, count in after.items())
        self._say(f"  the tables are as they were: {tables}")

    def _quarantine(self) -> list[dict[str, Any]]:
        from headgate.queries.quarantine import entries, held_rows

        self._title("Rows that broke a rule were held back, with their reasons")
        with self._workspace() as workspace:
            found = [entry for entry in entries(workspace) if entry["status"] == "held"]
            columns = ("id", "rule", "rows", "status")
            self._table(columns, [[entry[column] for column in columns] for entry in found])
            rarest = min(found, key=lambda entry: entry["rows"])
            held = held_rows(workspace, rarest["id"], 3).as_dict()
        wanted = ("day", "airline", "flight", "origin", "dest", "distance", "air_time", "speed_mph", "_reasons")
        places = [held["columns"].index(name) for name in wanted if name in held["columns"]]
        self._say(f"  headgate quarantine show {rarest['id']}")
        self._table([held["columns"][i] for i in places], [[row[i] for i in places] for row in held["rows"]])
        return found

    def _end(self, quarantine: list[dict[str, Any]], results: dict[str, Any]) -> None:
        seconds = time.monotonic() - self.started
        if self.face.json:
            self.face.document(
                {
                    "folder": str(self.folder),
                    "seconds": round(seconds, 1),
                    "runs": [receipt.as_dict() for receipt in self.receipts],
                    "quarantine": quarantine,
                    "results": results,
                }
            )
            return
        published = [receipt for receipt in self.receipts if receipt.published]
        self._title("The receipt")
        self._show(published[-1])
        extracted = sum(receipt.rows.extracted for receipt in published)
        self._say(f"\n{extracted:,} flights in {seconds:.1f} s. Where to look next:")
        at = f"-C {self.folder}"
        for command in (
            f"headgate runs {at}",
            f"headgate plan {PIPELINE} {at}",
            f"headgate quarantine list {at}",
            f'headgate query "SELECT * FROM flights_clean LIMIT 10" {at}',
        ):
            self._say(f"  {command}")

    # ------------------------------------------------------------------------------------------- parts

    @contextmanager
    def _workspace(self, listeners: Sequence[Any] = ()) -> Iterator[Workspace]:
        from headgate.execute.workspace import Workspace

        with Workspace.load(self.folder, listeners=tuple(listeners)) as workspace:
            yield workspace

    def _run(self) -> Receipt:
        from headgate.commands.handle import handle
        from headgate.commands.models import RunPipeline

        with self.face.listening(self.folder) as listeners, self._workspace(listeners) as workspace:
            result = handle(RunPipeline(pipeline=PIPELINE), workspace)
        if result.value is None or (
            result.failure is not None and result.failure.code is not Code.QUALITY_CHECK_FAILED
        ):
            result.unwrap()
        assert result.value is not None
        receipt: Receipt = result.value
        self.receipts.append(receipt)
        return receipt

    def _counts(self) -> dict[str, int]:
        found = self._query(
            "SELECT (SELECT COUNT(*) FROM flights_clean) AS flights_clean,"
            " (SELECT COUNT(*) FROM daily_delays) AS daily_delays"
        )
        return dict(zip(found["columns"], found["rows"][0], strict=True))

    def _query(self, sql: str) -> dict[str, Any]:
        from headgate.queries.tables import query

        with self._workspace() as workspace:
            return query(workspace, sql).as_dict()

    def _text(self, print_it: Callable[[], None]) -> None:
        if not self.face.json:
            print_it()

    def _title(self, text: str) -> None:
        self.number += 1
        self._text(lambda: self.face.line(f"\n{self.number}. {text}", "cyan"))

    def _say(self, text: str) -> None:
        self._text(lambda: self.face.line(text))

    def _landed(self, path: Path) -> None:
        size = path.stat().st_size / 1e6
        self._say(f"  landed {path.relative_to(self.folder)} ({size:.1f} MB)")

    def _show(self, receipt: Receipt) -> None:
        self._text(lambda: show_receipt(self.face, receipt))

    def _table(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self._text(lambda: self.face.table(columns, rows))


def _batches(months: str | None) -> list[Days]:
    """What is landed when: the last entry comes after the first runs."""
    if months is None:
        return [(date(YEAR, 1, 1), date(YEAR, 1, 20)), (date(YEAR, 1, 21), date(YEAR, 1, 31))]
    first, _, last = months.partition("-")
    numbers = [int(text) for text in (first, last or first) if text.isdecimal()]
    if len(numbers) != 2 or not 1 <= numbers[0] < numbers[1] <= 12:
        raise FatalError(
            Code.USAGE, f'"{months}" is not a range of months', operation="demo", hint="write 1-12; at least two months"
        )
    return [month(number) for number in range(numbers[0], numbers[1] + 1)]


def _project(folder: Path | None) -> Path:
    """A folder with the example's project in it."""
    made = Path(tempfile.mkdtemp(prefix="headgate-demo-")) if folder is None else folder.resolve()
    if made.is_dir() and any(made.iterdir()):
        raise FatalError(
            Code.USAGE,
            "the folder is not empty",
            operation="demo",
            object=str(made),
            hint="choose an empty one: --dir DIR",
        )
    template = resources.files("headgate.demo") / "project"
    for name in FILES:
        target = made / name
        with files.told("demo", target):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text((template / name).read_text(encoding="utf-8"), encoding="utf-8")
    return made
