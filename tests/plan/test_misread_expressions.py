"""What the parser would read as something else, or leave out, is refused."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest
from tests.plan.projects import SmallProject

from headgate.core.errors import Code, FatalError
from headgate.sql.expressions import parse, parse_select


def computed(expression: str) -> Any:
    with duckdb.connect() as connection:
        (row,) = connection.execute(f"SELECT {expression}").fetchall()
    return row[0]


@pytest.mark.parametrize(
    "text",
    [
        "DATE '2024-01-31'::VARCHAR",
        "TIMESTAMP '2024-01-31 10:20:30'::DATE",
        "timestamptz '2024-01-31 10:20:30+02'::DATE",
        "TIMESTAMP WITH TIME ZONE '2024-01-31 10:20:30+02'::DATE",
        "day > TIME '10:20'::VARCHAR",
    ],
)
def test_a_moment_is_not_a_cast_of_its_text(text: str) -> None:
    with pytest.raises(FatalError, match="means two things") as refused:
        parse(text)
    assert "write CAST(" in refused.value.hint
    with pytest.raises(FatalError, match="means two things"):
        parse_select(f"SELECT {text} FROM input", ["input"])


@pytest.mark.parametrize(
    "text", ["(DATE '2024-01-31')::VARCHAR", "CAST(DATE '2024-01-31' AS VARCHAR)", "'2024-01-31'::DATE::VARCHAR"]
)
def test_what_means_one_thing_is_computed(text: str) -> None:
    assert computed(parse(text).sql("duckdb")) == "2024-01-31"


@pytest.mark.parametrize(
    "call",
    ["REGEXP_REPLACE(s, '.', '', 'l')", "REGEXP_EXTRACT(s, '.', 0, 'l')", "REGEXP_EXTRACT_ALL(s, '.', 0, 'gl')",
     "REGEXP_REPLACE(s, '.', '', s)"],
)  # fmt: skip
def test_options_that_the_parser_would_leave_out_are_refused(call: str) -> None:
    with pytest.raises(FatalError, match="of a regular expression is not known here"):
        parse(call)


@pytest.mark.parametrize("options", ["g", "i", "gi", "c", "s", "m", "n", "p"])
def test_other_options_reach_the_engine(options: str) -> None:
    call = f"REGEXP_REPLACE('aA\na.x', '^A|.x', '_', '{options}')"
    assert computed(parse(call).sql("duckdb")) == computed(call)


@pytest.mark.parametrize(
    "call", ["REGEXP_REPLACE(note, '(', '')", "REGEXP_EXTRACT(note, '[a')", "REGEXP_EXTRACT_ALL(note, 'x(?=y)')"]
)
@pytest.mark.parametrize("kind", ["calculate", "sql"])
def test_a_pattern_that_does_not_compile_is_found_before_a_row_is_read(
    project: SmallProject, kind: str, call: str
) -> None:
    options: dict[str, Any] = (
        {"columns": {"x": call}} if kind == "calculate" else {"query": f"SELECT {call} AS x FROM input"}
    )
    with pytest.raises(FatalError, match=r"not a regular expression|RE2 does not have") as refused:
        project.define(steps=[{"type": kind, **options}]).plan()
    assert refused.value.code is Code.PLAN_INVALID
    assert refused.value.problems[0].path == "pipelines.small.transformations.0"
