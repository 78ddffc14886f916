"""A DuckDB file as a target."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from headgate.core.contracts import Store
from headgate.core.errors import Code, RetriableError
from headgate.targets import duckdb
from headgate.testing.place import Place, load, rows
from headgate.testing.stores import StoreContract


class TestContract(StoreContract):
    capabilities = duckdb.MODES

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Callable[[], Store]:
        connection = duckdb.Connection(path="out/shop.duckdb")
        return lambda: duckdb.open_store("warehouse", connection, tmp_path)

    @pytest.mark.parametrize(
        "mode",
        ["upsert", pytest.param("append", marks=pytest.mark.long), pytest.param("overwrite", marks=pytest.mark.long)],
    )
    def test_killed_at_any_step_a_run_is_whole_or_absent_and_the_next_completes_it(
        self, place: Place, mode: str
    ) -> None:
        super().test_killed_at_any_step_a_run_is_whole_or_absent_and_the_next_completes_it(place, mode)


def test_a_file_that_another_process_reads_is_waited_for(tmp_path: Path) -> None:
    place = Place(lambda: duckdb.open_store("w", duckdb.Connection(path="w.duckdb"), tmp_path), tmp_path / "_runs")
    place.run(1, [(load("t"), rows((1, "a")))])
    code = (
        "import duckdb, sys, time; c = duckdb.connect(sys.argv[1], read_only=True); print(flush=True); time.sleep(0.5)"
    )
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code, str(tmp_path / "w.duckdb")], stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        place.run(2, [(load("t"), rows((2, "b")))])
    assert place.pairs("t") == [(1, "a"), (2, "b")]


def test_a_file_that_another_process_keeps_is_told_and_may_be_tried_again(tmp_path: Path) -> None:
    connection = duckdb.Connection(path="w.duckdb", timeout=timedelta(milliseconds=100))
    place = Place(lambda: duckdb.open_store("w", connection, tmp_path), tmp_path / "_runs")
    place.run(1, [(load("t"), rows((1, "a")))])
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code, str(tmp_path / "w.duckdb")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdin is not None
        writer.stdout.readline()
        with pytest.raises(RetriableError) as told:
            place.run(2, [(load("t"), rows((2, "b")))])
        writer.stdin.close()
    assert told.value.code is Code.CONFLICT
    assert "another process" in told.value.message
    assert place.pairs("t") == [(1, "a")]
