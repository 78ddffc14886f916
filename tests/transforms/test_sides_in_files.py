"""What joins, referential and compare look up in files, in real runs."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.often import whole_runs
from tests.plan.projects import SmallProject
from tests.tables import COLUMNS, NAMES, ROWS, TABLES, Row, arrow, keys

from headgate.core.errors import Code

HOWS = st.sampled_from(["left", "inner", "right", "outer", "semi", "anti"])


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    """Tables that are the same but for their order, or share rows, or have nothing of each other."""
    rows = draw(TABLES)
    shared = st.sampled_from(rows) if rows else ROWS
    other = draw(st.one_of(st.permutations(rows), st.lists(st.one_of(ROWS, shared), max_size=8), TABLES))
    return rows, list(other)


def as_in_csv(row: Row, *, typed: bool) -> Row:
    """An empty cell is NULL there, words are no numbers, and a fraction is a double unless types say other."""

    def lost(value: Any) -> bool:
        if isinstance(value, float):
            return not math.isfinite(value)
        return value == "" or (not typed and isinstance(value, Decimal) and len(value.as_tuple().digits) > 15)

    return tuple(None if lost(value) else value for value in row)


def cell(value: Any) -> str:
    return "" if value is None else '"' + value.replace('"', '""') + '"' if isinstance(value, str) else str(value)


def write(path: Path, rows: Sequence[Row], number: str, first: int = 0) -> None:
    """A file with a column more that numbers the rows."""
    path.parent.mkdir(exist_ok=True)
    numbered = [(*row, first + place) for place, row in enumerate(rows)]
    if path.suffix == ".csv":
        lines = [[*COLUMNS, number], *([cell(value) for value in row] for row in numbered)]
        path.write_text("".join(",".join(line) + "\n" for line in lines), encoding="utf-8")
    else:
        pq.write_table(arrow(numbered, **{number: pa.int64()}), path)


def joined(mine: list[Row], theirs: list[Row], how: str) -> list[tuple[int | None, int | None]]:
    """Numbers of rows that stand beside each other."""
    met = [
        (here, there)
        for here, one in enumerate(mine)
        for there, other in enumerate(theirs)
        if None not in one and one == other
    ]
    left, right = {here for here, _ in met}, {there for _, there in met}
    alone: list[tuple[int | None, int | None]] = [(here, None) for here in range(len(mine)) if here not in left]
    others: list[tuple[int | None, int | None]] = [(None, there) for there in range(len(theirs)) if there not in right]
    match how:
        case "semi":
            return [(here, None) for here in sorted(left)]
        case "anti":
            return alone
        case _:
            return [*met, *(alone if how in ("left", "outer") else []), *(others if how in ("right", "outer") else [])]


@whole_runs
@for_all(pairs(), NAMES, HOWS, st.sampled_from(["csv", "typed csv", "parquet"]), st.integers(0, 9))
def test_what_is_in_files_is_found_as_in_a_table(
    folder: Path, sides: tuple[list[Row], list[Row]], names: list[str], how: str, kind: str, cut: int
) -> None:
    """Unless types say other, a column of CSV that has no value is text, and one with fractions holds doubles, which
    are no decimals."""
    types = {name: COLUMNS[name] for name in names} if kind == "typed csv" else {}
    kind = kind.removeprefix("typed ")
    rows, other = sides[0], [as_in_csv(row, typed=bool(types)) for row in sides[1]] if kind == "csv" else sides[1]
    mine, theirs = keys(rows, names), keys(other, names)
    adds: dict[str, Any] = {} if how in ("semi", "anti") else {"many": True, "columns": ["n"]}
    shown = {"m": "m"} if how in ("semi", "anti") else {"m": "m", "n": "n"}
    path = f"side/*.{kind}" if cut else f"side/a.{kind}"
    rules: list[dict[str, Any]] = [
        {"type": "referential", "columns": names, "path": path, "types": types},
        {"type": "compare", "columns": names, "path": path, "types": types},
        {"type": "compare", "method": "count", "path": path},
    ]
    with tempfile.TemporaryDirectory(dir=folder) as root:
        project = SmallProject(Path(root))
        write(project.root / "inbox" / "rows.parquet", rows, "m")
        write(project.root / "side" / f"a.{kind}", other[: cut or None], "n")
        if cut:
            write(project.root / "side" / f"b.{kind}", other[cut:], "n", first=len(other[:cut]))
        result = project.define(
            source={"connection": "inbox", "path": "rows.parquet"},
            steps=[
                {"type": "join", "path": path, "on": names, "how": how, "types": types, **adds},
                {"type": "map", "columns": shown},
            ],
            rules=[{**rule, "stage": "extract", "on_fail": "record"} for rule in rules],
            target={"table": "out", "mode": "overwrite", "allow_empty": True},
        ).attempt()
        values = {name: [row[place] for row in other if row[place] is not None] for place, name in enumerate(COLUMNS)}
        texts = {name for name in names if not values[name]} - {"t"}
        doubles = {"d"} & set(names) if any(value != int(value) for value in values["d"]) else set[str]()
        if kind == "csv" and not types and texts | doubles:
            assert result.error_code is Code.PLAN_INVALID
            assert any(f"there is {type_}" in (result.error or "") for type_ in ("VARCHAR", "DOUBLE")), result.error
            return
        receipt = result.unwrap()
        found = project.out("SELECT m, NULL FROM out" if len(shown) == 1 else "SELECT m, n FROM out")
    assert found == sorted(joined(mine, theirs, how), key=repr)
    referential, compare, count = receipt.checks
    assert referential.failed_rows == sum(None not in one and one not in theirs for one in mine)
    apart = abs(len(mine) - len(theirs))
    same = Counter(mine) == Counter(theirs)
    assert (compare.passed, compare.failed_rows) == (same, 0 if same else max(apart, 1))
    assert (count.passed, count.failed_rows) == (not apart, apart)


def test_a_key_of_a_file_is_not_rounded_to_that_of_another_row(tmp_path: Path) -> None:
    """A type is found out from a sample; what it does not hold ends the run, and is said by types."""
    project = SmallProject(tmp_path).table("orders", {"k": "INTEGER"}, [(300001,), (5,)])
    (tmp_path / "side.csv").write_text("k,n\n" + "".join(f"{k},{k}\n" for k in range(300_000)) + "300000.5,7\n")
    join = {"type": "join", "path": "side.csv", "on": ["k"]}
    result = project.define(steps=[join]).attempt()
    assert result.is_failure
    assert "side.csv: k 300000.5 is no value of BIGINT" in (result.error or "")
    assert "types: {k: VARCHAR}" in (result.error or "")
    project.define(steps=[{**join, "types": {"k": "DECIMAL(18, 1)"}}]).run()
    assert project.out("SELECT k, n FROM out ORDER BY k") == [(300001, None), (5, 5)]


def test_values_of_a_file_that_are_personal_data_are_not_told(tmp_path: Path) -> None:
    project = SmallProject(tmp_path).table("orders", {"k": "INTEGER"}, [(5,)])
    (tmp_path / "side.csv").write_text("k,n\n5,7\n6,x\n")
    join = {"type": "join", "path": "side.csv", "on": ["k"], "types": {"n": "INTEGER"}}
    result = project.define(steps=[join], sensitive=["n"]).attempt()
    assert "side.csv: n *** is no value of INTEGER" in (result.error or "")


def test_types_are_those_of_files_and_of_columns_that_are_there(tmp_path: Path) -> None:
    project = SmallProject(tmp_path).table("orders", {"k": "INTEGER"}, [(5,)])
    (tmp_path / "side.csv").write_text("k,n\n5,7\n")
    for options, told in (
        ({"table": "orders", "connection": "shop", "types": {"k": "INTEGER"}}, "types are those of files"),
        ({"path": "side.csv", "types": {"m": "INTEGER"}}, 'there is no column "m"'),
        ({"path": "side.csv", "types": {"k": "INTT"}}, "INTT"),
    ):
        rules: list[dict[str, Any]] = [{"type": "compare", "columns": ["k"]}, {"type": "referential", "columns": ["k"]}]
        pipelines: list[dict[str, Any]] = [
            {"steps": [{"type": "join", "on": ["k"], **options}]},
            *({"rules": [{**rule, **options}]} for rule in rules),
            {"rules": [{"type": "sql", "query": "SELECT * FROM other", "relations": {"other": options}}]},
        ]
        for pipeline in pipelines:
            result = project.define(**pipeline).attempt()
            assert told in (result.error or ""), pipeline


def test_an_empty_file_of_keys_holds_none_if_its_types_are_said(tmp_path: Path) -> None:
    """A column without values is text unless types say other, which the refusal tells."""
    project = SmallProject(tmp_path).table("orders", {"k": "INTEGER"}, [(5,)])
    (tmp_path / "none.csv").write_text("k,n\n")
    rule = {"type": "referential", "columns": ["k"], "path": "none.csv", "on_fail": "record"}
    join = {"type": "join", "path": "none.csv", "on": ["k"], "how": "anti"}
    pipelines: list[dict[str, Any]] = [{"rules": [rule]}, {"steps": [join]}]
    for pipeline in pipelines:
        refused = project.define(**pipeline).attempt()
        assert refused.error_code is Code.PLAN_INVALID
        assert "types: {k: BIGINT} beside path:" in (refused.error or "")
    types = {"k": "BIGINT"}
    receipt = project.define(rules=[{**rule, "types": types}], steps=[{**join, "types": types}]).run()
    assert receipt.rows.loaded == 1
    assert receipt.checks[0].failed_rows == 1
