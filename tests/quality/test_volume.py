from __future__ import annotations

from statistics import median

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.quality.conftest import NOW

from headgate.quality import volume
from headgate.sql.shapes import Measured

COUNTS = st.one_of(st.integers(0, 200), st.integers(0, 10**12), st.just(100))


@for_all(st.lists(COUNTS, max_size=12), COUNTS, st.integers(2, 5), st.integers(0, 6), st.sampled_from([0.5, 3.5, 10]))
def test_the_number_of_rows_is_within_robust_deviations_of_the_runs_before(
    past: list[int], rows: int, least: int, more: int, most: float
) -> None:
    """Of the newest runs; 1.4826 times the median absolute deviation is the scale, and at least 1 % of the median."""
    options = volume.Options(type="volume", min_runs=least, runs=least + more, max_deviation=most)
    judged = volume.verdict(options, Measured(rows, {}, (), NOW, [{"rows": one} for one in past], "news"))
    assert judged.remember == {"rows": rows}
    looked_at = past[: least + more]
    assert judged.evaluated == (len(looked_at) >= least)
    if not judged.evaluated:
        assert judged.failed == 0
        return
    middle = median(looked_at)
    scale = max(1.4826 * median([abs(one - middle) for one in looked_at]), middle / 100, 1)
    apart = abs(rows - middle) / scale
    if apart != pytest.approx(most):
        assert judged.failed == int(apart > most)


def test_millions_of_rows_are_told_to_the_row() -> None:
    past = [{"rows": 1_234_567 + one} for one in range(6)]
    judged = volume.verdict(volume.Options(type="volume"), Measured(1_234_568, {}, (), NOW, past))
    assert judged.observed == "1234568 rows, -0.0 deviations from 1234569.5"
