"""Bins hold equal shares of the first run; later runs are compared with the counts of the second."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.often import few

from headgate.core.values import plain
from headgate.quality import drift

NUMBERS = st.lists(
    st.one_of(st.none(), st.integers(-9, 9), st.sampled_from([0.5, -0.0, 1e300, math.inf, -math.inf])), max_size=30
)
TEXTS = st.lists(st.sampled_from([None, "", "a", "ä", "A", "'", "💧", "b"]), max_size=30)


LIMITS = st.sampled_from([None, 0.01, 0.5, 20.0])


def quantile(known: Sequence[float], share: int, of: int) -> float:
    """The smallest value that at least such a share of the values does not exceed."""
    return float(known[max(-(-share * len(known) // of) - 1, 0)])


def distance(method: str, before: list[int], now: list[int]) -> float:
    expected, found = [n / sum(before) for n in before], [n / sum(now) for n in now]
    if method == "ks":
        return max(abs(sum(expected[:n]) - sum(found[:n])) for n in range(1, len(found) + 1))
    if method == "psi":
        shares = [(max(e, 1e-4), max(f, 1e-4)) for e, f in zip(expected, found, strict=True)]
        return sum((f - e) * math.log(f / e) for e, f in shares)
    total, value = sum(before) + sum(now), 0.0
    for e, f in zip(before, now, strict=True):
        for count, rows in ((e, sum(before)), (f, sum(now))):
            wanted = rows * (e + f) / total
            value += (count - wanted) ** 2 / wanted if wanted else 0
    return value


def follows(
    judge: Any, options: Any, kind: str, runs: Sequence[list[Any]], edges: list[Any], bin_of: Callable[[Any], int]
) -> None:
    """Three runs: that which makes the bins, that which fills them, one that is compared; and one without history."""

    def run(values: list[Any], past: list[Any]) -> Any:
        return judge.judged(drift, options, {"x": kind}, [(value,) for value in values], past)

    def counts(values: list[Any]) -> list[int]:
        found = Counter(bin_of(value) for value in values if value is not None)
        return [found[number] for number in range(len(edges) + 1)]

    first = run(runs[0], [])
    assert not first.evaluated
    assert first.failed == 0
    if not edges:
        assert first.remember == {}
        return
    edges = [plain(edge) for edge in edges]
    assert first.remember == {"edges": edges, "counts": None, "rows": sum(counts(runs[0]))}
    past = [first.remember]
    compared: list[int] | None = None
    for values in runs[1:]:
        judged, found = run(values, past), counts(values)
        assert judged.evaluated == (compared is not None and sum(found) > 0)
        assert judged.remember == ({"edges": edges, "counts": found, "rows": sum(found)} if sum(found) else {})
        if judged.evaluated:
            assert compared is not None
            apart = distance(options.method, compared, found)
            assert judged.observed.startswith(f"{options.method} {apart:.4g},")
            limit = float(judged.observed.rpartition(" ")[2])
            assert options.threshold in (None, limit)
            if apart != pytest.approx(limit, rel=1e-3):
                assert judged.failed == int(apart > limit)
        if sum(found):
            past.insert(0, judged.remember)
            if compared is None or options.baseline == "last":
                compared = found


@few
@for_all(
    st.lists(NUMBERS, min_size=3, max_size=4), st.integers(2, 7), st.sampled_from(["psi", "ks", "chi2"]),
    st.sampled_from(["first", "last"]), LIMITS,
)  # fmt: skip
def test_numbers_fall_into_bins_of_equal_shares(
    judge: Any, runs: list[list[Any]], bins: int, method: Any, baseline: Any, limit: float | None
) -> None:
    limit = None if method == "chi2" else limit
    options = drift.Options(type="drift", column="x", bins=bins, method=method, baseline=baseline, threshold=limit)
    known = sorted(value for value in runs[0] if value is not None)
    edges = list(dict.fromkeys(quantile(known, number, bins) for number in range(1, bins))) if known else []
    follows(judge, options, "DOUBLE", runs, edges, lambda value: sum(value > edge for edge in edges))


@few
@for_all(
    st.lists(TEXTS, min_size=3, max_size=4), st.integers(2, 7), st.sampled_from(["psi", "chi2"]),
    st.sampled_from(["first", "last"]), LIMITS,
)  # fmt: skip
def test_texts_fall_into_their_most_frequent_ones_and_the_rest(
    judge: Any, runs: list[list[str | None]], bins: int, method: Any, baseline: Any, limit: float | None
) -> None:
    limit = None if method == "chi2" else limit
    options = drift.Options(type="drift", column="x", bins=bins, method=method, baseline=baseline, threshold=limit)
    times = Counter(value for value in runs[0] if value is not None)
    edges = sorted(times, key=lambda text: (-times[text], text.encode()))[:bins]
    follows(judge, options, "VARCHAR", runs, edges, lambda v: edges.index(v) if v in edges else len(edges))


@few
@for_all(NUMBERS, st.lists(st.integers(-9, 9), min_size=1, max_size=4, unique=True).map(sorted), st.data())
def test_a_distribution_that_is_written_down_is_compared_at_once(
    judge: Any, values: list[Any], edges: list[int], data: st.DataObject
) -> None:
    counts = data.draw(st.lists(st.integers(0, 9), min_size=len(edges) + 1, max_size=len(edges) + 1).filter(any))
    given = {"edges": edges, "counts": counts}
    options = drift.Options(type="drift", column="x", expected=given)
    judged = judge.judged(drift, options, {"x": "DOUBLE"}, [(value,) for value in values])
    times = Counter(sum(value > edge for edge in edges) for value in values if value is not None)
    assert judged.evaluated == bool(times)
    assert judged.remember == {}
    if times:
        apart = distance("psi", counts, [times[number] for number in range(len(edges) + 1)])
        assert judged.observed == f"psi {apart:.4g}, limit 0.2"
        assert judged.failed == int(apart > 0.2)


KNOWN_TEXTS = st.lists(st.sampled_from(["", "a", "ä", "A", "'"]), min_size=1, unique=True)


@few
@for_all(TEXTS, KNOWN_TEXTS, st.booleans(), LIMITS.filter(bool), st.data())
def test_texts_are_compared_with_counts_or_shares_that_are_written_down(
    judge: Any, texts: list[str | None], bins: list[str], as_shares: bool, limit: float, data: st.DataObject
) -> None:
    counts = data.draw(st.lists(st.integers(0, 9), min_size=len(bins) + 1, max_size=len(bins) + 1).filter(any))
    expected = {"values": bins, "counts": [count / 64 for count in counts] if as_shares else counts}
    options = drift.Options(type="drift", column="x", threshold=limit, expected=expected)
    judged = judge.judged(drift, options, {"x": "VARCHAR"}, [(text,) for text in texts])
    times = Counter(bins.index(text) if text in bins else len(bins) for text in texts if text is not None)
    assert judged.evaluated == bool(times)
    assert judged.remember == {}
    if times:
        apart = distance("psi", counts, [times[number] for number in range(len(bins) + 1)])
        assert judged.observed == f"psi {apart:.4g}, limit {limit:.4g}"
        assert judged.failed == int(apart > limit)


def test_bins_of_one_value_each_end_at_that_value(judge: Any) -> None:
    """5/6 of 6 rows are 5 rows, though 0.8333333333333334 * 6 is a little more than 5."""
    options = drift.Options(type="drift", column="i", bins=6)
    first = judge.judged(drift, options, {"i": "INTEGER"}, [(value,) for value in range(6)], [])
    assert first.remember["edges"] == list(range(5))


def test_nan_is_above_every_number_and_bins_that_end_at_what_json_lacks_are_found_again(judge: Any) -> None:
    options = drift.Options(type="drift", column="x", bins=3)
    past: list[Any] = []
    for values in ([1.0, math.inf, math.nan], [1.0, 2.0, math.nan], [math.inf, math.nan], [1.0]):
        judged = judge.judged(drift, options, {"x": "DOUBLE"}, [(value,) for value in values], past)
        past.insert(0, json.loads(json.dumps(plain(judged.remember))))
    assert past[0]["edges"] == [1, "Infinity"]
    assert [one["counts"] for one in past] == [[1, 0, 0], [0, 1, 1], [1, 1, 1], None]


def test_what_is_remembered_is_what_json_has(judge: Any) -> None:
    """Receipts are JSON, and NaN as a number would be no baseline: it is not equal to itself."""
    options = drift.Options(type="drift", column="x", bins=4)
    first = judge.judged(drift, options, {"x": "DOUBLE"}, [(1.0,), (-math.inf,), (math.nan,), (math.nan,)], [])
    assert first.remember["edges"] == ["-Infinity", 1.0, "NaN"]
    json.dumps(first.remember, allow_nan=False)


def test_a_distance_that_is_the_limit_passes(judge: Any) -> None:
    """A tenth of the rows left the first bin; as sums of doubles that is a little more than 0.1."""
    options = drift.Options(type="drift", column="i", method="ks", threshold=0.1)
    past: list[Any] = []
    for begin in (0, 0, 100, 101):
        judged = judge.judged(drift, options, {"i": "INTEGER"}, [(begin + i,) for i in range(1000)], past)
        past.append(judged.remember) if begin < 100 else None
        assert judged.failed == int(begin > 100), judged.observed
