"""Verdicts say in how many words and columns they are written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headgate.plan.flags import BITS, DropCode, HoldFlag, NoteFlag, Verdict


def hold(bit: int, held: str = "") -> HoldFlag:
    return HoldFlag(bit, f"h{bit}", "rule", "s", "m", "quarantine", 0, held)


@given(st.integers(0, 4 * BITS))
def test_a_verdict_has_as_many_words_as_its_flags_need(count: int) -> None:
    verdict = Verdict(
        holds=tuple(hold(bit) for bit in range(count)),
        notes=tuple(NoteFlag(bit, f"n{bit}", "m", "warn") for bit in range(count)),
    )
    words = -(-count // BITS)
    assert len(verdict.mask_columns) == len(set(verdict.mask_columns)) == words
    assert len(verdict.note_columns) == len(set(verdict.note_columns)) == words
    assert not set(verdict.mask_columns) & set(verdict.note_columns)


def test_rows_that_leave_need_a_word_too() -> None:
    assert Verdict().mask_columns == ()
    assert Verdict(drops=(DropCode(1, "s", "filtered"),)).mask_columns == ("_hg_m",)


def test_rows_as_they_were_stand_in_one_column_a_step() -> None:
    verdict = Verdict(holds=(hold(0, "_hg_h0"), hold(1, "_hg_h0"), hold(2, "_hg_h1"), hold(3)))
    assert verdict.held_columns == ("_hg_h0", "_hg_h1")
