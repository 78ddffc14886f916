"""Python steps: the user's function between two Arrow streams, on batches or on the whole table."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from headgate.core.engines import Column, TypeBinder
from headgate.core.errors import Code, FatalError
from headgate.core.values import row_values
from headgate.execute.hiding import shown
from headgate.execute.returned import fit, known_types
from headgate.plan.flags import NUMBER
from headgate.sql.shapes import Call

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from headgate.execute.distinct import FailingRows
    from headgate.plan.checks import CallCheck


def judge_of(reference: str, root: Path) -> Callable[..., Any]:
    """The function that a step or rule names: the user's own, or one that a kind of rule makes."""
    from headgate.core.registry import PackageRegistry
    from headgate.io.userland import load_function

    kind, made, what = reference.partition("=")
    if not made:
        return load_function(reference, root)
    function: Callable[..., Any] = PackageRegistry().module("quality", kind).judge(what, root)
    return function


def probe_judge(reference: str, root: Path, columns: Sequence[Column] = ()) -> str:
    """The fingerprint of the function of a rule, if there is such a function and it can judge rows of the columns."""
    from headgate.core.registry import PackageRegistry
    from headgate.io.userland import source_hash

    judge_of(reference, root)
    kind, made, what = reference.partition("=")
    if not made:
        return source_hash(reference, root)
    module = PackageRegistry().module("quality", kind)
    module.check(what, root, [item.name for item in columns])
    return str(module.digest(what, root))


def probe_call(call: Call, columns: Sequence[Column], binder: TypeBinder, root: Path) -> tuple[tuple[Column, ...], str]:
    """The columns a step gives: those declared, or what the function makes of a table without rows."""
    digest = probe_judge(call.function, root, columns)
    if call.columns:
        return tuple(Column(name, kind) for name, kind in call.columns.items()), digest
    empty = binder.arrow(columns).empty_table()
    result = _call(judge_of(call.function, root), empty, call.function, root)
    return binder.columns(known_types(result.schema, empty.schema)), digest


def run_call(
    call: Call,
    reader: pa.RecordBatchReader,
    schema: pa.Schema,
    root: Path,
    hidden: Collection[str] = (),
    place: str = "",
) -> pa.RecordBatchReader:
    """The step's output as a stream with ``schema``. ``scope: table`` holds all rows in memory, as the user asked.

    ``place``: the step and where it is written, for messages.
    """
    import pyarrow as pa

    from headgate.io.userland import load_function

    function = load_function(call.function, root)
    told = f"{call.function} ({place})" if place else call.function

    def batches() -> Iterator[pa.RecordBatch]:
        if call.scope == "table":
            made = _call(function, reader.read_all(), told, root, hidden)
            yield from fit(made, schema, told).to_batches()
            return
        for batch in reader:
            table = pa.Table.from_batches([batch])
            yield from fit(_call(function, table, told, root, hidden), schema, told).to_batches()

    return pa.RecordBatchReader.from_batches(schema, batches())


def _call(
    function: Callable[..., Any], rows: pa.Table, reference: str, root: Path, hidden: Collection[str] = ()
) -> pa.Table:
    """Call with what the first parameter is annotated with (Arrow by default), and take back any of the three."""
    from headgate.io.userland import user_error

    try:
        return _to_arrow(function(_given(function, rows)), reference)
    except FatalError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's code raises becomes one clear error
        hint = "the function must also work on a table without rows, or declare columns:"
        if rows.num_rows:
            hint = f"the first row for which it fails: {_shown(_culprit(function, rows), hidden)}"
        raise FatalError(
            Code.TRANSFORMATION_FAILED, user_error(error, root), operation="transform", object=reference, hint=hint
        ) from error


def _culprit(function: Callable[..., Any], rows: pa.Table) -> pa.Table:
    """The first row that makes the function raise, by halves; the first of all if it takes several to do so."""
    whole = rows
    while rows.num_rows > 1:
        middle = rows.num_rows // 2
        found = next((half for half in (rows.slice(0, middle), rows.slice(middle)) if _raises(function, half)), None)
        if found is None:
            return whole.slice(0, 1)
        rows = found
    return rows


def _raises(function: Callable[..., Any], rows: pa.Table) -> bool:
    try:
        function(_given(function, rows))
    except (Exception, SystemExit):  # noqa: BLE001 - the error itself is told by the caller
        return True
    return False


def _shown(row: pa.Table, hidden: Collection[str]) -> str:
    told = shown(row_values(row)[0], hidden)
    values = ", ".join(f"{name}={value!r}" for name, value in told.items() if value is not None)
    return values if len(values) <= 300 else values[:297] + "..."


def _given(function: Callable[..., Any], rows: pa.Table) -> Any:
    kind = _annotation(function)
    if "polars" in kind or kind.startswith("pl."):
        import polars

        return polars.from_arrow(rows)
    if "pandas" in kind or kind.startswith("pd."):
        return _frame(rows)
    return rows


def _frame(rows: pa.Table) -> Any:
    """A pandas frame with whole numbers of its nullable types: beside NULL, NumPy's are doubles, and other numbers."""
    import pandas  # type: ignore[import-untyped]
    import pyarrow as pa

    whole = {pa.int8(): "Int8", pa.int16(): "Int16", pa.int32(): "Int32", pa.int64(): "Int64"}
    whole |= {pa.uint8(): "UInt8", pa.uint16(): "UInt16", pa.uint32(): "UInt32", pa.uint64(): "UInt64"}

    def nullable(type_: pa.DataType) -> Any:
        return pandas.api.types.pandas_dtype(whole[type_]) if type_ in whole else None

    return rows.to_pandas(types_mapper=nullable, integer_object_nulls=True)


def _annotation(function: Callable[..., Any]) -> str:
    """What the first parameter is annotated with; a name that is imported for type checkers only, as it is written."""
    try:
        signature = inspect.signature(function, eval_str=True)
    except (NameError, AttributeError, TypeError, SyntaxError):
        signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    return str(parameters[0].annotation).strip("'\"") if parameters else ""


def _to_arrow(result: Any, reference: str) -> pa.Table:
    import pyarrow as pa

    if isinstance(result, pa.Table):
        return result
    if isinstance(result, pa.RecordBatch):
        return pa.Table.from_batches([result])
    kind = type(result).__module__.partition(".")[0]
    if kind == "polars":
        table: pa.Table = result.to_arrow()
        return table
    if kind == "pandas":
        return pa.Table.from_pandas(result, preserve_index=False)
    raise FatalError(
        Code.TRANSFORMATION_FAILED,
        f"it returned a {type(result).__name__}",
        operation="transform",
        object=reference,
        hint="return a pyarrow table, or a Polars or pandas frame",
    )


def judge_rows(
    check: CallCheck, reader: pa.RecordBatchReader, root: Path, most: int, failing: FailingRows
) -> tuple[int, int, list[Any]]:
    """Ask a function which rows hold: (failing rows, rows judged, the first failing rows).

    It gives a truth value a row (NULL passes), or one for all the rows that it was given. ``failing`` takes the numbers
    of failing rows, if the reader has such a column.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from headgate.io.userland import user_error

    function = judge_of(check.function, root)
    failed = judged = 0
    sample: list[Any] = []
    tables = [reader.read_all()] if check.scope == "table" else (pa.Table.from_batches([one]) for one in reader)
    for rows in tables:
        judged += rows.num_rows
        numbers = rows.column(NUMBER) if NUMBER in rows.column_names else None
        rows = rows.drop_columns(NUMBER) if numbers is not None else rows
        try:
            holds = _truths(function(_given(function, rows)), rows.num_rows, check.function)
        except FatalError:
            raise
        except (Exception, SystemExit) as error:  # whatever the user's code raises becomes one clear error
            raise FatalError(
                Code.TRANSFORMATION_FAILED, user_error(error, root), operation="check", object=check.function
            ) from error
        if isinstance(holds, bool):
            failed += 0 if holds else max(rows.num_rows, 1)
            if numbers is not None and not holds and rows.num_rows:
                failing.add(numbers)
            continue
        hit = pc.equal(holds, pa.scalar(value=False))
        broken = rows.filter(hit)
        if numbers is not None and broken.num_rows:
            failing.add(numbers.filter(hit))
        failed += broken.num_rows
        sample += row_values(broken.slice(0, max(most - len(sample), 0)))
    return failed, judged, sample


def _truths(result: Any, rows: int, reference: str) -> pa.Array[Any] | bool:
    import pyarrow as pa

    if isinstance(result, bool):
        return result
    if type(result).__module__.partition(".")[0] == "polars":
        result = result.to_arrow()
    try:
        holds = result.combine_chunks() if isinstance(result, pa.ChunkedArray) else result
        if not isinstance(holds, pa.Array):
            holds = pa.array(holds, from_pandas=True)
        if pa.types.is_null(holds.type):  # no value at all says no type
            holds = holds.cast(pa.bool_())
        if pa.types.is_boolean(holds.type) and len(holds) == rows:
            return holds
        found = f"{len(holds)} values of type {holds.type} for {rows} rows"
    except (pa.ArrowException, TypeError, ValueError):
        found = f"a {type(result).__name__}"
    raise FatalError(
        Code.TRANSFORMATION_FAILED,
        f"it returned {found}",
        operation="check",
        object=reference,
        hint="return True or False for each row (an Arrow, Polars or pandas column, or a list), or one for all rows",
    )
