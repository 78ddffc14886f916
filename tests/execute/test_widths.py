"""Rows that go together: many of narrow ones, few of wide ones."""

from __future__ import annotations

from headgate.execute.widths import ENGINE_BYTES, ENGINE_ROWS, FEWEST, Widths


def test_narrow_rows_go_together_by_their_number() -> None:
    widths = Widths()
    for _ in range(1000):
        widths.see(8192, 8192 * 60)
    assert widths.rows == ENGINE_ROWS


def test_a_stretch_of_wide_rows_makes_batches_small() -> None:
    widths = Widths()
    for rows, width in ((8192, 60), *[(40, 100_000)] * 10, (8192, 60)):
        widths.see(rows, rows * width)
    assert FEWEST < widths.rows <= ENGINE_BYTES // 100_000


def test_a_wide_row_among_many_narrow_ones_does_no_harm() -> None:
    widths = Widths()
    for _ in range(1000):
        widths.see(8192, 8192 * 60 + 100_000)
    assert widths.rows == ENGINE_ROWS


def test_rows_of_many_megabytes_go_by_a_few() -> None:
    widths = Widths()
    widths.see(1, 50_000_000)
    widths.see(0, 0)
    assert widths.rows == FEWEST


def test_first_rows_say_what_they_can() -> None:
    widths = Widths()
    widths.see(0, 0, enough=0)
    assert widths.rows == ENGINE_ROWS
    widths.see(100, 100_000, enough=0)
    assert widths.rows == ENGINE_BYTES // 1000
