"""Files that come and change: which run reads them, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.sources.local_files import FLIGHTS, INCREMENTAL, context, native, opened, put, refused, rows_of, run

from headgate.core.contracts import Interval, ReadContext
from headgate.core.errors import Code, FatalError
from headgate.io import local as known_files
from headgate.io.local import FileState
from headgate.sources import local


def test_new_files_are_not_chosen_by_a_time_unless_the_path_names_it(tmp_path: Path) -> None:
    put(tmp_path, "2024-01-31.csv", FLIGHTS)
    day = Interval("2024-01-31", "2024-02-01")
    with pytest.raises(FatalError, match="nothing to do with the time") as refusal:
        opened(tmp_path).probe(INCREMENTAL, ReadContext(tmp_path, {}, day), None)
    assert refusal.value.code is Code.UNSUPPORTED
    by_day = native(path="{{ ds }}.csv", mode="incremental")
    assert opened(tmp_path).probe(by_day, ReadContext(tmp_path, {"ds": "2024-01-31"}, day), None) is not None


def test_an_incremental_run_reads_the_files_no_published_run_has_read(tmp_path: Path) -> None:
    put(tmp_path, "1.csv", "n,s\n1,a\n")
    rows, position = run(tmp_path, INCREMENTAL)
    assert rows == [(1, "a")]
    assert run(tmp_path, INCREMENTAL, position) is None
    put(tmp_path, "2.csv", "n,s\n2,b\n")
    put(tmp_path, "_3.csv", "n,s\n3,c\n")
    rows, position = run(tmp_path, INCREMENTAL, position)
    assert rows == [(2, "b")]
    assert sorted(position["files"]) == ["1.csv", "2.csv"]
    (tmp_path / "in" / "1.csv").unlink()
    assert run(tmp_path, INCREMENTAL, position) is None


def test_the_same_files_are_the_same_execution(tmp_path: Path) -> None:
    put(tmp_path, "1.csv", "n,s\n1,a\n")
    windows = [opened(tmp_path).probe(INCREMENTAL, context(tmp_path), None) for _ in range(2)]
    assert windows[0] is not None
    assert windows[0] == windows[1]
    assert windows[0].identity is not None
    full = opened(tmp_path).probe(local.Read(path="*.csv"), context(tmp_path), None)
    assert full is not None
    assert full.identity is None


def test_a_touched_file_is_not_new_and_a_changed_one_is_refused_or_read_again(tmp_path: Path) -> None:
    path = put(tmp_path, "1.csv", "n,s\n1,a\n")
    _, position = run(tmp_path, INCREMENTAL)
    os.utime(path, ns=(1, 1))
    assert run(tmp_path, INCREMENTAL, position) is None
    path.write_text("n,s\n9,a\n")
    error = refused(tmp_path, INCREMENTAL, position)
    assert error.object == str(path)
    assert "changed: reread" in error.hint
    again = native(path="*.csv", mode="incremental", changed="reread")
    rows, position = run(tmp_path, again, position)
    assert rows == [(9, "a")]
    assert run(tmp_path, again, position) is None


def test_files_that_come_after_the_probe_wait_for_the_next_run(tmp_path: Path) -> None:
    put(tmp_path, "1.csv", "n,s\n1,a\n")
    source = opened(tmp_path)
    window = source.probe(INCREMENTAL, context(tmp_path), None)
    assert window is not None
    put(tmp_path, "2.csv", "n,s\n2,b\n")
    scan = source.scan(INCREMENTAL, context(tmp_path), window)
    assert rows_of(scan, tmp_path) == [(1, "a")]
    assert scan.position is not None
    assert run(tmp_path, INCREMENTAL, scan.position())[0] == [(2, "b")]


@pytest.mark.parametrize("mode", ["full", "incremental"])
def test_a_file_written_while_it_is_read_fails_the_run(tmp_path: Path, mode: Any) -> None:
    path = put(tmp_path, "1.csv", "n,s\n1,a\n")
    source, read = opened(tmp_path), native(path="*.csv", mode=mode)
    window = source.probe(read, context(tmp_path), None)
    assert window is not None
    scan = source.scan(read, context(tmp_path), window)
    rows_of(scan, tmp_path)
    with path.open("a") as file:
        file.write("2,b\n")
    assert scan.position is not None
    with pytest.raises(FatalError, match="changed while"):
        scan.position()
    path.unlink()
    with pytest.raises(FatalError, match="changed while"):
        scan.position()


def test_a_file_that_grows_between_probe_and_scan_fails_the_run(tmp_path: Path) -> None:
    path = put(tmp_path, "1.csv", "n,s\n1,a\n")
    source = opened(tmp_path)
    window = source.probe(INCREMENTAL, context(tmp_path), None)
    assert window is not None
    path.write_text("n,s\n1,a\n2,b\n")
    with pytest.raises(FatalError, match="changed while"):
        source.scan(INCREMENTAL, context(tmp_path), window)


def test_an_empty_file_waits_until_it_has_content(tmp_path: Path) -> None:
    put(tmp_path, "1.csv", "n,s\n1,a\n")
    put(tmp_path, "2.csv", "")
    _, position = run(tmp_path, INCREMENTAL)
    assert run(tmp_path, INCREMENTAL, position) is None
    put(tmp_path, "2.csv", "n,s\n2,b\n")
    assert run(tmp_path, INCREMENTAL, position)[0] == [(2, "b")]


@given(
    states=st.dictionaries(
        st.text(min_size=1, max_size=20),
        st.builds(
            FileState, st.integers(0, 2**62), st.integers(0, 2**62), st.binary(min_size=32, max_size=32).map(bytes.hex)
        ),
        max_size=20,
    )
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_positions_keep_every_file(states: dict[str, FileState]) -> None:
    assert known_files.unpack(known_files.pack(states)) == states
    many = {**states, **{f"f{number:05}.csv": FileState(number, number, "ab" * 32) for number in range(1000)}}
    packed = known_files.pack(many)
    assert "packed" in packed
    assert known_files.unpack(packed) == many


def test_a_position_of_something_else_is_refused() -> None:
    with pytest.raises(FatalError) as caught:
        known_files.unpack({"packed": "no"})
    assert caught.value.code is Code.STATE_INVALID
