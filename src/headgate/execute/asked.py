"""A pass that loads nothing, asked rule by rule: each query reads only its columns, and skips what statistics exclude.

Only rows that break a rule come by; the others are counted by the files' own numbers.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from headgate.core.contracts import FileScan
from headgate.execute.context import PassResult, Run
from headgate.execute.split import Splitter
from headgate.plan.stages import NULLS, Check, Keep, Transform
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    from collections.abc import Sequence

ENGINE_ROWS = 32_768


def asked(run: Run, transform: Transform, check: Check, keeps: Sequence[Keep]) -> bool:
    """Judge the rows of the main source by queries; False where the rows must come by one after the other."""
    known = _known(run, transform, check)
    if known is None or any(keep.numbered for keep in keeps):
        return False
    rows, nulls = known
    assert run.session is not None
    assert run.held is not None
    reads = quote_name(transform.reads)
    broken = [sql for _, sql in check.broken if run.session.rows(f"SELECT COUNT(*) FROM {reads} WHERE {sql}")[0][0]]
    where = " OR ".join(f"({sql})" for sql in broken) or "FALSE"
    # the condition stands beside the source's rows, where a reader can use it
    reader = run.session.stream(_narrowed(transform, where), ENGINE_ROWS)
    names = [item.name for item in transform.columns]
    shown = {rule.name: tuple(dict.fromkeys((*check.keys, *rule.columns))) for rule in check.rules}
    splitter = Splitter(transform.verdict, names, reader.schema, (), shown)
    held_nulls: Counter[str] = Counter()
    for batch in reader:
        _, held, noted = splitter.split(batch)
        for one in held:
            run.held.take(transform.relation, one, replayable=False)
            for name in names:
                held_nulls[name] += one.rows.column(name).null_count
        for evidence in noted:
            run.held.note(transform.relation, evidence)
    tally = splitter.tally
    tally.good += rows - tally.seen
    tally.seen = rows
    tally.nulls = Counter({name: nulls[name] - held_nulls[name] for name in names if nulls[name] - held_nulls[name]})
    alive = "" if not tally.held else f" WHERE {' AND '.join(f'{name} = 0' for name in transform.verdict.mask_columns)}"
    for keep in keeps:
        columns = [quote_name(name) for name in (*keep.columns, *keep.notes)]
        columns += [f"{quote_name(name)} IS NULL AS {NULLS}{index}" for index, name in enumerate(keep.missing)]
        judged = f"({transform.sql})" if alive or keep.notes else reads
        run.session.define(keep.spool, f"SELECT {', '.join(columns)} FROM {judged}{alive}")
    run.passes.append(PassResult(transform, check, rows, tally))
    return True


def _narrowed(transform: Transform, where: str) -> str:
    """The pass over those rows only."""
    import sqlglot
    from sqlglot import exp

    query = sqlglot.parse_one(transform.sql, dialect="duckdb")
    for table in list(query.find_all(exp.Table)):
        if table.name == transform.reads:
            inner = sqlglot.parse_one(f"SELECT * FROM {quote_name(transform.reads)} WHERE {where}", dialect="duckdb")
            assert isinstance(inner, exp.Select)
            table.replace(inner.subquery(table.alias_or_name))
    return query.sql("duckdb")


def _known(run: Run, transform: Transform, check: Check) -> tuple[int, Counter[str]] | None:
    """Rows and NULLs by column, where the files say them and every rule can be asked alone."""
    files = run.scans[0].files if run.scans else None
    flags = len(transform.verdict.holds) + len(transform.verdict.notes)
    simple = run.request.only_check and files is not None and files.format == "parquet" and not run.request.replay
    if not simple or files is None or len(check.broken) != flags or transform.verdict.drops or not check.broken:
        return None
    return _counted(files, [item.name for item in transform.columns])


def _counted(files: FileScan, names: Sequence[str]) -> tuple[int, Counter[str]] | None:
    import pyarrow.parquet as pq

    rows, nulls = 0, Counter[str]()
    for path in files.paths:
        metadata = pq.read_metadata(path)
        rows += metadata.num_rows
        found = 0
        for group in range(metadata.num_row_groups):
            for place in range(metadata.num_columns):
                column = metadata.row_group(group).column(place)
                if column.path_in_schema in names:
                    statistics = column.statistics
                    if statistics is None or statistics.null_count is None:
                        return None
                    nulls[column.path_in_schema] += statistics.null_count
                    found += 1
        if found != len(names) * metadata.num_row_groups:
            return None
    return rows, nulls
