"""How many rows go together where they are counted and not weighed: few of wide ones."""

from __future__ import annotations

ENGINE_ROWS = 32_768
"""Rows of a batch out of the engine: larger ones cost memory and gain nothing."""
ENGINE_BYTES = 8 * 1024**2
"""Bytes of a batch out of the engine, as far as can be foreseen: several are on their way at a time."""
FEWEST = 16
"""Rows of a batch, however wide."""


class Widths:
    """Learns from batches how many rows in a row stay within :data:`ENGINE_BYTES`."""

    def __init__(self) -> None:
        self.rows = ENGINE_ROWS
        self._rows = self._bytes = 0

    def see(self, rows: int, size: int, enough: int = ENGINE_BYTES // 2) -> None:
        """Rows that follow those seen before, with the bytes of their values: the widest stretch of some size counts.

        Args:
            rows: how many.
            size: their bytes.
            enough: bytes of a stretch that counts; what a few wide rows among others take does no harm.
        """
        self._rows += rows
        self._bytes += size
        if self._bytes >= enough and self._rows:
            self.rows = max(FEWEST, min(self.rows, ENGINE_BYTES * self._rows // max(1, self._bytes)))
            self._rows = self._bytes = 0
