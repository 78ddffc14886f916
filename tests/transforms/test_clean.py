from __future__ import annotations

import re
import statistics
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.often import few
from tests.plan.projects import SmallProject

from headgate.core.errors import FatalError
from headgate.sql.shapes import Deduplicate, Drop, Project
from headgate.transforms import clean

SPELLINGS = ["", "NULL", "null", "N/A", "nan"]
TEXTS = st.one_of(
    st.none(),
    st.sampled_from(["  a ", "N/A", " N/A\t", "ß", "\u00a0x\u3000", "nan", "", " "]),
    st.text(alphabet=" \tabÄ", max_size=5),
)
SPACE = " \t\n\r\v\f\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


@for_all(st.lists(st.tuples(TEXTS), max_size=6))
def test_white_space_goes_before_spellings_of_null(execute: Any, rows: list[Any]) -> None:
    outcome = execute(clean, {"trim": True, "null_values": SPELLINGS}, {"t": "VARCHAR"}, rows)
    stripped = [text if text is None else text.strip(SPACE) for (text,) in rows]
    assert outcome.rows == [(None if text in SPELLINGS else text,) for text in stripped]


@for_all(
    st.lists(st.tuples(st.one_of(st.none(), st.text("aB9Ä ß-_.@\t", max_size=6))), max_size=5),
    st.sampled_from(["", "@.", "-"]),
)
def test_special_characters_go_and_the_others_change_case(execute: Any, rows: list[Any], stay: str) -> None:
    options = {"remove_special": {"t": stay}, "case": {"t": "lower"}}
    kept = [
        None if text is None else "".join(c for c in text if c.isalnum() or c.isspace() or c in stay).lower()
        for (text,) in rows
    ]
    assert execute(clean, options, {"t": "VARCHAR"}, rows).rows == [(text,) for text in kept]


@for_all(st.lists(st.tuples(st.sampled_from([None, "1", " 2", "x", "N/A"]), st.sampled_from([None, "a"])), max_size=7))
def test_what_is_lacking_is_filled_or_goes(execute: Any, rows: list[Any]) -> None:
    options = {
        "trim": True, "null_values": SPELLINGS, "convert": {"n": "INTEGER"}, "fill": {"n": 0}, "remove_nulls": ["t"],
        "deduplicate": True,
    }  # fmt: skip
    outcome = execute(clean, options, {"n": "VARCHAR", "t": "VARCHAR"}, rows)
    good = [(0 if number in (None, "N/A") else int(number), text) for number, text in rows if number != "x"]
    assert sorted(outcome.rows) == sorted({row for row in good if row[1] is not None})
    assert [row for row, _ in outcome.held] == [row for row in rows if row[0] == "x"]


def test_numbers_are_left_alone(execute: Any) -> None:
    columns = {"t": "VARCHAR", "n": "DOUBLE"}
    outcome = execute(clean, {"trim": True, "null_values": ["0", "nan"]}, columns, [(" 0 ", 0.0)])
    assert outcome.rows == [(None, 0.0)]


def test_the_order_is_trim_null_case_convert_fill_drop_deduplicate(execute: Any) -> None:
    columns = {"id": "VARCHAR", "country": "VARCHAR", "amount": "VARCHAR"}
    rows = [
        (" 1", "de ", "10"),
        ("1", " DE", "10"),
        ("2", "N/A", " N/A "),
        ("3", "", "x"),
        ("N/A", "fr", "5"),
        ("4", "", "7"),
    ]
    options = {
        "trim": True,
        "null_values": SPELLINGS,
        "case": {"country": "upper"},
        "convert": {"amount": "INTEGER"},
        "fill": {"country": "Unknown", "amount": 0},
        "remove_nulls": ["id"],
        "deduplicate": True,
    }
    outcome = execute(clean, options, columns, rows)
    assert sorted(outcome.rows) == [("1", "DE", 10), ("2", "Unknown", 0), ("4", "Unknown", 7)]
    assert outcome.held == [(("3", "", "x"), ("clean amount",))]
    assert outcome.dropped == {"filtered": 1, "deduplicated": 1}


@pytest.mark.parametrize(
    ("case", "text", "result"),
    [
        ("lower", "ÄB c", "äb c"),
        ("upper", "äb c", "ÄB C"),
        ("title", "jOHN  o'neil\tsMITH", "John  O'neil\tSmith"),
        ("title", "", ""),
        ("title", " ", " "),
        ("title", "a\vb\u00a0c\u2003d\x85e", "A\vB\u00a0C\u2003D\x85E"),
    ],
)
def test_case(execute: Any, case: str, text: str, result: str) -> None:
    assert execute(clean, {"case": {"t": case}}, {"t": "VARCHAR"}, [(text,), (None,)]).rows == [(result,), (None,)]


def test_only_named_columns_are_trimmed(execute: Any) -> None:
    assert execute(clean, {"trim": ["A"]}, {"a": "VARCHAR", "b": "VARCHAR"}, [(" x ", " y ")]).rows == [("x", " y ")]


def test_rows_lacking_a_value_are_filtered(execute: Any) -> None:
    outcome = execute(
        clean, {"remove_nulls": ["a", "b"]}, {"a": "INTEGER", "b": "INTEGER"}, [(0, 0), (None, 1), (1, None)]
    )
    assert outcome.rows == [(0, 0)]
    assert outcome.dropped["filtered"] == 2


def test_of_one_key_the_last_row_stays(execute: Any) -> None:
    columns = {"k": "INTEGER", "at": "DATE"}
    rows = [(1, date(2024, 1, 2)), (1, date(2024, 1, 3)), (1, date(2024, 1, 1))]
    assert execute(clean, {"deduplicate": ["k"], "order_by": "at"}, columns, rows).rows == [rows[1]]
    assert execute(clean, {"deduplicate": ["k"], "order_by": "at", "keep": "first"}, columns, rows).rows == [rows[2]]


def test_fill_keeps_the_type(execute: Any) -> None:
    outcome = execute(clean, {"fill": {"n": 1.5}}, {"n": "DECIMAL(10, 2)"}, [(None,)])
    assert outcome.columns == {"n": "DECIMAL(10,2)"}


@pytest.mark.parametrize(
    "options",
    [
        {"trim": ["absent"]},
        {"trim": ["n"]},
        {"case": {"n": "lower"}},
        {"fill": {"n": "Unknown"}},
        {"fill": {"n": 1.5}},
        {"remove_nulls": ["absent"]},
        {"deduplicate": ["n"]},
        {"convert": {"n": "NUMBR"}},
    ],
)
def test_columns_that_are_absent_or_of_another_type_are_refused(given: Any, options: dict[str, Any]) -> None:
    with pytest.raises(FatalError):
        clean.shapes(clean.Options(type="clean", **options), given({"n": "INTEGER", "t": "VARCHAR"}))


def test_a_step_without_work_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs something to do"):
        clean.Options(type="clean")


def test_nothing_is_computed_that_was_not_asked_for(given: Any) -> None:
    found = clean.shapes(clean.Options(type="clean", remove_nulls=["a"], deduplicate=True), given({"a": "INTEGER"}))
    assert [type(shape) for shape in found] == [Drop, Deduplicate]
    assert isinstance(clean.shapes(clean.Options(type="clean", trim=True), given({"t": "VARCHAR"}))[0], Project)


WORDS = st.one_of(
    st.none(),
    st.sampled_from(
        ["N/A", " N/A", "nan!", "NULL", "null", "7", " 7 ", "-7", "x7", "jOHN  o'neil\tsMITH", "ä.B-c\u00a0dE"]
    ),
    st.text("aÄ 7-.\v\u00a0", max_size=4),
)
MESSY = st.lists(st.tuples(WORDS, WORDS, st.one_of(st.none(), st.integers(-3, 3))), max_size=6).map(
    lambda rows: [(number, *row) for number, row in enumerate(rows)]
)
COLUMNS = {"id": "INTEGER", "t": "VARCHAR", "u": "VARCHAR", "x": "INTEGER"}
WORK: dict[str, Any] = {
    "trim": st.sampled_from([True, ["t"], ["U"], ["t", "u"], ["absent"]]),
    "remove_special": st.sampled_from([["t"], {"t": "-", "u": "."}, {"u": ""}, ["absent"]]),
    "null_values": st.sampled_from([SPELLINGS, "NA", ["7", "N/A"]]),
    "case": st.dictionaries(
        st.sampled_from(["t", "u", "absent"]), st.sampled_from(["lower", "upper", "title"]), min_size=1
    ),
    "convert": st.sampled_from([{"u": "INTEGER"}, {"T": "BIGINT"}, {"t": "INTEGER", "u": "INTEGER"}]),
    "fill": st.dictionaries(st.sampled_from(["x", "absent"]), st.sampled_from([0, {"value": 9}]), min_size=1),
    "remove_nulls": st.lists(st.sampled_from(["t", "u", "X", "absent"]), min_size=1, unique=True),
    "deduplicate": st.sampled_from([True, ["t"], ["u", "x"], "x"]),
}
CHOICES = st.fixed_dictionaries({"keep": st.sampled_from(["first", "last"])}, optional=WORK).filter(
    lambda chosen: len(chosen) > 1
)
BLANKS = " \t\n\v\f\r"
SHOWN = {"lower": str.lower, "upper": str.upper}


def test_what_stood_beside_a_special_character_is_trimmed_too(execute: Any) -> None:
    """And a text of nothing else is empty, so that it may be a spelling of NULL."""
    options = {"trim": True, "remove_special": ["t"], "null_values": [""]}
    outcome = execute(clean, options, {"t": "VARCHAR"}, [("* a b !",), (" -- - ",)])
    assert outcome.rows == [("a b",), (None,)]


def title(text: str) -> str:
    """A capital at the start of each word; words end at white space."""
    starts = [not place or text[place - 1] in SPACE for place in range(len(text))]
    return "".join(one.upper() if starts[place] else one.lower() for place, one in enumerate(text))


def tidy(text: str | None, name: str, chosen: dict[str, Any]) -> str | None:
    """What becomes of a text before it is converted, step by step as documented."""
    if text is None:
        return None
    special = chosen.get("remove_special", {})
    if name in special:
        stay = special[name] if isinstance(special, dict) else ""
        text = "".join(one for one in text if one.isalnum() or one in SPACE or one in stay)
    trims = chosen.get("trim", ())
    if trims is True or (trims and name in [one.lower() for one in trims]):
        text = text.strip(SPACE)
    nulls = chosen.get("null_values", ())
    if text in ([nulls] if isinstance(nulls, str) else nulls):
        return None
    return {**SHOWN, "title": title}.get(chosen.get("case", {}).get(name, ""), str)(text)


def cleaned(row: Any, chosen: dict[str, Any]) -> dict[str, Any]:
    """The values of a row before any row goes; "wrong" where a text is no number."""
    number, t, u, x = row
    found = {"id": number, "t": tidy(t, "t", chosen), "u": tidy(u, "u", chosen), "x": x}
    for name in (one.lower() for one in chosen.get("convert", ())):
        if found[name] is not None:
            plain = re.fullmatch(r"[+-]?([0-9]+(\.0*)?|\.0+)", found[name].strip(BLANKS), re.ASCII)
            found[name] = int(Decimal(plain.group())) if plain else "wrong"
    fill = chosen.get("fill", {}).get("x")
    if x is None:
        found["x"] = fill["value"] if isinstance(fill, dict) else fill
    return found


@few
@for_all(MESSY, CHOICES)
def test_whatever_is_asked_for_is_done_in_the_documented_order(
    execute: Any, rows: list[Any], chosen: dict[str, Any]
) -> None:
    outcome = execute(clean, {**chosen, "missing": "warn", "order_by": "id"}, COLUMNS, rows)
    good, held = [], []
    for row in rows:
        found = cleaned(row, chosen)
        wrong = tuple(f"clean {name}" for name in COLUMNS if found[name] == "wrong" and chosen.get("convert"))
        if wrong:
            held.append((row, wrong))
        elif all(found.get(one.lower(), 0) is not None for one in chosen.get("remove_nulls", ())):
            good.append(found)
    if "deduplicate" in chosen:
        names = ["id"] if chosen["deduplicate"] is True else list(chosen["deduplicate"])
        if chosen["keep"] == "first":
            good.reverse()
        good = list({tuple(found[name] for name in names): found for found in good}.values())
    assert sorted(outcome.rows) == sorted(tuple(found.values()) for found in good)
    assert outcome.held == held


NUMBERS = st.lists(
    st.tuples(st.sampled_from([None, "a", "b"]), st.one_of(st.none(), st.integers(-9, 9))), min_size=1, max_size=9
).map(lambda rows: [(number, *row) for number, row in enumerate(rows)])
SERIES = {"id": "INTEGER", "g": "VARCHAR", "x": "INTEGER"}


def half_away(number: float) -> int:
    return int(Decimal(repr(number)).quantize(Decimal(1), ROUND_HALF_UP))


@for_all(NUMBERS, st.booleans())
def test_fills_come_from_the_rows_of_the_group_that_have_a_value(execute: Any, rows: list[Any], grouped: bool) -> None:
    meant: dict[str, Any] = {
        "zero": lambda _: 0,
        "mean": lambda values: half_away(statistics.fmean(values)),
        "median": lambda values: half_away(statistics.median(values)),
        "mode": lambda values: min(values, key=lambda value: (-values.count(value), value)),
    }
    for strategy, value_of in meant.items():
        by = {"by": "g"} if grouped and strategy != "zero" else {}
        outcome = execute(clean, {"fill": {"x": {"strategy": strategy, **by}}}, SERIES, rows)
        expected = []
        for number, group, x in rows:
            values = [row[2] for row in rows if row[2] is not None and (not by or row[1] == group)]
            filled = x if x is not None else value_of(values) if values or strategy == "zero" else None
            expected.append((number, group, filled))
        assert sorted(outcome.rows) == expected, strategy
        assert outcome.columns == SERIES


WIDE = {
    "BIGINT": st.integers(-(2**63), 2**63 - 1),
    "UBIGINT": st.integers(0, 2**64 - 1),
    "HUGEINT": st.integers(-(2**127), 2**127 - 1),
    "DECIMAL(9,2)": st.integers(-(10**9) + 1, 10**9 - 1),
    "DECIMAL(38,4)": st.integers(-(10**38) + 1, 10**38 - 1),
    "DECIMAL(38,38)": st.integers(-(10**38) + 1, 10**38 - 1),
}
"""Of decimals their last digits' units."""


@few
@for_all(st.sampled_from(list(WIDE)), st.data(), st.sampled_from(["mean", "median"]))
def test_means_and_medians_are_right_to_the_last_digit(
    execute: Any, kind: str, data: st.DataObject, strategy: str
) -> None:
    """Half away from zero, and what no double holds."""
    units = data.draw(st.lists(st.one_of(WIDE[kind], st.integers(0, 3)), min_size=1, max_size=5))
    scale = int(kind.partition(",")[2].rstrip(")") or 0)
    if strategy == "mean":
        exact = Fraction(sum(units), len(units))
    else:
        middle = sorted(units)[(len(units) - 1) // 2 : len(units) // 2 + 1]
        exact = Fraction(sum(middle), len(middle))
    expected = int(abs(exact) + Fraction(1, 2)) * (1 if exact >= 0 else -1)

    def value(unit: int) -> int | Decimal:
        return Decimal((int(unit < 0), tuple(map(int, str(abs(unit)))), -scale)) if scale else unit

    table = [(number, value(unit)) for number, unit in enumerate([*units], start=1)]
    outcome = execute(clean, {"fill": {"x": {"strategy": strategy}}}, {"id": "INTEGER", "x": kind}, [(0, None), *table])
    assert outcome.columns == {"id": "INTEGER", "x": kind}
    assert outcome.rows == [(0, value(expected)), *table]


@for_all(NUMBERS, st.sampled_from(["forward", "backward"]))
def test_a_series_goes_on_with_the_nearest_value_of_its_group(execute: Any, rows: list[Any], strategy: str) -> None:
    fill = {"x": {"strategy": strategy, "by": ["g"], "order_by": "id DESC"}}
    outcome = execute(clean, {"fill": fill}, SERIES, rows)
    expected = []
    for number, group, x in rows:
        later = [row[2] for row in rows if row[1] == group and row[2] is not None and row[0] > number]
        earlier = [row[2] for row in rows if row[1] == group and row[2] is not None and row[0] < number]
        nearest = (later[0] if later else None) if strategy == "forward" else (earlier[-1] if earlier else None)
        expected.append((number, group, x if x is not None else nearest))
    assert sorted(outcome.rows) == expected


def test_decimals_and_doubles_are_filled_in_their_own_type(execute: Any) -> None:
    columns = {"d": "DECIMAL(6, 2)", "f": "DOUBLE"}
    rows = [(Decimal("1.00"), 1.0), (Decimal("2.01"), 2.5), (None, None)]
    outcome = execute(clean, {"fill": {"d": {"strategy": "mean"}, "f": {"strategy": "mean"}}}, columns, rows)
    assert outcome.rows[2] == (Decimal("1.51"), 1.75)
    assert outcome.columns == {"d": "DECIMAL(6,2)", "f": "DOUBLE"}


@pytest.mark.parametrize(
    ("options", "text", "expected"),
    [
        (["t"], "O'Neil-Smith, J.", "ONeilSmith J"),
        ({"t": "@._-"}, "jo.do-e+x@a_b.example!", "jo.do-ex@a_b.example"),
        ("t", "Größe№ 5\t(m²)", "Größe 5\tm²"),
        ({"t": "]^-\\"}, "a]^-\\[", "a]^-\\"),
        ("t", None, None),
        ("t", "a\v\x85\u00a0!b", "a\v\x85\u00a0b"),
        ("t", "e\u0301!", "e\u0301"),
    ],
)
def test_special_characters_leave_the_columns_that_are_named(
    execute: Any, options: Any, text: Any, expected: Any
) -> None:
    outcome = execute(clean, {"remove_special": options}, {"t": "VARCHAR", "u": "VARCHAR"}, [(text, "a!")])
    assert outcome.rows == [(expected, "a!")]


def test_an_absent_column_is_an_error_or_a_warning(execute: Any, given: Any) -> None:
    options = {"trim": ["t", "absent"], "fill": {"gone": 0}, "missing": "warn"}
    outcome = execute(clean, options, {"t": "VARCHAR"}, [(" a ",)])
    assert outcome.rows == [("a",)]
    assert outcome.notes == [f'there is no column "{name}", so it is not cleaned' for name in ("absent", "gone")]
    with pytest.raises(FatalError, match='column "absent" not found'):
        clean.shapes(clean.Options(type="clean", **{**options, "missing": "error"}), given({"t": "VARCHAR"}))


def test_without_one_of_its_keys_nothing_is_deduplicated(execute: Any) -> None:
    options = {"deduplicate": ["k", "gone"], "order_by": "v", "missing": "warn"}
    outcome = execute(clean, options, {"k": "INTEGER", "v": "INTEGER"}, [(1, 1), (1, 2)])
    assert outcome.rows == [(1, 1), (1, 2)]
    assert outcome.notes == ['there is no column "gone", so rows are not deduplicated']


@pytest.mark.parametrize(
    "fill",
    [
        {"strategy": "fill_meen"},
        {"strategy": "mean", "value": 1},
        {"strategy": "forward"},
        {"strategy": "mean", "order_by": "id"},
        {"value": 1, "by": "g"},
        {},
    ],
)
def test_a_misspelt_strategy_never_becomes_data(fill: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        clean.Options(type="clean", fill={"x": fill})


@pytest.mark.parametrize("strategy", ["zero", "mean", "median"])
def test_a_number_fills_numbers_only(given: Any, strategy: str) -> None:
    with pytest.raises(FatalError, match="is a number, but g is VARCHAR"):
        clean.shapes(clean.Options(type="clean", fill={"g": {"strategy": strategy}}), given(SERIES))


def test_means_see_the_rows_that_are_still_good(project: SmallProject) -> None:
    steps: list[dict[str, Any]] = [
        {"type": "filter", "condition": "total IS NULL OR total > 0"},
        {"type": "clean", "convert": {"note": "INTEGER"}, "fill": {"total": {"strategy": "mean"}}},
    ]
    receipt = project.define(steps=steps, error_handling={"on_row_error": "quarantine"}).run()
    assert project.out("SELECT id, total FROM out") == [(1, 10), (3, 30), (4, 20)]
    assert (receipt.rows.filtered, receipt.rows.quarantined) == (1, 1)
