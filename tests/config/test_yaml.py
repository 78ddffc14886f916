"""YAML is read strictly, safely, and with its lines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml as pyyaml
from hypothesis import given
from hypothesis import strategies as st

from headgate.config.dump import dump
from headgate.config.yaml import MAX_BYTES, RefusedError, Section, parse, place, plain, read
from headgate.core.errors import Problem


def refused(text: str) -> Problem:
    with pytest.raises(RefusedError) as caught:
        parse(text, "x.yml")
    return caught.value.problems[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"), ("no", "no"), ("y", "y"), ("02:00", "02:00"), ("true", True), ("False", False), ("~", None),
        ("", None), ("100_000", 100_000), ("0x1f", 31), ("007", "007"), ("-3", -3), ("1.5", 1.5), ("1e3", 1000.0),
        (".5", 0.5), ("1.2.3", "1.2.3"), ("2024-01-31", date(2024, 1, 31)), (".inf", float("inf")),
        ("2024-01-31 10:00:00", datetime.fromisoformat("2024-01-31T10:00:00")), ('"5"', "5"),
        ("'true'", "true"), ("0 2 * * *", "0 2 * * *"),
        ("0.1234567890123456789", Decimal("0.1234567890123456789")), ("${NAME}", "${NAME}"),
    ],
)  # fmt: skip
def test_plain_words_mean_what_people_expect(text: str, value: object) -> None:
    found = parse(f"k: {text}", "x.yml")["k"]
    assert found == value
    assert type(found) is type(value)


def test_a_time_with_a_zone_keeps_it() -> None:
    assert parse("k: 2024-01-31T10:00:00+02:00", "x.yml")["k"] == datetime.fromisoformat("2024-01-31T10:00:00+02:00")


def test_keys_are_always_text() -> None:
    assert list(parse("on: 1\n1: 2\ntrue: 3\nnull: 4", "x.yml")) == ["on", "1", "true", "null"]


def test_every_part_knows_its_line() -> None:
    document = parse("a: 1\nb:\n  - x\n  - {c: 2,\n     d: 3}\n", "x.yml")
    assert place(document, ("b", 1, "d")) == 5
    assert place(document, ("b", 1, "gone", 3)) == 4
    assert place(document, ("b", 0)) == 3


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: 2\na: 3", 3, 'the key "a" stands twice: in lines 1 and 3'),
        ("a: !!python/object/apply:os.system [x]", 1, "the tag"),
        ("a: !thing {}", 1, "the tag"),
        ("a: 1\n---\nb: 2", 2, "second document"),
        ("a:\n\t- b", 2, "not YAML"),
        ("a: [1,\nb: 2\n", 3, "not YAML"),
        ("a: &x [*x]", 1, "refers to itself"),
        ("a: *gone", 1, "not YAML"),
        ("? [a, b]\n: 1", 1, "a key must be text"),
        ("- a\n- b", 1, "a mapping"),
        ("just words", 1, "a mapping"),
        ("a: 2024-02-30", 1, "2024-02-30"),
        ("a: " + "9" * 500, 1, "too long"),
        ("a: " + "[" * 60 + "]" * 60, 1, "nested more than"),
        ("[" * 50_000, 1, "nested more than"),
        ("a: b\x00c", 1, "not YAML"),
        ("<<: 3", 1, "<< wants a mapping"),
    ],
)
def test_what_is_refused_is_told_with_its_line(text: str, line: int, words: str) -> None:
    problem = refused(text)
    if "gone" in text:
        assert "gone" in problem.message
    else:
        assert words in problem.message
    assert (problem.file, problem.line) == ("x.yml", line)


def test_tabs_have_a_hint_of_their_own() -> None:
    assert refused("a:\n\tb: 1").hint == "indent with spaces, not with tabs"


def test_a_billion_laughs_end_early() -> None:
    lines = ["a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    assert "more than 100000 values" in refused("\n".join(lines)).message


def test_anchors_and_merges_work_within_bounds() -> None:
    document = parse("base: &b {x: 1, y: 2}\none:\n  <<: *b\n  y: 3\ntwo: *b", "x.yml")
    assert plain(document) == {"base": {"x": 1, "y": 2}, "one": {"y": 3, "x": 1}, "two": {"x": 1, "y": 2}}
    assert document["two"] is not document["base"]


def test_files_that_are_no_text_are_told_apart(tmp_path: Path) -> None:
    cases = {
        "latin.yml": (b"a: 1\nb: caf\xe9", "not UTF-8", 2),
        "large.yml": (b"#" * (MAX_BYTES + 1), "larger than", 0),
    }
    for name, (data, words, line) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(RefusedError, match=words) as caught:
            read(tmp_path / name, name)
        assert caught.value.problems[0].line == line
    with pytest.raises(RefusedError, match="no such file"):
        read(tmp_path / "gone.yml", "gone.yml")
    with pytest.raises(RefusedError, match="cannot be read"):
        read(tmp_path, "folder.yml")


def test_an_empty_file_and_a_byte_order_mark_are_fine(tmp_path: Path) -> None:
    (tmp_path / "empty.yml").write_bytes(b"")
    (tmp_path / "marked.yml").write_bytes(b"\xef\xbb\xbfa: 1")
    assert read(tmp_path / "empty.yml", "e") == Section()
    assert read(tmp_path / "marked.yml", "m") == {"a": 1}


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20) | st.sampled_from(
    [
        "on",
        "no",
        "1e5",
        "007",
        "2024-01-01",
        "2024-02-30",
        "null",
        "~",
        "0x1f",
        ".inf",
        "a: b",
        "- x",
        "# c",
        "1_0",
        "=",
        "<<",
    ]
)
NAMES = TEXTS.filter(lambda key: key not in ("", "<<"))
VALUES: st.SearchStrategy[Any] = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none() | st.dates() | st.floats(allow_nan=False) | st.decimals(
        allow_nan=False, allow_infinity=False, places=25, min_value=-9, max_value=9
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.text("abc", min_size=1), VALUES, max_size=4))
def test_what_is_written_reads_back_the_same(value: dict[str, Any]) -> None:
    assert repr(exact(plain(parse(dump(value), "x.yml")))) == repr(exact(value))


def exact(value: Any) -> Any:
    """Numbers as exact decimals: a float and the decimal it shows are the same number in YAML."""
    match value:
        case dict():
            return {key: exact(item) for key, item in value.items()}
        case list():
            return [exact(item) for item in value]
        case float() | Decimal() if Decimal(str(value)).is_finite():
            return format(Decimal(str(value)).normalize(), "f")
        case _:
            return value


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert all(problem.file == "x.yml" and problem.line > 0 for problem in problems(text))


def problems(text: str) -> Sequence[Problem]:
    try:
        parse(text, "x.yml")
    except RefusedError as error:
        return error.problems
    return ()


def test_the_pure_parser_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: [1, {b: x}]\nc: |\n  two\n  lines\n"
    fast = parse(text, "x.yml")
    monkeypatch.setattr("headgate.config.yaml._LOADER", pyyaml.SafeLoader)
    assert parse(text, "x.yml") == fast
    assert refused("a: \x07").message.startswith("it is not YAML")
