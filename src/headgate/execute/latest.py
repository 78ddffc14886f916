"""Changes on their way into the engine: set aside until all are there, then the last of each key.

The engine is given keys and places only, and tells which are last. Were it given the rows, it would have to hold all of
them, and its vectors of 2,048 rows each, however wide they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from headgate.core.contracts import Scan as OpenScan
from headgate.core.contracts import SourceSchema
from headgate.core.events import Step
from headgate.execute.context import Run
from headgate.execute.widths import ENGINE_ROWS, Widths
from headgate.io.aside import SetAside
from headgate.plan.changes import ORDER
from headgate.plan.stages import Scan
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import pyarrow as pa

PLACES = "_hg_places"
"""The relation of keys and places, while they are looked at."""


class Latest:
    """The changes of a scan of which the last of each key counts, or all if the plan names no keys.

    Args:
        run: whose engine is there.
        stage: the scan in the plan.
        opened: the scan itself, of which everything is read here.
        widths: learns how wide the rows are.
    """

    def __init__(self, run: Run, stage: Scan, opened: OpenScan, widths: Widths) -> None:
        assert opened.batches is not None, "changes come as batches"
        self._schema, self._incoming, self._widths = opened.schema.raw, opened.batches, widths
        self._left_out = 0
        self._lasting: pa.Array[Any] | None = None
        folder = run.workdir / "aside"
        folder.mkdir(parents=True, exist_ok=True)
        self._aside = SetAside(folder / f"{stage.relation}.arrow", self._schema)
        with run.emitter.during(Step.SPOOL, relation=stage.relation) as outcome:
            try:
                self._look(run, stage, opened)
            finally:
                self._aside.close()
            outcome["rows"] = self._aside.rows

    def _look(self, run: Run, stage: Scan, opened: OpenScan) -> None:
        """Set everything aside. What is last is known when the last change was seen."""
        import pyarrow as pa

        if not stage.latest:
            for _ in self._stored():
                pass
            return
        assert run.session is not None
        names = [*stage.latest, ORDER]
        schema = pa.schema([self._schema.field(name) for name in names])
        places = pa.RecordBatchReader.from_batches(schema, (batch.select(names) for batch in self._stored()))
        run.session.register(PLACES, OpenScan(SourceSchema(schema), batches=places, cancel=opened.cancel))
        groups = ", ".join(map(quote_name, stage.latest))
        last = f"SELECT max({quote_name(ORDER)}) FROM {quote_name(PLACES)} GROUP BY {groups}"
        self._lasting, lasting = _marked(run.session.stream(last, ENGINE_ROWS), self._aside)
        self._left_out = self._aside.rows - lasting

    def _stored(self) -> Iterator[pa.RecordBatch]:
        """Every batch, once it is set aside."""
        for batch in self._incoming:
            self._widths.see(batch.num_rows, batch.nbytes)
            self._aside.write(batch)
            yield batch

    def left_out(self) -> Sequence[int]:
        """How many changes were replaced by a later one of their key."""
        return [self._left_out]

    def reader(self) -> pa.RecordBatchReader:
        """What counts, in its order."""
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(self._schema, self._counting())

    def _counting(self) -> Iterator[pa.RecordBatch]:
        place = 0
        for batch in self._aside.batches():
            kept = batch if self._lasting is None else batch.filter(self._lasting.slice(place, batch.num_rows))
            place += batch.num_rows
            if kept.num_rows:
                yield kept


def _marked(places: pa.RecordBatchReader, aside: SetAside) -> tuple[pa.Array[Any], int]:
    """Which rows have a place that is among the given ones, a bit a row, and how many they are."""
    import pyarrow as pa

    marks, count = bytearray(), 0
    for batch in places:  # comes when everything was seen
        marks = marks or bytearray((aside.rows + 7) // 8)
        count += batch.num_rows
        last = cast("list[int]", batch.column(0).to_pylist())
        for place in last:
            marks[place >> 3] |= 1 << (place & 7)
    return pa.Array.from_buffers(pa.bool_(), aside.rows, [None, pa.py_buffer(marks)]), count
