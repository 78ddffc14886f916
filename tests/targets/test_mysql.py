"""MySQL as a target, against a real MariaDB server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from tests.mariadb import MariaServer

from headgate.core.contracts import Rescue, Store
from headgate.core.errors import Code, FatalError, RetriableError
from headgate.core.events import Emitter
from headgate.core.secrets import Secret
from headgate.io.mysql.sessions import Session
from headgate.targets import mysql, sqlalchemy
from headgate.testing.place import Place, entry, load, record, rows, stage
from headgate.testing.store_quarantine import held_file
from headgate.testing.stores import StoreContract


class TestContract(StoreContract):
    signed_zero = False
    capabilities = mysql.MODES

    @pytest.fixture
    def open_store(self, mariadb_url: str, tmp_path: Path) -> Callable[[], Store]:
        connection = mysql.Connection(url=Secret(mariadb_url))
        return lambda: mysql.open_store("warehouse", connection, tmp_path)


def test_indexes_grants_and_views_survive_an_overwrite(
    mariadb_server: MariaServer, mariadb_name: str, mariadb_url: str, tmp_path: Path
) -> None:
    connection = mysql.Connection(url=Secret(mariadb_url))
    place = Place(lambda: mysql.open_store("warehouse", connection, tmp_path), tmp_path / "_runs")
    place.run(1, [(load("t", "overwrite"), rows((1, "a"), (2, "b")))])
    reader = f"r_{mariadb_name}"
    mariadb_server.execute(
        mariadb_name,
        "CREATE INDEX by_id ON t (id)",
        "CREATE VIEW v AS SELECT count(*) AS n FROM t",
        f"CREATE USER {reader}@localhost",
        f"GRANT SELECT ON t TO {reader}@localhost",
    )
    place.run(2, [(load("t", "overwrite"), rows((3, "c")))])
    assert mariadb_server.execute(mariadb_name, "SELECT n FROM v") == [(1,)]
    assert "by_id" in mariadb_server.execute(mariadb_name, "SHOW CREATE TABLE t")[0][1]
    with mariadb_server.connect(mariadb_name, user=reader) as session, session.cursor() as cursor:
        cursor.execute("SELECT name FROM t")
        assert list(cursor.fetchall()) == [("c",)]
    mariadb_server.execute(None, f"DROP USER {reader}@localhost")
    place.close()


def test_a_session_that_somebody_ends_while_rows_are_sent_may_be_tried_again(
    mariadb_server: MariaServer, mariadb_name: str, mariadb_url: str
) -> None:
    mariadb_server.execute(mariadb_name, "CREATE TABLE t (v LONGTEXT)")
    session = Session(mysql.Connection(url=Secret(mariadb_url)), "stage")
    number = session.value("SELECT CONNECTION_ID()")

    def rows_to_send() -> Iterator[bytes]:
        mariadb_server.execute(None, f"KILL {number}")
        yield from [b"x" * 100_000 + b"\n"] * 500

    with pytest.raises(RetriableError) as ended:
        session.load("t", ["v"], rows_to_send(), 500)
    assert ended.value.code is Code.CONNECTION_FAILED
    session.close()


def test_a_name_that_the_server_cannot_keep_is_refused_as_such(mariadb_url: str, tmp_path: Path) -> None:
    connection = mysql.Connection(url=Secret(mariadb_url))
    place = Place(lambda: mysql.open_store("warehouse", connection, tmp_path), tmp_path / "_runs")
    with pytest.raises(FatalError, match="cannot keep the name"):
        place.run(1, [(load("naïve😀", "upsert", keys=("id",)), rows((1, "a")))])
    place.close()


@pytest.mark.parametrize("collation", ["utf8mb4_bin", "utf8mb4_nopad_bin", "utf8mb4_general_ci", "latin1_bin"])
@pytest.mark.parametrize("driver", ["own", "sqlalchemy"])
def test_rows_are_merged_into_a_table_of_any_collation(
    mariadb_server: MariaServer, mariadb_name: str, mariadb_url: str, tmp_path: Path, collation: str, driver: str
) -> None:
    """Two collations by code point do not mix, and some ignore the blanks at the end of a value that changed."""
    text = f"CHARACTER SET {collation.partition('_')[0]} COLLATE {collation}"
    mariadb_server.execute(
        mariadb_name,
        f"CREATE TABLE t (id VARCHAR(9) {text} PRIMARY KEY, name VARCHAR(9) {text})",
        "INSERT INTO t VALUES ('é', 'same ü'), ('b', 'blank'), ('c', 'gone')",
    )

    def open_store() -> Store:
        if driver == "own":
            return mysql.open_store("warehouse", mysql.Connection(url=Secret(mariadb_url)), tmp_path)
        url = mariadb_url.replace("mysql://", "mysql+pymysql://")
        return sqlalchemy.open_store("warehouse", sqlalchemy.Connection(url=Secret(url)), tmp_path)

    place = Place(open_store, tmp_path / "_runs")
    given = pa.table({"id": ["é", "b", "d"], "name": ["same ü", "blank ", "new"]})
    merged = load("t", "merge", given.schema, keys=("id",), delete_missing=True)
    found = place.run(1, [(merged, given)])
    place.close()
    rows_now = mariadb_server.execute(mariadb_name, "SELECT id, name FROM t ORDER BY name")
    assert rows_now == [("b", "blank "), ("d", "new"), ("é", "same ü")], found


def test_a_server_that_takes_no_local_rows_is_told_before_anything_is_there(
    mariadb_server: MariaServer, mariadb_name: str, mariadb_url: str, tmp_path: Path
) -> None:
    """MySQL 8 is so at first."""
    connection = mysql.Connection(url=Secret(mariadb_url))
    place = Place(lambda: mysql.open_store("warehouse", connection, tmp_path), tmp_path / "_runs")
    mariadb_server.execute(None, "SET GLOBAL local_infile = OFF")
    try:
        with pytest.raises(FatalError) as refused:
            place.run(1, [(load("t", "overwrite"), rows((1, "a")))])
    finally:
        mariadb_server.execute(None, "SET GLOBAL local_infile = ON")
    assert (refused.value.code, "local_infile" in refused.value.hint) == (Code.UNSUPPORTED, True)
    assert mariadb_server.execute(mariadb_name, "SHOW TABLES LIKE 't'") == []
    place.close()


def test_what_a_constraint_rejects_is_a_dead_letter_with_its_reason(
    mariadb_server: MariaServer, mariadb_name: str, mariadb_url: str, tmp_path: Path
) -> None:
    connection = mysql.Connection(url=Secret(mariadb_url))
    place = Place(lambda: mysql.open_store("warehouse", connection, tmp_path), tmp_path / "_runs")
    mariadb_server.execute(
        mariadb_name, "CREATE TABLE t (id BIGINT PRIMARY KEY, name LONGTEXT NOT NULL, raw LONGBLOB, CHECK (id > 0))"
    )
    names, raw = ["a'b\\", None, "c", "d"], [b"\xff\x00", b"x", b"y", b"z"]
    table = pa.table({"id": [1, 2, -3, 1], "name": names, "raw": pa.array(raw, pa.binary())})
    rescue = Rescue("rejected", "run-1", "2024-01-15T00:00:00Z")
    (commit,) = place.run(1, [(load("t", schema=table.schema, rescue=rescue), table)])
    assert (commit.inserted, commit.rejected) == (1, 3)
    told = mariadb_server.execute(mariadb_name, "SELECT payload, reason FROM rejected ORDER BY payload")
    assert [json.loads(payload) for payload, _ in told] == [
        {"id": -3, "name": "c", "raw": "79"},
        {"id": 1, "name": "d", "raw": "7A"},
        {"id": 2, "name": None, "raw": "78"},
    ]
    assert [word in reason for (_, reason), word in zip(told, ("CONSTRAINT", "PRIMARY", "null"), strict=True)] == [
        True
    ] * 3
    place.close()


def test_a_merge_is_done_once_and_what_it_counted_is_what_is_committed(mariadb_url: str, tmp_path: Path) -> None:
    connection = mysql.Connection(url=Secret(mariadb_url))
    place = Place(lambda: mysql.open_store("warehouse", connection, tmp_path), tmp_path / "_runs")
    merge = load("t", "merge", keys=("id",))
    place.run(1, [(merge, rows((1, "a"), (2, "b")))])
    told: list[str] = []
    claim, transaction = place.begin(place.store(), "run-2", 2, listeners=[lambda event: told.append(event.name)])
    stage(transaction, [(merge, rows((2, "B"), (3, "c")))])
    assert transaction.duplicates("t", ["name"]) == (0, 3)
    transaction.hold(entry(), held_file(place))
    (counted,) = transaction.counts()
    session = Session(connection, "publish")
    session.execute("INSERT INTO t (id, name) VALUES (4, 'd')")
    session.close()
    assert transaction.publish(record(claim, quarantine=(entry(),))) == [counted]
    assert (counted.inserted, counted.updated, told.count("merge.after")) == (1, 1, 1)
    assert place.pairs("t") == [(1, "a"), (2, "B"), (3, "c"), (4, "d")]
    assert [found.id for found in place.store().quarantine(claim.key.project)] == ["q1"]
    place.close()


def test_what_was_merged_to_be_counted_is_taken_back_before_it_is_parked(mariadb_url: str, tmp_path: Path) -> None:
    connection = mysql.Connection(url=Secret(mariadb_url))
    place = Place(lambda: mysql.open_store("warehouse", connection, tmp_path), tmp_path / "_runs")
    merge = load("t", "merge", keys=("id",))
    place.run(1, [(merge, rows((1, "a")))])
    claim, transaction = place.begin(place.store(), "run-2", 2, durable=True)
    stage(transaction, [(merge, rows((1, "A"), (2, "b")))])
    transaction.counts()
    transaction.hold(entry("q1", "run-2"), held_file(place))
    transaction.park(record(claim, quarantine=(entry("q1", "run-2"),)))
    assert place.pairs("t") == [(1, "a")]
    found = place.store().resume(claim, "run-2", Emitter(), tmp_path)
    assert found is not None
    found[0].publish(found[1])
    assert place.pairs("t") == [(1, "A"), (2, "b")]
    (kept,) = place.store().quarantine(claim.key.project)
    assert sum(batch.num_rows for batch in place.store().held(kept)) == 2
    place.close()


def test_tables_without_an_index_are_joined_by_hashes(mariadb_url: str) -> None:
    """Work tables have none: row by row, a history of 40,000 keys took minutes instead of seconds."""
    session = Session(mysql.Connection(url=Secret(mariadb_url)), "publish")
    for name in ("v", "w"):
        session.execute(f"CREATE TEMPORARY TABLE {name} AS SELECT seq AS n FROM seq_1_to_1000")
    told = str(session.query("EXPLAIN SELECT * FROM v JOIN w ON v.n = w.n"))
    assert session.value("SELECT @@join_cache_level") == 4
    assert "hash" in told
    session.close()
