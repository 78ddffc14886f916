"""A pass that loads nothing, asked rule by rule: each query reads only its columns, and skips what statistics exclude.

Only rows that break a rule come by; the others are counted by the files' own numbers.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headgate.core.contracts import FileScan
from headgate.core.engines import EngineSession
from headgate.execute.context import PassResult, Run
from headgate.execute.split import Splitter
from headgate.plan.flags import NULLS
from headgate.plan.stages import Check, Keep, Transform
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TOGETHER = 32
"""Conditions in one statement: each reads its columns through a buffer of its own."""


@dataclass(frozen=True)
class Known:
    """What footers say: rows, NULLs by column, and columns with few values (they are coded in two bytes or less)."""

    rows: int
    nulls: Counter[str]
    few: frozenset[str]


def asked(run: Run, transform: Transform, check: Check, keeps: Sequence[Keep], rows_at_once: Callable[[], int]) -> bool:
    """Judge the rows of the main source by queries; False where the rows must come by one after the other."""
    known = _known(run, transform, check)
    if known is None or any(keep.numbered for keep in keeps):
        return False
    rows, nulls = known.rows, known.nulls
    assert run.session is not None
    assert run.held is not None
    reads = quote_name(transform.reads)
    beside = threading.Thread(target=_ready, name="headgate-imports", daemon=True)
    beside.start()
    broken = _broken(run.session, transform, check, known)
    where = " OR ".join(f"({sql})" for _, sql in broken) or "FALSE"
    # the condition stands beside the source's rows, where a reader can use it
    reader = run.session.stream(_narrowed(transform, where), rows_at_once())
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
    holding = {flag.name for flag in transform.verdict.holds}
    good = " AND ".join(f"({sql}) IS NOT TRUE" for name, sql in broken if name in holding) or "TRUE"
    noting = any(name not in holding for name, _ in broken)
    for keep in keeps:
        columns = [quote_name(name) for name in keep.columns]
        # what nobody breaks is not computed again for each row: the engine would not leave it out
        columns += [quote_name(name) if noting else f"0::BIGINT AS {quote_name(name)}" for name in keep.notes]
        columns += [f"{quote_name(name)} IS NULL AS {NULLS}{index}" for index, name in enumerate(keep.missing)]
        judged = _narrowed(transform, good) if keep.notes and noting else f"SELECT * FROM {reads} WHERE {good}"
        run.session.define(keep.spool, f"SELECT {', '.join(columns)} FROM ({judged})")
    run.passes.append(PassResult(transform, check, rows, tally, within=transform.reads))
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


def _ready() -> None:
    """Import what splits rows while the engine counts: it needs no Python."""
    with suppress(ImportError):  # told where it is used
        import pyarrow.compute  # noqa: F401


def _broken(session: EngineSession, transform: Transform, check: Check, known: Known) -> list[tuple[str, str]]:
    """The rules that some row breaks, with their conditions, found in as few statements as memory allows.

    What the engine cannot tell from statistics is computed for each value instead of each row, where a column has few:
    a condition gives the same for equal values, so a value breaks it if and only if its rows do.
    """
    reads = quote_name(transform.reads)
    by_value = {item.name for item in transform.columns if item.name in known.few and _exact(item.type)}
    columns = {rule.name: rule.columns for rule in check.rules}
    asked = []
    for place, (name, sql) in enumerate(check.broken):
        of = columns.get(name, ())
        rows = reads
        if len(of) == 1 and of[0] in by_value and _computes(sql):
            rows = f"(SELECT {quote_name(of[0])} FROM {reads} GROUP BY ALL)"
        asked.append(f"SELECT {place} AS place, COUNT(*) AS broken FROM {rows} WHERE {sql}")
    parts = [asked[start : start + TOGETHER] for start in range(0, len(asked), TOGETHER)]
    found = {place for part in parts for place, count in session.rows(" UNION ALL ".join(part)) if count}
    return [rule for place, rule in enumerate(check.broken) if place in found]


def _exact(type_: str) -> bool:
    """Whether equal values are the same value: 0.0 and -0.0 are equal, and not the same."""
    return type_.partition("(")[0] in ("VARCHAR", "DATE", "BOOLEAN", "DECIMAL", "SMALLINT", "INTEGER", "BIGINT")


def _computes(sql: str) -> bool:
    """Whether a condition does more than compare a column with values, which statistics of the file answer."""
    import sqlglot
    from sqlglot import exp

    costly = (exp.Func, exp.RegexpLike, exp.Like, exp.ILike, exp.SimilarTo, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod)
    plain = (exp.And, exp.Or, exp.Cast)
    tree = sqlglot.parse_one(sql, dialect="duckdb")
    return any(not isinstance(node, plain) for node in tree.find_all(*costly))


def _known(run: Run, transform: Transform, check: Check) -> Known | None:
    """What the files say of themselves, where every rule can be asked alone."""
    files = run.scans[0].files if run.scans else None
    flags = len(transform.verdict.holds) + len(transform.verdict.notes)
    simple = run.request.only_check and files is not None and files.format == "parquet" and not run.request.replay
    if not simple or files is None or len(check.broken) != flags or transform.verdict.drops or not check.broken:
        return None
    return _counted(files, [item.name for item in transform.columns])


def _counted(files: FileScan, names: Sequence[str]) -> Known | None:
    import pyarrow.parquet as pq

    rows, nulls, few = 0, Counter[str](), set(names)
    wanted = frozenset(names)
    for path in files.paths:
        metadata = pq.read_metadata(path)
        rows += metadata.num_rows
        places = [at for at in range(metadata.num_columns) if metadata.schema.column(at).path in wanted]
        if len(places) != len(wanted):
            return None
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            for place in places:
                column = group.column(place)
                statistics = column.statistics
                if statistics is None or statistics.null_count is None:
                    return None
                name = column.path_in_schema
                nulls[name] += statistics.null_count
                if not column.has_dictionary_page or column.total_uncompressed_size > 2 * column.num_values:
                    few.discard(name)
    return Known(rows, nulls, frozenset(few))
