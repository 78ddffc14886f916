"""A file's fingerprint is that of its content, however many threads read it."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from headgate.io import local

PART = 16 << 20


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 2 * PART + 12345])
def test_a_fingerprint_covers_every_byte_once(tmp_path: Path, size: int) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    content = content[:size]
    path = tmp_path / "data"
    path.write_bytes(content)
    parts = [sha256(content[start : start + PART]).digest() for start in range(0, max(size, 1), PART)]
    assert local.fingerprint(path) == sha256(b"".join(parts)).hexdigest()
    if size:
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert local.fingerprint(path) != sha256(b"".join(parts)).hexdigest()
