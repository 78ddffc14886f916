"""Every row of a pass is good, dropped or held, exactly once, whatever the size of the batches."""

from __future__ import annotations

from collections import Counter
from typing import cast

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from headgate.execute.split import Splitter
from headgate.plan.flags import BITS, REASONS, DropCode, HoldFlag, NoteFlag, Verdict

FLAGS = 70  # more than one word holds

VERDICT = Verdict(
    drops=(DropCode(1, "filter", "filtered"), DropCode(2, "join", "unmatched")),
    holds=tuple(HoldFlag(bit, f"rule{bit}", "rule", "s", "m", "quarantine", 1) for bit in range(FLAGS)),
    notes=(NoteFlag(0, "strict", "m", "fail"), NoteFlag(1, "soft", "m", "warn")),
)


@st.composite
def rows(draw: st.DrawFn) -> list[tuple[int, int, int, int]]:
    """(value, first word, second word, notes)."""
    made = []
    for value in range(draw(st.integers(0, 30))):
        kind = draw(st.sampled_from(["good", "dropped", "held"]))
        first = second = 0
        if kind == "dropped":
            first = -draw(st.integers(1, 2))
        if kind == "held":
            for bit in draw(st.sets(st.integers(0, FLAGS - 1), min_size=1, max_size=4)):
                if bit < BITS:
                    first |= 1 << bit
                else:
                    second |= 1 << (bit - BITS)
        made.append((value, first, second, draw(st.integers(0, 3))))
    return made


def batches(made: list[tuple[int, int, int, int]], size: int) -> list[pa.RecordBatch]:
    schema = pa.schema([("v", pa.int64()), ("_hg_m", pa.int64()), ("_hg_m1", pa.int64()), ("_hg_w", pa.int64())])
    table = pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in made], schema)
    return table.to_batches(max_chunksize=size)


@given(made=rows(), size=st.integers(1, 7))
def test_each_row_is_counted_once_and_keeps_all_its_reasons(made: list[tuple[int, int, int, int]], size: int) -> None:
    splitter = Splitter(VERDICT, ["v"], pa.schema([]))
    good: list[int] = []
    held: dict[int, list[str]] = {}
    firsts: Counter[int] = Counter()
    evidence: list[int] = []
    for batch in batches(made, size):
        kept, groups, noted = splitter.split(batch)
        good += cast("list[int]", kept.column("v").to_pylist())
        for group in groups:
            firsts[group.flag.bit] += group.rows.num_rows
            for row in group.rows.to_pylist():
                held[row["v"]] = row[REASONS]
        for item in noted:
            evidence += cast("list[int]", item.rows.column("v").to_pylist())

    assert good == [v for v, first, second, _ in made if first == 0 and second == 0]
    for value, first, second, notes in made:
        if first > 0 or second > 0:
            bits = [b for b in range(FLAGS) if (first >> b & 1 if b < BITS else second >> (b - BITS) & 1)]
            names = [f"rule{b}: expected m" for b in bits]
            names += [name for b, name in enumerate(["strict: expected m", "soft: expected m"]) if notes >> b & 1]
            assert held.pop(value) == names
    assert held == {}
    tally = splitter.tally
    assert tally.seen == len(made) == tally.good + sum(tally.dropped.values()) + sum(tally.held.values())
    assert tally.held == firsts
    assert tally.dropped == Counter(-first for _, first, _, _ in made if first < 0)
    assert tally.noted[0] == sum(notes & 1 for *_, notes in made) == len(evidence)
    assert tally.noted[1] == sum(notes >> 1 & 1 for *_, notes in made)


def test_rows_held_by_a_cast_come_out_as_they_were_before_it() -> None:
    flag = HoldFlag(0, "cast", "row_error", "cast", "amount is a number", "quarantine", 0, "_hg_h0")
    verdict = Verdict(holds=(flag,))
    was = pa.list_(pa.struct([("amount", pa.string())]))
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array([None, 2.0], pa.float64()),
            pa.array([1, 0], pa.int64()),
            pa.array([[{"amount": "two"}], None], was),
        ],
        ["amount", "_hg_m", "_hg_h0"],
    )
    good, held, _ = Splitter(verdict, ["amount"], batch.schema).split(batch)
    assert good.to_pylist() == [{"amount": 2.0}]
    assert held[0].rows.to_pylist() == [{"amount": "two", REASONS: ["cast: expected amount is a number"]}]


@given(st.lists(st.none() | st.tuples(st.text() | st.none(), st.text() | st.none()), min_size=1, max_size=8))
def test_rows_of_one_type_come_out_of_a_map_as_they_were(kept: list[tuple[str | None, str | None] | None]) -> None:
    verdict = Verdict(holds=(HoldFlag(0, "cast", "row_error", "cast", "m", "quarantine", 0, "_hg_h0"),))
    held_rows = [row and [("b", row[0]), ("a", row[1])] for row in kept]
    batch = pa.RecordBatch.from_arrays(
        [
            pa.nulls(len(kept), pa.int64()),
            pa.array([0 if row is None else 1 for row in kept], pa.int64()),
            pa.array(held_rows, pa.map_(pa.string(), pa.string())),
        ],
        ["a", "_hg_m", "_hg_h0"],
    )
    _, held, _ = Splitter(verdict, ["a"], batch.schema).split(batch.slice(1))
    found = [(row["b"], row["a"]) for group in held for row in group.rows.to_pylist()]
    assert found == [row for row in kept[1:] if row is not None]
    assert all(group.rows.schema.names == ["b", "a", REASONS] for group in held)


def test_a_pass_without_verdict_is_handed_through_untouched() -> None:
    batch = pa.RecordBatch.from_pydict({"v": [1, 2]})
    splitter = Splitter(Verdict(), ["v"], batch.schema)
    good, held, noted = splitter.split(batch)
    assert good is batch
    assert (held, noted, splitter.tally.good) == ([], [], 2)
