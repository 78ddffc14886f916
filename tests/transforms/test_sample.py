from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.often import few
from tests.plan.projects import SmallProject
from tests.tables import COLUMNS as TYPES
from tests.tables import NAMES, TABLES, Row, keys

from headgate.transforms import sample

COLUMNS = {"id": "INTEGER", "t": "VARCHAR"}
ROWS = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(-99, 99)), st.one_of(st.none(), st.text("aä:-;1", max_size=3)))
)


def number(seed: int, *values: Any) -> int:
    """As the documentation says: MD5 of the seed and each value behind its length; the lower half."""
    text = "".join("-" if value is None else f"{len(str(value))}:{value}" for value in values)
    return int.from_bytes(hashlib.md5(f"{seed};{text}".encode(), usedforsecurity=False).digest()[8:], "little")


@for_all(ROWS, st.floats(0.05, 1), st.integers(0, 3))
def test_a_fraction_follows_from_the_values_and_the_seed(
    execute: Any, rows: list[Any], share: float, seed: int
) -> None:
    outcome = execute(sample, {"fraction": share, "seed": seed}, COLUMNS, rows)
    kept = [row for row in rows if share == 1 or number(seed, *row) < int(share * 2**64)]
    assert outcome.rows == kept
    assert outcome.dropped["filtered"] == len(rows) - len(kept)


DECIDES = st.sampled_from([None, ["id"], ["T"], ["t", "id"]])


@for_all(ROWS, st.integers(0, 5), st.integers(0, 2), DECIDES, DECIDES)
def test_n_keeps_the_rows_of_each_group_with_the_lowest_numbers(
    execute: Any, rows: list[Any], n: int, seed: int, by: list[str] | None, names: list[str] | None
) -> None:
    """NULL is a group; of rows with equal keys so many stay as there is room for."""

    def of(row: Any, chosen: list[str]) -> Any:
        return tuple(row[list(COLUMNS).index(name.lower())] for name in chosen)

    options = {"n": n, "seed": seed, **({"by": by} if by else {}), **({"keys": names} if names else {})}
    outcome = execute(sample, options, COLUMNS, rows)

    def numbers(chosen: list[Any]) -> dict[Any, list[int]]:
        found: dict[Any, list[int]] = {}
        for row in chosen:
            found.setdefault(of(row, by or []), []).append(number(seed, *of(row, names or list(COLUMNS))))
        return {group: sorted(values)[:n] for group, values in found.items()}

    assert not Counter(outcome.rows) - Counter(rows)
    assert numbers(outcome.rows) == {group: values for group, values in numbers(rows).items() if values}
    assert outcome.dropped["filtered"] == len(rows) - len(outcome.rows)
    assert len(outcome.rows) == sum(map(len, numbers(rows).values()))


@few
@for_all(TABLES, NAMES, st.integers(0, 5))
def test_rows_with_equal_keys_of_any_types_stay_or_leave_together(
    execute: Any, rows: list[Row], names: list[str], seed: int
) -> None:
    numbered = [(*row, place) for place, row in enumerate(rows)]
    options = {"fraction": 0.5, "keys": names, "seed": seed}
    outcome = execute(sample, options, {**TYPES, "n": "INTEGER"}, numbered)
    stayed = {row[-1] for row in outcome.rows}
    found = keys(rows, names)
    kept = {found[place] for place in stayed}
    assert stayed == {place for place, one in enumerate(found) if one in kept}


def test_so_many_of_each_group(execute: Any) -> None:
    rows = [(number, "ab"[number % 2]) for number in range(20)]
    outcome = execute(sample, {"n": 3, "by": "t"}, COLUMNS, rows)
    assert sorted(row[1] for row in outcome.rows) == ["a"] * 3 + ["b"] * 3


def test_rows_with_equal_keys_stay_together(execute: Any) -> None:
    rows = [(number, str(number % 10)) for number in range(100)]
    outcome = execute(sample, {"fraction": 0.5, "keys": ["t"]}, COLUMNS, rows)
    assert 0 < len(outcome.rows) < 100
    assert len(outcome.rows) == 10 * len({row[1] for row in outcome.rows})


def test_a_share_is_about_as_large_as_was_asked(execute: Any) -> None:
    outcome = execute(sample, {"fraction": 0.1}, COLUMNS, [(number, None) for number in range(3000)])
    assert 230 < len(outcome.rows) < 370


def test_rows_left_out_are_filtered_and_the_same_at_every_run(project: SmallProject) -> None:
    project.define(steps=[{"type": "sample", "n": 2}], target={"table": "out", "mode": "overwrite"})
    receipt = project.run()
    assert (receipt.rows.filtered, receipt.rows.loaded) == (3, 2)
    first = project.out()
    project.run()
    assert project.out() == first


@pytest.mark.parametrize(
    "options",
    [{}, {"fraction": 0.5, "n": 1}, {"fraction": 0}, {"fraction": 2}, {"n": -1}, {"fraction": 0.5, "by": "t"}],
)
def test_half_a_sample_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        sample.Options(type="sample", **options)
