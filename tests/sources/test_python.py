"""Functions of the user's as sources: called once, typed by their first rows, and their errors in one line."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from headgate.core.contracts import Interval, ReadContext
from headgate.core.errors import Code, FatalError
from headgate.io.rows import Rows, infer
from headgate.io.userland import load_function, source_hash
from headgate.sources import python


def write(root: Path, body: str, name: str = "feeds.py") -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("from datetime import date, datetime\nfrom decimal import Decimal\nimport pyarrow as pa\n" + body)


def run(
    root: Path, since: Mapping[str, Any] | None = None, *, batch_size: int = 100_000, **options: Any
) -> tuple[pa.Table, Mapping[str, Any]] | None:
    """(rows, position) of one run as the interpreter does it; None when there is nothing new."""
    source = python.open_source(python.Connection(), root)
    read = python.Read(**{"function": "feeds:rows", **options})
    context = ReadContext(root, batch_size=batch_size)
    try:
        window = source.probe(read, context, since)
        if window is None:
            return None
        schema = source.schema(read, context, since)
        scan = source.scan(read, context, window)
        assert scan.batches is not None
        assert scan.position is not None
        table = scan.batches.read_all()
        assert table.schema == schema.raw
        scan.close()
        return table, scan.position()
    finally:
        source.close()


def told(root: Path, **options: Any) -> list[str]:
    """What a run warns of."""
    source = python.open_source(python.Connection(), root)
    read, context = python.Read(**{"function": "feeds:rows", **options}), ReadContext(root)
    window = source.probe(read, context, None)
    assert window is not None
    scan = source.scan(read, context, window)
    assert scan.batches is not None
    scan.batches.read_all()
    scan.close()
    source.close()
    return list(scan.warnings())


def rows(root: Path, **options: Any) -> list[dict[str, Any]]:
    found = run(root, **options)
    assert found is not None
    return found[0].to_pylist()


def refused(root: Path, **options: Any) -> FatalError:
    with pytest.raises(FatalError) as caught:
        run(root, **options)
    return caught.value


BY_N: dict[str, Any] = {"mode": "incremental", "incremental": {"column": "n"}}


@pytest.mark.parametrize(
    "body",
    [
        "def rows():\n yield {'n': 1, 's': 'a'}\n yield {'s': None, 'n': 2}",
        "def rows():\n return [{'n': 1, 's': 'a'}, {'n': 2}]",
        "def rows():\n yield [{'n': 1, 's': 'a'}]\n yield []\n yield [{'n': 2}]",
        "def rows():\n return pa.table({'n': [1, 2], 's': ['a', None]})",
        "def rows(since=0):\n yield pa.record_batch({'n': [1], 's': ['a']})\n yield pa.table({'s': [None], 'n': [2]})",
        "def rows():\n yield pa.record_batch({'n': [1], 's': ['a']})\n yield {'n': 2}",
    ],
)
def test_rows_come_in_any_of_the_usual_forms(tmp_path: Path, body: str) -> None:
    write(tmp_path, body)
    assert rows(tmp_path) == [{"n": 1, "s": "a"}, {"n": 2, "s": None}]


def test_types_follow_from_the_first_rows(tmp_path: Path) -> None:
    write(
        tmp_path,
        "def rows():\n yield {'i': None, 'f': 1, 'd': Decimal('1.50'), 'b': b'x', 'day': date(2024, 1, 1),"
        " 'at': datetime(2024, 1, 1), 'none': None, 'tags': ['a'], 'o': {'x': 1}}\n yield {'i': 7, 'f': 0.5}",
    )
    found = run(tmp_path)
    assert found is not None
    assert [str(type_) for type_ in found[0].schema.types] == [
        "int64", "double", "decimal128(38, 2)", "binary", "date32[day]", "timestamp[us]", "string",
        "list<item: string>", "struct<x: int64>",
    ]  # fmt: skip


def test_declared_columns_win(tmp_path: Path) -> None:
    write(tmp_path, "def rows():\n yield {'n': 1, 'price': Decimal('2.5')}")
    assert rows(tmp_path, columns={"price": "DECIMAL(10,2)", "n": "SMALLINT", "more": "DATE"}) == [
        {"price": Decimal("2.50"), "n": 1, "more": None}
    ]


@pytest.mark.parametrize(
    ("second", "what"),
    [
        ("{'n': 'x'}", "row 1002: n is 'x', which does not fit int64"),
        ("{'n': 1.5}", "row 1002: n is 1.5, which does not fit int64"),
        ("{'n': True}", "row 1002: n is True, which does not fit int64"),
        ("{'n': 2**70}", "row 1002: n is 1180591620717411303424, which does not fit int64"),
        ("{'n': 1, 'new': 2}", "row 1002: new is not a column"),
        ("pa.table({'n': ['x']})", "row 1002: n is string in a batch"),
        ("pa.table({'m': [1]})", "row 1002: m are the columns of a batch"),
    ],
)
def test_a_row_that_does_not_fit_is_named(tmp_path: Path, second: str, what: str) -> None:
    write(tmp_path, f"def rows():\n for n in range(1001):\n  yield {{'n': n}}\n yield {second}")
    error = refused(tmp_path)
    assert error.code is Code.EXTRACTION_FAILED
    assert error.message.startswith(what)
    assert error.hint


@pytest.mark.parametrize(
    ("body", "code", "what"),
    [
        ("def rows():\n yield {'n': 1}\n raise KeyError('no')", Code.EXTRACTION_FAILED, "KeyError: 'no' (feeds.py:6)"),
        ("def rows():\n return 1 / 0", Code.EXTRACTION_FAILED, "ZeroDivisionError: division by zero (feeds.py:5)"),
        ("def rows(:", Code.CONFIG_INVALID, "SyntaxError: invalid syntax (feeds.py:4)"),
        ("import nothing_like_this", Code.CONFIG_INVALID, "ModuleNotFoundError: No module named 'nothing_like_this'"),
        ("def row():\n pass", Code.CONFIG_INVALID, "feeds.py has no function rows"),
        ("def rows(key):\n pass", Code.CONFIG_INVALID, "it needs an argument key"),
        ("def rows():\n return None", Code.EXTRACTION_FAILED, "it returned nothing"),
        ("def rows():\n return 'text'", Code.EXTRACTION_FAILED, "it returned a str"),
        ("def rows():\n yield 5", Code.EXTRACTION_FAILED, "it yielded a int"),
        ("def rows():\n yield {1: 2}", Code.EXTRACTION_FAILED, "a key is not text"),
        ("def rows():\n yield {'n': 1}\n yield {'n': 'x'}", Code.EXTRACTION_FAILED, "the values of n have no common"),
        ("def rows():\n return []", Code.EXTRACTION_FAILED, "it yielded no rows"),
    ],
)
def test_faults_of_the_function_are_one_line(tmp_path: Path, body: str, code: Code, what: str) -> None:
    write(tmp_path, body)
    error = refused(tmp_path)
    assert error.code is code
    assert error.message.startswith(what)
    assert "Traceback" not in str(error)


@pytest.mark.parametrize("function", ["feeds", "feeds:", "../feeds:rows", "a.b", "os:system()", "feedz:rows"])
def test_references_that_name_nothing_are_refused(tmp_path: Path, function: str) -> None:
    write(tmp_path, "def rows():\n yield {'n': 1}")
    error = refused(tmp_path, function=function)
    assert error.code is Code.CONFIG_INVALID
    assert "feeds" in error.hint or "transforms:score" in error.hint


def test_the_function_is_called_once_and_closed(tmp_path: Path) -> None:
    body = (
        "from pathlib import Path\nlog = Path(__file__).with_name('log')\n"
        "def rows(since):\n"
        " with log.open('a') as f:\n  f.write('called ')\n"
        " try:\n  for n in range(5000):\n   yield {'n': n}\n"
        " finally:\n  with log.open('a') as f:\n   f.write('closed ')\n"
    )
    write(tmp_path, body)
    assert len(rows(tmp_path, **BY_N)) == 5000
    assert (tmp_path / "log").read_text() == "called closed "
    (tmp_path / "log").unlink()
    source = python.open_source(python.Connection(), tmp_path)
    source.schema(python.Read(function="feeds:rows"), ReadContext(tmp_path), None)
    source.close()
    assert (tmp_path / "log").read_text() == "called closed "


def test_batches_are_bounded(tmp_path: Path) -> None:
    write(tmp_path, "def rows():\n for n in range(1050):\n  yield {'n': n}")
    source = python.open_source(python.Connection(), tmp_path)
    read, context = python.Read(function="feeds:rows"), ReadContext(tmp_path, batch_size=100)
    window = source.probe(read, context, None)
    assert window is not None
    scan = source.scan(read, context, window)
    assert scan.batches is not None
    sizes = [batch.num_rows for batch in scan.batches]
    assert (max(sizes), sum(sizes)) == (100, 1050)
    assert len(rows(tmp_path, max_records=7)) == 7


def test_an_incremental_function_is_not_run_for_an_interval(tmp_path: Path) -> None:
    write(tmp_path, "def rows():\n yield {'n': 1}")
    source = python.open_source(python.Connection(), tmp_path)
    context = ReadContext(tmp_path, interval=Interval("2024-01-31", "2024-02-01"))
    with pytest.raises(FatalError, match="not what lies in an interval"):
        source.probe(python.Read(function="feeds:rows", **BY_N), context, None)
    assert source.probe(python.Read(function="feeds:rows"), context, None) is not None
    source.close()


def test_an_incremental_function_gets_the_edge_and_its_rows_are_read_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        "import json\nfrom pathlib import Path\n"
        "def rows(since):\n"
        " for n in json.loads(Path(__file__).with_name('data').read_text()):\n"
        "  if since is None or n >= since:\n   yield {'n': n, 'since': since}\n",
    )
    data = tmp_path / "data"
    data.write_text("[1, 2, 2]")
    by_key: dict[str, Any] = {"mode": "incremental", "incremental": {"column": "n", "key": "n"}}
    found = run(tmp_path, columns={"n": "BIGINT", "since": "BIGINT"}, **by_key)
    assert found is not None
    assert found[0]["n"].to_pylist() == [1, 2, 2]
    data.write_text("[1, 2, 2, 5, 3]")
    again = run(tmp_path, found[1], columns={"n": "BIGINT", "since": "BIGINT"}, **by_key)
    assert again is not None
    assert set(again[0]["n"].to_pylist()) == {3, 5}
    assert set(again[0]["since"].to_pylist()) == {2}
    assert again[1]["value"] == "5"
    data.write_text("[]")
    assert run(tmp_path, again[1], **BY_N) is None


@pytest.mark.parametrize(
    ("value", "later"),
    [
        (datetime(2024, 1, 1, 5), timedelta(hours=1)),  # noqa: DTZ001 - naive on purpose
        (date(2024, 1, 1), timedelta(days=1)),
        (Decimal("1.50"), Decimal("0.25")),
        ("a", "b"),
    ],
)
def test_any_growing_type_is_a_cursor(tmp_path: Path, value: Any, later: Any) -> None:
    head = "import datetime\ndef rows(since):\n"
    write(tmp_path, f"{head} yield {{'n': {value!r}}}")
    found = run(tmp_path, **BY_N)
    assert found is not None
    write(tmp_path, f"{head} assert since == {value!r}\n yield {{'n': {value + later!r}}}")
    again = run(tmp_path, found[1], **BY_N)
    assert again is not None
    assert again[0]["n"].to_pylist() == [value + later]


def test_a_row_in_the_future_waits_and_takes_the_watermark_nowhere(tmp_path: Path) -> None:
    write(
        tmp_path,
        "def rows():\n for n in ('2024-01-02', '9999-01-01', '2024-01-01'):\n  yield {'n': date.fromisoformat(n)}",
    )
    found = run(tmp_path, **BY_N)
    assert found is not None
    assert found[0]["n"].to_pylist() == [date(2024, 1, 2), date(2024, 1, 1)]
    assert found[1]["value"] == "2024-01-02"
    assert told(tmp_path, **BY_N) == [
        "n: 1 row lies in the future of the source's clock and will be read when their time has come"
    ]
    write(tmp_path, "def rows(since):\n assert since == date(2024, 1, 2)\n yield {'n': date(2024, 1, 3)}", "feeds.py")
    again = run(tmp_path, found[1], **BY_N)
    assert again is not None
    assert again[0]["n"].to_pylist() == [date(2024, 1, 3)]


def test_later_runs_use_the_pinned_types(tmp_path: Path) -> None:
    write(tmp_path, "def rows():\n yield {'n': 1, 's': None}")
    found = run(tmp_path)
    assert found is not None
    write(tmp_path, "def rows():\n yield {'n': 1, 's': 7}")
    with pytest.raises(FatalError, match="s is 7, which does not fit string"):
        run(tmp_path, found[1])


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "snapshot"},
        {"mode": "incremental"},
        {"incremental": {"column": "n"}},
        {"table": "t"},
        {"max_records": 5, **BY_N},
    ],
)
def test_what_functions_cannot_do_is_refused_in_the_configuration(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        python.Read(function="feeds:rows", **options)


def test_a_cursor_that_the_function_does_not_yield_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "def rows(since):\n yield {'m': 1}")
    assert refused(tmp_path, **BY_N).code is Code.PLAN_INVALID


scalars = st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(codec="utf-8"), max_size=5)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.dictionaries(st.sampled_from("abc"), scalars, max_size=3), max_size=6), st.integers(1, 3))
def test_rows_come_back_as_they_were_or_are_refused(given_rows: list[dict[str, Any]], size: int) -> None:
    try:
        schema = infer(list(given_rows), "f")
        found = [row for batch in Rows("f", schema, size).batches(given_rows) for row in batch.to_pylist()]
    except FatalError as error:
        assert error.code is Code.EXTRACTION_FAILED  # noqa: PT017 - both outcomes are right, silent change is not
    else:
        assert found == [{name: row.get(name) for name in schema.names} for row in given_rows]


# ------------------------------------------------------------------------------------------------ loading


def test_projects_with_the_same_module_names_do_not_meet(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(
            tmp_path / name,
            "import shared\nfrom pkg.inner import deep\ndef rows():\n return [{'n': shared.NAME + deep}]",
        )
        write(tmp_path / name, f"NAME = '{name}'", "shared.py")
        write(tmp_path / name, "", "pkg/__init__.py")
        write(tmp_path / name, f"from . import other\ndeep = other.VALUE + '{name}'", "pkg/inner.py")
        write(tmp_path / name, "VALUE = '!'", "pkg/other.py")
    path_before = list(sys.path)
    for name in ("one", "two", "one"):
        assert rows(tmp_path / name) == [{"n": f"{name}!{name}"}]
    assert sys.path == path_before
    assert not {"shared", "pkg", "pkg.inner", "feeds"} & set(sys.modules)


def test_a_changed_file_is_loaded_again_and_has_another_hash(tmp_path: Path) -> None:
    write(tmp_path, "def rows():\n return 1")
    first, digest = load_function("feeds:rows", tmp_path), source_hash("feeds:rows", tmp_path)
    assert load_function("feeds:rows", tmp_path) is first
    write(tmp_path, "def rows():\n return 2")
    assert load_function("feeds:rows", tmp_path)() == 2
    assert source_hash("feeds:rows", tmp_path) != digest


def test_dataclasses_and_packages_load(tmp_path: Path) -> None:
    body = "from dataclasses import dataclass\n@dataclass\nclass R:\n n: int\ndef rows():\n return R(1).n"
    write(tmp_path, body, "pkg/feeds.py")
    assert load_function("pkg.feeds:rows", tmp_path)() == 1


def test_a_module_behind_a_link_out_of_the_project_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "outside", "def rows():\n return 1")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "feeds.py").symlink_to(tmp_path / "outside" / "feeds.py")
    with pytest.raises(FatalError) as caught:
        load_function("feeds:rows", tmp_path / "project")
    assert caught.value.code is Code.CONFIG_INVALID
