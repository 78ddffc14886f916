"""Types survive: from every store into every other they come back exactly, or the plan refuses them and says why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.conftest import Server, database_name
from tests.mariadb import MariaServer
from tests.matrix.sides import SIDES, World, lines

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "types.md"
HEAD = """<!-- Written by the test of the matrix (make types): it shows what was measured, so run it again instead. -->
# Types between stores

Every cell is a run through the engine, of edge values (the smallest, the largest, NULL …), on real servers. *exact*:
the same type came back with the same values. *exact, as …*: the values came back in a type that holds them. *refused*:
the plan says so before anything is read and names the column and the cast that helps. An empty cell: no such type
there. Values that some stores lack (NaN, NUL in texts) are refused when they are met; the tests of each store tell
which.

What Arrow has no type for travels as the text that the database itself writes and reads: UUIDs, JSON, enumerations,
ranges, and PostgreSQL's arrays of these. Nothing is lost: loaded into a column of that type, the text is the value
again. All other arrays are lists of their elements' own type. One that is an array of arrays, or is not counted from 1,
ends the run with a message that names it; a `numeric` without a scale that has more than ten places is a row error.

"""


@pytest.fixture(scope="module")
def matrix(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: Server, mariadb_server: MariaServer
) -> dict[tuple[str, str], dict[str, str]]:
    name = database_name()
    mariadb_server.create_database(name)
    try:
        root = tmp_path_factory.mktemp("matrix")
        world = World(root, mariadb_server, name, postgres_server.create_database(name))
        return {(source, target): world.cells(source, target) for source in SIDES for target in SIDES}
    finally:
        postgres_server.drop_database(name)
        mariadb_server.drop_database(name)


def test_every_type_arrives_exactly_or_is_refused_with_its_reason(
    matrix: dict[tuple[str, str], dict[str, str]],
) -> None:
    cells = [cell for found in matrix.values() for cell in found.values()]
    assert len(cells) > 600
    assert all(cell.startswith(("exact", "refused: ")) for cell in cells)
    refused = sum(cell.startswith("refused") for cell in cells)
    assert refused < len(cells) / 5, "most types arrive"


def test_the_published_matrix_is_what_was_measured(matrix: dict[tuple[str, str], dict[str, str]]) -> None:
    page = HEAD + "\n".join(lines(matrix)).rstrip() + "\n"
    if os.environ.get("HEADGATE_WRITE_TYPES"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "run: make types"
