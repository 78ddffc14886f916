"""Texts are in the order of their code points, whatever encoding the source's database has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from tests.conftest import Server, database_name
from tests.movers import Movers


@pytest.fixture
def western(movers: Movers, postgres_server: Server) -> Iterator[Movers]:
    """In Windows' encoding the sign of the euro is a byte before those of letters with accents."""
    name = database_name()
    statement = f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'WIN1252' LC_COLLATE 'C' LC_CTYPE 'C'"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as session:
        session.execute(statement)
    movers.source = postgres_server.url(name)
    movers.shop("CREATE TABLE t (id int, sign text)", "INSERT INTO t VALUES (1, '€'), (2, 'é'), (3, 'ÿ'), (4, 'z')")
    yield movers
    postgres_server.drop_database(name)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ({"type": "filter", "condition": "sign < 'é'"}, [("(4,z)",)]),
        ({"type": "aggregate", "metrics": {"first": "MIN(sign)", "last": "MAX(sign)"}}, [("(z,€)",)]),
    ],
)
def test_no_server_is_asked_for_an_order_of_its_own(western: Movers, step: dict[str, Any], expected: list[Any]) -> None:
    western.define([step])
    assert "WIN1252" in western.plan().placement.reason
    assert western.outcome("auto").rows == expected


def test_rows_that_nothing_compares_are_moved_as_ever(western: Movers) -> None:
    assert western.define([{"type": "filter", "condition": "id > 3"}]).plan().placement.place == "source"
    assert western.outcome("auto").rows == [("(4,z)",)]
