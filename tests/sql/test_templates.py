from __future__ import annotations

from datetime import date
from typing import Any

import duckdb
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from headgate.core.errors import FatalError
from headgate.sql.templates import names, render_path, render_sql, unbound

TEXTS = st.text().filter(lambda text: "\0" not in text)


@for_all(TEXTS)
def test_a_value_is_a_value_whatever_it_holds(text: str) -> None:
    with duckdb.connect() as connection:
        bare = render_sql("SELECT {{ var.x }}, 1", {"var.x": text})
        inside = render_sql("SELECT 'a''b {{ var.x }}', 1", {"var.x": text})
        assert connection.execute(bare).fetchall() == [(text, 1)]
        assert connection.execute(inside).fetchall() == [("a'b " + text, 1)]


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("day = {{ ds }}", "day = CAST('2024-01-31' AS DATE)"),
        ("day = {{ds}}", "day = CAST('2024-01-31' AS DATE)"),
        ("'on {{ ds }}'", "'on 2024-01-31'"),
        ("n < {{ var.n }}", "n < 5"),
        ("a -- {{ nobody }}\n+ {{ var.n }}", "a -- {{ nobody }}\n+ 5"),
        ("/* {{ nobody }} */ {{ var.n }}", "/* {{ nobody }} */ 5"),
        ("{{ var.q }}", "'O''Neil'"),
        ("'{{ var.q }}'", "'O''Neil'"),
        ("type'{{ var.n }}'", "type'5'"),
        ("no variables", "no variables"),
        ("{ {x} } {{ }} {{ 1 }} {% if %}", "{ {x} } {{ }} {{ 1 }} {% if %}"),
    ],
)
def test_variables_become_typed_literals(template: str, rendered: str) -> None:
    assert render_sql(template, {"ds": date(2024, 1, 31), "var.n": 5, "var.q": "O'Neil"}) == rendered


@pytest.mark.parametrize(
    "template",
    [
        '"{{ var.x }}"',
        'SELECT "a {{ var.x }}"',
        "{{ var.y }}",
        "'{{ nobody }}'",
        "e'\\'{{ var.x }}'",
        "$${{ var.x }}$$",
        "$a$ {{ var.x }} $a$",
        "/* /* */ {{ var.x }} */",
    ],
)
def test_where_no_value_may_stand_it_is_refused(template: str) -> None:
    with pytest.raises(FatalError):
        render_sql(template, {"var.x": "1"})


def test_an_absent_date_says_how_to_give_one() -> None:
    with pytest.raises(FatalError, match=r"pass --date"):
        render_sql("{{ ds }}", {})
    with pytest.raises(FatalError, match=r'did you mean "var\.name"'):
        render_sql("{{ var.nam }}", {"var.name": 1})


def test_the_names_that_a_text_uses() -> None:
    assert names("{{ ds }} '{{ var.x }}' {{ds}}") == {"ds", "var.x"}


@pytest.mark.parametrize(("value", "path"), [(date(2024, 1, 31), "in/2024-01-31.csv"), ("a b_c+1", "in/a b_c+1.csv")])
def test_a_path_takes_plain_text(value: Any, path: str) -> None:
    assert render_path("in/{{ var.x }}.csv", {"var.x": value}) == path


@pytest.mark.parametrize(
    "value", ["..", "../etc", "/etc/passwd", "a/b", "a\\b", "~", "$HOME", "*", "a\0", "a\nb", "a\n", "a..b"]
)
def test_no_value_leads_out_of_its_folder(value: str) -> None:
    with pytest.raises(FatalError):
        render_path("in/{{ var.x }}/f.csv", {"var.x": value})


def test_parameters_without_a_value_are_found_outside_of_texts_and_casts() -> None:
    text = """SELECT ':no', "a:no", x::date, list[1:no] FROM t -- :no
        WHERE a = :day AND b = :shop AND c = :day AND d = :known"""
    assert unbound(text, ["known"]) == ["day", "shop"]
