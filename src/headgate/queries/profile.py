"""Profiles: what columns hold, in one scan and bounded memory; distinct values, quantiles and frequent ones roughly."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from headgate.core.errors import Code, FatalError, nearest
from headgate.core.values import column_values, plain
from headgate.execute.workspace import LAKE, Workspace
from headgate.queries.tables import reading
from headgate.sql.literals import quote_name
from headgate.sql.types import parse_type

BINS = 16
TOP = 5
_NUMBERS = ("integer", "decimal", "float")
_ORDERED = (*_NUMBERS, "date", "timestamp", "timestamptz")


@dataclass(frozen=True)
class ColumnProfile:
    """One column. ``histogram``: shares of equal widths between ``low`` and ``high``; ``top``: frequent values.

    ``distinct``: None for lists, structs and maps, whose values are not counted.
    """

    name: str
    type: str
    nulls: int = 0
    distinct: int | None = None
    min: Any = None
    max: Any = None
    mean: float | None = None
    stddev: float | None = None
    median: Any = None
    shortest: int | None = None
    longest: int | None = None
    empty: int | None = None
    zeros: int | None = None
    histogram: tuple[float, ...] = ()
    top: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Profile:
    """A table, column by column."""

    table: str
    rows: int
    columns: tuple[ColumnProfile, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, with the shares of NULLs and distinct values worked out."""
        document: dict[str, Any] = plain(asdict(self))
        for column in document["columns"]:
            filled = self.rows - column["nulls"]
            column["null_percentage"] = round(100 * column["nulls"] / self.rows, 4) if self.rows else 0.0
            counted = column["distinct"]
            share = round(100 * counted / filled, 4) if counted and filled else 0.0
            column["distinct_percentage"] = None if counted is None else share
        return document


def profile(workspace: Workspace, name: str, *, connection: str | None = None, at: str | None = None) -> Profile:
    """Profile what a pipeline's first target holds, or a table of the lake or of a connection.

    Raises:
        FatalError: NOT_FOUND when there is neither such a pipeline nor such a table.
    """
    table, connection = _table(workspace, name, connection)
    quoted = ".".join(quote_name(part) for part in table.split("."))
    with reading(workspace, f"SELECT * FROM {quoted} LIMIT 0", at=at, connection=connection) as reader:
        schema = reader.schema
    binder = workspace.binder()
    columns = binder.columns(schema)
    asked = [(item.name, item.type, _asked(item.name, item.type)) for item in columns]
    selected = ", ".join(["COUNT(*)", *(value for _, _, values in asked for value in values.values())])
    with reading(workspace, f"SELECT {selected} FROM {quoted}", at=at, connection=connection) as reader:
        rows, *found = next(iter(zip(*(column_values(column) for column in reader.read_all().columns), strict=True)))
    values = iter(found)
    return Profile(
        name,
        rows,
        tuple(_profiled(column, type_, rows, {key: next(values) for key in wanted}) for column, type_, wanted in asked),
    )


def _table(workspace: Workspace, name: str, connection: str | None) -> tuple[str, str | None]:
    """The table behind a name: that of a pipeline's first target, unless a connection is named."""
    if connection is None and name in workspace.project.pipelines:
        pipeline = workspace.project.pipeline(name)
        target, endpoint = pipeline.targets[0], pipeline.target_endpoint(0)
        return target.table, None if endpoint.name == LAKE else endpoint.name
    if connection is None and name not in workspace.store(workspace.lake()).tables():
        known = [*workspace.project.pipelines, *workspace.store(workspace.lake()).tables()]
        raise FatalError(
            Code.NOT_FOUND,
            f'"{name}" is neither a pipeline nor a table of the lake',
            operation="profile",
            object=name,
            hint=nearest(name, known) or "name the connection of the table with --connection",
        )
    return name, connection


def _asked(name: str, type_: str) -> dict[str, str]:
    """Aggregates of one column, by what they are."""
    column, family = quote_name(name), parse_type(type_).family
    found = {"filled": f"COUNT({column})"}
    if family == "other":
        return found
    found["distinct"] = f"APPROX_COUNT_DISTINCT({column})"
    if family == "binary":
        return found
    found |= {"min": f"MIN({column})", "max": f"MAX({column})"}
    if family in _NUMBERS:
        value = f"CAST({column} AS DOUBLE)"
        finite = f"FILTER (WHERE ISFINITE({value}))"
        found |= {
            "mean": f"AVG({value}) {finite}",
            "stddev": f"STDDEV_SAMP({value}) {finite}",
            "zeros": f"CAST(COUNT_IF({column} = 0) AS BIGINT)",
            "quantiles": f"APPROX_QUANTILE({value}, {_steps()}) {finite}",
        }
    elif family in _ORDERED:
        value = f"CAST(EPOCH(CAST({column} AS TIMESTAMP)) AS DOUBLE)"
        found["quantiles"] = f"APPROX_QUANTILE({value}, {_steps()}) FILTER (WHERE ISFINITE({column}))"
    elif family == "text":
        value = f"CAST({column} AS VARCHAR)"  # a UUID is told as a text, and has no length of its own
        found |= {
            "shortest": f"MIN(LENGTH({value}))",
            "longest": f"MAX(LENGTH({value}))",
            "empty": f"CAST(COUNT_IF({value} = '') AS BIGINT)",
            "top": f"APPROX_TOP_K({value}, {TOP})",
        }
    elif family == "boolean":
        found["top"] = f"APPROX_TOP_K({column}, 2)"
    return found


def _steps() -> str:
    return "[" + ", ".join(f"{number / (4 * BINS):.6f}" for number in range(4 * BINS + 1)) + "]"


def _profiled(name: str, type_: str, rows: int, found: dict[str, Any]) -> ColumnProfile:
    filled = found.pop("filled")
    quantiles = [value for value in found.pop("quantiles", None) or () if value is not None]
    more: dict[str, Any] = {key: value for key, value in found.items() if value is not None}
    for key in ("mean", "stddev"):
        if key in more and not math.isfinite(more[key]):
            del more[key]
    if quantiles and parse_type(type_).family in _NUMBERS:
        more["median"] = quantiles[len(quantiles) // 2]
    if "distinct" in more:
        more["distinct"] = min(more["distinct"], filled)
    more["top"] = tuple(more.get("top", ()))
    return ColumnProfile(name, type_, rows - filled, histogram=histogram(quantiles), **more)


def histogram(quantiles: Sequence[float], bins: int = BINS) -> tuple[float, ...]:
    """Shares of the rows in bins of equal width, from evenly spaced quantiles, the smallest and largest among them."""
    if len(quantiles) < 2:
        return ()
    ordered = sorted(quantiles)
    low, high = ordered[0], ordered[-1]
    if low == high or not math.isfinite(high - low):
        return (1.0,)
    shares = [0.0] * bins
    each = 1 / (len(ordered) - 1)
    for begin, end in itertools.pairwise(ordered):
        first, last = ((value - low) / (high - low) * bins for value in (begin, end))
        if int(first) == int(last) or last == first:
            shares[min(int(first), bins - 1)] += each
            continue
        for place in range(int(first), min(int(last), bins - 1) + 1):
            covered = min(last, place + 1) - max(first, place)
            shares[place] += each * covered / (last - first)
    return tuple(round(share, 6) for share in shares)
