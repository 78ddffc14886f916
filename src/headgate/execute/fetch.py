"""Groups that a server makes come in place of the rows: through a file of the run's folder, so that nothing came until
all did, and the engine can still do it all."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from headgate.core.contracts import FileScan, Scan, SourceSchema
from headgate.core.errors import FatalError
from headgate.core.events import Step, shortened
from headgate.core.sites import SOURCE, Outlet, SitedSource
from headgate.execute.context import PassResult, Run
from headgate.execute.move import ROWS_AT_FAULT, counting, scan_of
from headgate.execute.split import Tally
from headgate.io.parquet import ParquetFile
from headgate.plan.flags import GROUP
from headgate.plan.stages import Check, Fetch, Transform
from headgate.sql.literals import quote_name
from headgate.sql.postgres import declared
from headgate.sql.types import parse_type

if TYPE_CHECKING:
    import pyarrow as pa

_log = logging.getLogger("headgate.fetch")
_BATCH_ROWS = 100_000


def fetch(run: Run, stage: Fetch) -> tuple[Scan, int] | None:
    """The groups, and of how many rows the source has; None when the stages that follow must make them.

    The result of the pass that is left out and the source's position are left in ``run``.
    """
    if run.request.trial or run.request.replay:
        return None
    source = run.workspace.source(run.pipeline.source_endpoint(0))
    assert isinstance(source, SitedSource)
    assert run.window is not None
    with run.emitter.during(Step.SCAN, relation=stage.reads, object=scan_of(run, stage.reads).object) as outcome:
        outlet = source.outlet(run.pipeline.sources[0], run.context, run.window, scan_of(run, stage.reads).reads)
        try:
            statement = _select(stage)
            outcome["query"] = shortened(outlet.statement(statement))
            asked = stage.where or stage.proofs
            counts: Sequence[int] = outlet.rows(counting(stage.where, stage.proofs))[0] if asked else ()
            file, grouped = _written(run, stage, outlet, statement)
            seen, *dropped = [int(count) for count in counts[: 1 + len(stage.where)]] or [grouped]
            outcome["rows"] = file.rows
        except FatalError as error:
            if error.code not in ROWS_AT_FAULT:
                raise
            _log.info("the engine makes the groups, because the server refused: %s", error.message)
            return None
        finally:
            outlet.close()
    run.positions[0] = outlet.position()
    if stage.before:
        run.passes.append(_left_out(run, stage, seen, dropped))
    return Scan(SourceSchema(file.schema), files=FileScan("parquet", (str(file.path),))), seen


def _select(stage: Fetch) -> str:
    columns = ", ".join(f"{_wire(value, type_)} AS {quote_name(name)}" for name, value, type_ in stage.columns)
    return f"SELECT {columns}, count(*) AS {quote_name(GROUP)} FROM {quote_name(SOURCE)}{stage.clauses}"


def _wire(value: str, type_: str) -> str:
    """Decimals travel as text, which the pass casts: the driver has no other way."""
    wanted = parse_type(type_)
    text = f"CAST({value} AS {declared(wanted)})"
    return f"CAST({text} AS text)" if wanted.family == "decimal" else text


def _written(run: Run, stage: Fetch, outlet: Outlet, statement: str) -> tuple[ParquetFile, int]:
    """The groups in a file, and of how many rows they are."""
    import pyarrow.compute as pc

    schema, rows = _schema(run, stage), 0
    folder = run.workdir / "fetched"
    folder.mkdir(parents=True, exist_ok=True)
    file = ParquetFile(folder / "groups.parquet", schema, compression="lz4")
    try:
        for batch in outlet.batches(statement, schema, _BATCH_ROWS):
            file.write(batch)
            rows += pc.sum(batch.column(GROUP)).as_py() or 0
    except BaseException:
        file.abort()
        raise
    file.close()
    return file, rows


def _schema(run: Run, stage: Fetch) -> pa.Schema:
    import pyarrow as pa

    from headgate.core.engines import Column

    binder = run.workspace.binder()
    found = binder.arrow(tuple(Column(name, type_) for name, _, type_ in stage.columns))
    fields = [pa.field(item.name, pa.string() if pa.types.is_decimal(item.type) else item.type) for item in found]
    return pa.schema([*fields, pa.field(GROUP, pa.int64())])


def _left_out(run: Run, stage: Fetch, seen: int, dropped: list[int]) -> PassResult:
    """What became of the single rows, which nobody saw."""
    stages = run.plan.stages
    tally = Tally(seen=seen, good=seen - sum(dropped), measured=False)
    tally.dropped = Counter({code: count for code, count in enumerate(dropped, 1) if count})
    return PassResult(
        next(s for s in stages if isinstance(s, Transform) and s.relation == stage.before),
        next(s for s in stages if isinstance(s, Check) and s.relation == stage.before),
        seen,
        tally,
    )
