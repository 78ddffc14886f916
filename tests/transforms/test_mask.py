from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.often import few
from tests.plan.projects import SmallProject
from tests.tables import COLUMNS as TYPES
from tests.tables import TABLES, Row, keys

from headgate.core.secrets import Secret
from headgate.queries.stages import document
from headgate.transforms import mask

SALT = "grain of salt that is not short"


def code(value: str, salt: str = SALT) -> str:
    return hmac.new(salt.encode(), value.encode(), hashlib.sha256).hexdigest()


def masked(project: SmallProject, salt: str = SALT, **columns: Any) -> list[Any]:
    (project.root / ".env").write_text(f"MASK_SALT='{salt}'\n")
    project.define(
        steps=[{"type": "mask", "salt": "${MASK_SALT}", "columns": columns}],
        target={"table": "out", "mode": "overwrite"},
    ).run()
    return project.out("SELECT * FROM out")


@pytest.mark.parametrize("salt", [SALT, "s", "long " * 30])
def test_a_hash_is_hmac_sha256_with_the_salt_and_null_stays_null(project: SmallProject, salt: str) -> None:
    rows = masked(project, salt, city="hash", total="hash")
    assert rows[0] == (1, code("Bonn", salt), code("10", salt), "1")
    assert rows[3][2] is None


def test_tokens_are_its_start_with_a_prefix(project: SmallProject) -> None:
    rows = masked(project, city={"method": "tokenise", "prefix": "city_", "length": 10}, note="redact", total="null")
    assert rows[0] == (1, "city_" + code("Bonn")[:10], None, "REDACTED")
    assert rows[3][3] is None


TEXTS = st.one_of(st.none(), st.text(max_size=6).filter(lambda text: "\0" not in text))


@few
@for_all(
    texts=st.lists(st.tuples(TEXTS, st.one_of(st.none(), st.integers(-(2**40), 2**40))), max_size=5),
    first=st.integers(0, 3),
    last=st.integers(0, 3),
    salt=st.text(min_size=1, max_size=90).filter(lambda text: "\0" not in text),
    words=st.tuples(st.sampled_from(["*", "·", "💧", "'"]), st.sampled_from(["REDACTED", "", "'"]), st.integers(8, 64)),
)
def test_every_method_is_what_it_says(
    execute: Any, texts: list[Any], first: int, last: int, salt: str, words: tuple[str, str, int]
) -> None:
    """Numbers are masked as the texts that show them."""
    sign, redacted, length = words

    def part(text: str) -> str:
        if len(text) <= first + last:
            return sign * len(text)
        return text[:first] + sign * (len(text) - first - last) + text[len(text) - last :]

    token = {"method": "tokenise", "prefix": "t_", "length": length}
    partial = {"method": "partial", "first": first, "last": last, "sign": sign}
    redact = {"method": "redact", "text": redacted}
    methods = {"p": partial, "r": redact, "n": "null", "h": "hash", "t": token, "i": "hash", "ip": partial,
               "ir": redact, "in": "null"}  # fmt: skip
    columns = {name: "BIGINT" if name[0] == "i" else "VARCHAR" for name in methods}
    rows = [(*[text] * 5, *[number] * 4) for text, number in texts]
    outcome = execute(mask, {"columns": methods, "salt": Secret(salt)}, columns, rows)

    def expected(text: str | None, number: int | None) -> tuple[str | None, ...]:
        shown = [None if one is None else str(one) for one in (text, number)]
        hashed = [None if one is None else code(one, salt) for one in shown]
        parts, hidden = ([None if one is None else of(one) for one in shown] for of in (part, lambda _: redacted))
        stands = None if hashed[0] is None else f"t_{hashed[0][:length]}"
        return (parts[0], hidden[0], None, hashed[0], stands, hashed[1], parts[1], hidden[1], None)

    assert list(outcome.columns.values()) == ["VARCHAR"] * 9
    assert outcome.rows == [expected(text, number) for text, number in texts]


@few
@for_all(TABLES)
def test_equal_values_of_any_type_have_equal_codes_and_others_have_not(execute: Any, rows: list[Row]) -> None:
    outcome = execute(mask, {"columns": dict.fromkeys(TYPES, "hash"), "salt": Secret(SALT)}, TYPES, rows)
    for name in TYPES:
        codes = keys(outcome.rows, [name])
        for one, its in zip(keys(rows, [name]), codes, strict=True):
            same = [other == its for other in codes]
            assert same == [other == one for other in keys(rows, [name])]
            assert (its == (None,)) == (one == (None,))


def test_no_plan_or_receipt_shows_the_salt(project: SmallProject) -> None:
    masked(project, city="hash")
    plan = project.plan()
    assert SALT not in json.dumps(document(plan), default=str)
    assert SALT not in repr(plan)
    assert SALT.encode().hex() not in plan.sql
    assert all(SALT.encode() not in content for path, content in project.files().items() if path != ".env")


def test_two_masks_of_one_plan_have_their_own_salts(project: SmallProject) -> None:
    (project.root / ".env").write_text("A=first salt\nB=second salt\n")
    steps = [
        {"type": "mask", "salt": "${A}", "columns": {"city": "hash"}},
        {"type": "mask", "salt": "${B}", "columns": {"note": "hash"}},
    ]
    project.define(steps=steps).run()
    assert project.out("SELECT city, note FROM out WHERE id = 1") == [
        (code("Bonn", "first salt"), code("1", "second salt"))
    ]


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("4111111111111111", {"last": 4}, "************1111"),
        ("Ünder", {"first": 1, "last": 1, "sign": "·"}, "Ü···r"),
        ("abc", {"first": 2, "last": 1}, "***"),
        ("", {"first": 1}, ""),
        (None, {"first": 1}, None),
    ],
)
def test_a_part_keeps_its_ends_and_nothing_of_short_texts(execute: Any, text: Any, options: Any, expected: Any) -> None:
    outcome = execute(mask, {"columns": {"t": {"method": "partial", **options}}}, {"t": "VARCHAR"}, [(text,)])
    assert outcome.rows == [(expected,)]


@pytest.mark.parametrize(
    "options",
    [
        {"columns": {"t": "hash"}},
        {"columns": {"t": "tokenise"}, "salt": ""},
        {"columns": {"t": "rot13"}},
        {"columns": {}},
        {"columns": {"t": {"method": "tokenise", "length": 4}}, "salt": "x"},
    ],
)
def test_what_would_not_hide_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        mask.Options(type="mask", **options)


@pytest.mark.parametrize("kind", ["DOUBLE", "FLOAT"])
def test_minus_zero_has_the_code_of_zero(execute: Any, kind: str) -> None:
    outcome = execute(mask, {"columns": {"x": "hash"}, "salt": Secret(SALT)}, {"x": kind}, [(0.0,), (-0.0,)])
    assert outcome.rows == [(code("0.0"),)] * 2
