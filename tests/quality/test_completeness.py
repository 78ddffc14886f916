from __future__ import annotations

from typing import Any

from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.often import few
from tests.quality.conftest import NOW
from tests.tables import COLUMNS, NAMES, TABLES, Row

from headgate.quality import completeness
from headgate.sql.shapes import Measured


@few
@for_all(TABLES, NAMES, st.one_of(st.floats(0, 1), st.sampled_from([0, 0.5, 1])))
def test_a_column_has_a_value_in_at_least_a_share_of_the_rows(
    judge: Any, rows: list[Row], names: list[str], threshold: float
) -> None:
    missing = {name: sum(row[list(COLUMNS).index(name)] is None for row in rows) for name in names}
    shares = {name: (len(rows) - count) / len(rows) if rows else 1 for name, count in missing.items()}
    broken = [name for name in names if shares[name] < threshold]
    options = completeness.Options(type="completeness", columns=names, threshold=threshold)
    found = judge.judged(completeness, options, COLUMNS, rows)
    assert (found.failed, list(found.missing)) == (max((missing[name] for name in broken), default=0), broken)
    assert found.score == min(shares.values())


def test_names_are_found_without_case_and_no_rows_are_complete(judge: Any) -> None:
    assert judge(completeness, {"columns": ["I"], "threshold": 1}, COLUMNS, []) == (0, "I 1")
    options = completeness.Options(type="completeness", columns=["I"])
    measured = Measured(2, {"i": 1}, (), None)  # type: ignore[arg-type]
    assert completeness.verdict(options, measured).failed == 1


def test_a_share_just_below_the_threshold_is_not_told_as_the_threshold() -> None:
    options = completeness.Options(type="completeness", columns=("x", "y"), threshold=1)
    judged = completeness.verdict(options, Measured(6_000_000, {"x": 1, "y": 2_000_000}, (), NOW))
    assert (judged.failed, judged.observed) == (2_000_000, "x 0.9999998, y 0.6667")
