"""A secret is shown nowhere, in no spelling that messages of drivers use."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.core.models import Model
from headgate.core.secrets import MASK, Secret, mask

PASSWORD = "p@ss/wörd&1"  # noqa: S105 - one for these tests


class Options(Model):
    password: Secret


def test_no_way_of_printing_shows_it() -> None:
    secret = Secret(PASSWORD)
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r}", "%s" % secret, repr([secret]), repr({"a": secret})]  # noqa: UP031
    assert all(PASSWORD not in text for text in shown)
    assert secret.reveal() == PASSWORD


def test_models_take_text_and_give_none_back() -> None:
    options = Options.model_validate({"password": PASSWORD})
    assert options.password.reveal() == PASSWORD
    assert json.loads(options.model_dump_json()) == {"password": MASK}
    assert options.model_dump(mode="json") == {"password": MASK}
    assert PASSWORD not in repr(options)
    assert "password" in Options.model_json_schema()["properties"]


def test_secrets_compare_by_value() -> None:
    assert Secret("same value") == Secret("same value")
    assert hash(Secret("same value")) == hash(Secret("same value"))
    assert Secret("same value") != Secret("other value")
    assert Secret("same value") != "same value"


@pytest.mark.parametrize(
    "spelling",
    [PASSWORD, quote(PASSWORD, safe=""), base64.b64encode(PASSWORD.encode()).decode()],
    ids=["plain", "url", "base64"],
)
def test_messages_are_masked_in_every_spelling(spelling: str) -> None:
    Secret(PASSWORD)
    assert mask(f"could not open x://me:{spelling}@host/db") == f"could not open x://me:{MASK}@host/db"


@given(st.text(min_size=4, max_size=30).filter(lambda text: text.strip("*")))
def test_any_secret_is_masked_wherever_it_stands(value: str) -> None:
    Secret(value)
    assert value not in mask(f"before {value} after {value}").replace(MASK, "\0")


def test_a_secret_that_begins_with_another_is_masked_whole() -> None:
    Secret("long-secret")
    Secret("long-secret-and-more")
    assert mask("it is long-secret-and-more") == f"it is {MASK}"


def test_texts_of_up_to_three_characters_are_not_hidden() -> None:
    """They would turn every message into stars."""
    Secret("ab1")
    assert mask("tab1e") == "tab1e"
