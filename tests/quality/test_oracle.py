"""Rules about all rows against what their documentation says, in plain Python over small tables.

Rules about single rows have their oracles beside them (test_range, test_format, test_schema and so on).
"""

from __future__ import annotations

import math
import secrets
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from headgate.execute.calls import judge_rows
from headgate.execute.distinct import FailingRows
from headgate.plan.stages import NUMBER, CallCheck, Rule
from headgate.quality import (
    aggregate,
    compare,
    completeness,
    drift,
    freshness,
    referential,
    row_count,
    sql,
    unique,
    volume,
)
from headgate.sql.shapes import Measured

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
FLOATS = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.0, -1.5, math.nan, math.inf]))
TEXTS = st.one_of(st.none(), st.sampled_from(["", "a", "ä", "A", "💧", "a "]))
INTS = st.one_of(st.none(), st.integers(-3, 3))
TABLES = st.lists(st.tuples(INTS, FLOATS, TEXTS), max_size=8)
COLUMNS = {"i": "INTEGER", "f": "DOUBLE", "t": "VARCHAR"}
FEW = settings(max_examples=50)


def key(value: Any) -> Any:
    """Equal in SQL: NaN is NaN, and -0 is 0."""
    return "nan" if isinstance(value, float) and math.isnan(value) else value + 0.0 if value == 0 else value


def check_unique(judge: Any, rows: list[Any], names: list[str]) -> None:
    places = [list(COLUMNS).index(name) for name in names]
    keys = [tuple(key(row[place]) for place in places) for row in rows if all(row[p] is not None for p in places)]
    repeated = [count for count in Counter(keys).values() if count > 1]
    assert judge(unique, {"columns": names}, COLUMNS, rows)[0] == sum(repeated)


def check_completeness(judge: Any, rows: list[Any], name: str, threshold: float) -> None:
    place = list(COLUMNS).index(name)
    missing = sum(row[place] is None for row in rows)
    broken = bool(rows) and (len(rows) - missing) / len(rows) < threshold
    found, _ = judge(completeness, {"columns": [name], "threshold": threshold}, COLUMNS, rows)
    assert found == (missing if broken else 0)


def check_aggregate(judge: Any, rows: list[Any], limit: int) -> None:
    values = [row[0] for row in rows if row[0] is not None]
    failed, _ = judge(aggregate, {"condition": f"SUM(i) <= {limit} AND COUNT(*) < 7"}, COLUMNS, rows)
    too_many = len(rows) >= 7
    assert failed == int(too_many or (bool(values) and sum(values) > limit))
    groups: dict[Any, list[int]] = {}
    for number, _, text in rows:
        groups.setdefault(text, []).extend([] if number is None else [number])
    found, _ = judge(aggregate, {"condition": f"SUM(i) <= {limit}", "group_by": ["t"]}, COLUMNS, rows)
    assert found == sum(bool(group) and sum(group) > limit for group in groups.values())


def check_freshness(ages: list[int | None], hours: int) -> None:
    options = freshness.Options(type="freshness", column="at", max_age=f"{hours}h")
    known = [NOW - timedelta(minutes=age) for age in ages if age is not None]
    newest = max(known, default=None)
    judged = freshness.verdict(options, Measured(len(ages), {}, (newest,), NOW))
    assert judged.failed == int(newest is None or NOW - newest > timedelta(hours=hours))
    assert judged.score is not None
    assert 0 <= judged.score <= 1


def check_volume(past: list[int], rows: int) -> None:
    options = volume.Options(type="volume", min_runs=3)
    judged = volume.verdict(options, Measured(rows, {}, (), NOW, [{"rows": one} for one in past]))
    assert judged.remember == {"rows": rows}
    assert judged.evaluated == (len(past) >= 3)
    if judged.evaluated:
        middle = median(past)
        scale = max(1.4826 * median(abs(one - middle) for one in past), 0.01 * middle, 1)
        assert judged.failed == int(abs(rows - middle) / scale > 3.5)


def check_row_count(rows: int, equals: int, allowed: int) -> None:
    options = row_count.Options(type="row_count", equals=equals, allowed_difference=f"{allowed}%")
    judged = row_count.verdict(options, Measured(rows, {}, (), NOW))
    assert judged.failed == int(abs(rows - equals) * 100 > allowed * equals)


def check_referential(judge: Any, rows: list[Any], keys: list[Any]) -> None:
    """In a list, in another table by one column, and by two; NULL passes, and is no key there."""
    listed = [value for value in dict.fromkeys(value for value, _ in keys) if value is not None]
    if listed:
        found = judge(referential, {"columns": ["i"], "values": listed}, COLUMNS, rows)
        assert found == [row[0] is None or row[0] in listed for row in rows]
    there = {"k": ({"i": "INTEGER", "t": "VARCHAR"}, keys)}
    one = judge(referential, {"columns": ["i"], "table": "k"}, COLUMNS, rows, others=there)
    assert one == [row[0] is None or row[0] in {value for value, _ in keys if value is not None} for row in rows]
    two = judge(referential, {"columns": ["i", "t"], "table": "k"}, COLUMNS, rows, others=there)
    known = {pair for pair in keys if None not in pair}
    assert two == [row[0] is None or row[2] is None or (row[0], row[2]) in known for row in rows]


def check_compare(judge: Any, rows: list[Any], other: list[Any]) -> None:
    def counted(table: list[Any]) -> Counter[Any]:
        return Counter((None if row[1] is None else key(row[1]), row[2]) for row in table)

    there = {"k": (COLUMNS, other)}
    failed, _ = judge(compare, {"table": "k", "columns": ["f", "t"]}, COLUMNS, rows, others=there)
    assert (failed == 0) == (counted(rows) == counted(other))
    failed, _ = judge(compare, {"table": "k", "method": "count", "allowed_difference": 1}, COLUMNS, rows, others=there)
    apart = abs(len(rows) - len(other))
    assert failed == (apart if apart > 1 else 0)


def check_sql(judge: Any, rows: list[Any], limit: int) -> None:
    query = f"SELECT * FROM input WHERE i > {limit} OR t = ''"
    wrong = sum((row[0] is not None and row[0] > limit) or row[2] == "" for row in rows)
    assert judge(sql, {"query": query}, COLUMNS, rows) == (wrong, f"{wrong} rows")


def check_drift(judge: Any, past: list[int | None], now: list[int | None], bins: int, method: Any) -> None:
    """Bins hold equal shares of the first run; later runs are compared with the counts of the second."""
    options = drift.Options(type="drift", column="i", bins=bins, method=method)

    def run(values: list[int | None], before: list[Any]) -> Any:
        return judge.judged(drift, options, {"i": "INTEGER"}, [(value,) for value in values], before)

    first, known = run(past, []), [value for value in past if value is not None]
    if not known:
        assert not first.evaluated
        return
    edges = list(dict.fromkeys(quantile(sorted(known), number / bins) for number in range(1, bins)))
    assert first.remember["edges"] == edges
    second = run(past, [first.remember])
    assert second.remember["counts"] == binned(known, edges)
    judged, values = run(now, [second.remember, first.remember]), [value for value in now if value is not None]
    assert judged.evaluated == bool(values)
    if values:
        apart = distance(method, binned(known, edges), binned(values, edges))
        assert judged.observed.startswith(f"{method} {apart:.4g},")


def quantile(known: list[int], share: float) -> float:
    """The smallest value that at least such a share of the values does not exceed."""
    return float(known[max(math.ceil(round(share * len(known), 3)) - 1, 0)])


def binned(values: list[int], edges: list[float]) -> list[int]:
    found = Counter(sum(value > edge for edge in edges) for value in values)
    return [found[number] for number in range(len(edges) + 1)]


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


def check_python(root: Path, rows: list[Any], cuts: list[int]) -> None:
    """However rows come in batches; NULL passes."""
    check = CallCheck(Rule("r", "error", "fail", "", 0), "s", "mine:holds", "batch", (), "")
    schema, rest = pa.schema({"i": pa.int32(), NUMBER: pa.int64()}), list(enumerate(rows))
    batches = []
    for cut in [*cuts, len(rows)]:
        part, rest = rest[:cut], rest[cut:]
        columns = {"i": [row[0] for _, row in part], NUMBER: [number for number, _ in part]}
        batches.append(pa.RecordBatch.from_pydict(columns, schema))
    wrong = FailingRows(root / f"{secrets.token_hex(4)}.parquet")
    failed, judged, sample = judge_rows(check, pa.RecordBatchReader.from_batches(schema, batches), root, 3, wrong)
    expected = [number for number, row in enumerate(rows) if row[0] is not None and row[0] < 0]
    assert (failed, judged, len(sample)) == (len(expected), len(rows), min(len(expected), 3))
    if expected:
        scan = wrong.scan
        assert scan.files is not None
        assert pq.read_table(scan.files.paths[0]).column(NUMBER).to_pylist() == expected
        Path(scan.files.paths[0]).unlink()


NUMBERS = st.lists(st.one_of(st.none(), st.integers(-9, 9)), max_size=30)
OTHERS = st.fixed_dictionaries({
    "rows": TABLES, "other": TABLES, "keys": st.lists(st.tuples(INTS, TEXTS), max_size=5), "limit": st.integers(-3, 3),
    "past": NUMBERS, "now": NUMBERS, "bins": st.integers(2, 6), "method": st.sampled_from(["psi", "ks", "chi2"]),
    "cuts": st.lists(st.integers(1, 4), max_size=3),
})  # fmt: skip


def check_others(judge: Any, root: Path, case: dict[str, Any]) -> None:
    body = "def holds(rows):\n    return [i is None or i >= 0 for i in rows['i'].to_pylist()]\n"
    if not (root / "mine.py").exists():
        (root / "mine.py").write_text(body)
    check_referential(judge, case["rows"], case["keys"])
    check_compare(judge, case["rows"], case["other"])
    check_compare(judge, case["rows"], case["rows"][::-1])
    check_sql(judge, case["rows"], case["limit"])
    check_drift(judge, case["past"], case["now"], case["bins"], case["method"])
    check_python(root, case["rows"], case["cuts"])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("functions")


@FEW
@for_all(case=OTHERS)
def test_rules_about_other_data_and_code_are_as_documented(judge: Any, root: Path, case: dict[str, Any]) -> None:
    check_others(judge, root, case)


NAMES = st.lists(st.sampled_from(list(COLUMNS)), min_size=1, max_size=3, unique=True)


@FEW
@for_all(rows=TABLES, names=NAMES, threshold=st.floats(0, 1), limit=st.integers(-5, 5))
def test_rules_about_all_rows_are_as_documented(
    judge: Any, rows: list[Any], names: list[str], threshold: float, limit: int
) -> None:
    check_unique(judge, rows, names)
    check_completeness(judge, rows, names[0], threshold)
    check_aggregate(judge, rows, limit)


HISTORY = st.lists(st.integers(0, 10_000), max_size=12)


@FEW
@for_all(
    ages=st.lists(st.one_of(st.none(), st.integers(-60, 5000)), max_size=5),
    hours=st.integers(1, 72),
    past=HISTORY,
    rows=st.integers(0, 12_000),
    allowed=st.integers(0, 100),
)
def test_rules_about_time_and_history_are_as_documented(
    ages: list[int | None], hours: int, past: list[int], rows: int, allowed: int
) -> None:
    check_freshness(ages, hours)
    check_volume(past, rows)
    check_row_count(rows, past[0] if past else 0, allowed)


def test_bins_of_one_value_each_end_at_that_value(judge: Any) -> None:
    """5/6 of 6 rows are 5 rows, though 0.8333333333333334 * 6 is a little more than 5."""
    options = drift.Options(type="drift", column="i", bins=6)
    first = judge.judged(drift, options, {"i": "INTEGER"}, [(value,) for value in range(6)], [])
    assert first.remember["edges"] == list(range(5))
