"""What is committed in MySQL after younger rows comes with the next run, against a real MariaDB server."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.mariadb import GUARDED, MariaServer
from tests.sources.mariadb_place import Database

from headgate.core.secrets import Secret
from headgate.sources import mysql
from headgate.sources.mysql import Connection, Read
from headgate.testing.rows import values
from headgate.testing.sources import new_rows

ROOT = Path()


@pytest.fixture
def database(mariadb_server: MariaServer, mariadb_name: str) -> Database:
    return Database(mariadb_server, mariadb_name)


STAMPED = "CREATE TABLE orders (id BIGINT PRIMARY KEY, at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6))"


def stamped(**options: Any) -> Read:
    return Read(table="orders", mode="incremental", incremental={"column": "at", "key": "id", **options})


@pytest.mark.parametrize(
    ("type_", "writers", "wall"),
    [
        ("TIMESTAMP(6)", "+00:00", "SYSTEM"),
        ("DATETIME(6)", "+00:00", "SYSTEM"),  # programs that write UTC, on a server in the east
        ("DATETIME(6)", "-05:00", "-05:00"),  # programs that write what the clock on the wall shows, in the west
    ],
)
def test_rows_of_a_transaction_that_commits_late_come_with_the_next_run(
    database: Database, type_: str, writers: str, wall: str
) -> None:
    """The late one stamps its row first and commits last; meanwhile another is stamped later and committed."""
    database.execute(STAMPED.replace("at TIMESTAMP(6)", f"at {type_}"), "INSERT INTO orders VALUES (1, '2024-01-01')")
    stamp = f"CONVERT_TZ(UTC_TIMESTAMP(6), '+00:00', '{writers}')"
    database.execute(f"SET GLOBAL time_zone = '{wall}'")
    try:
        with database.server.connect(database.name, autocommit=False) as late, late.cursor() as cursor:
            cursor.execute("SET time_zone = '+00:00'")
            cursor.execute(f"INSERT INTO orders VALUES (2, {stamp})")
            database.execute("SET time_zone = '+00:00'", f"INSERT INTO orders VALUES (3, {stamp})")
            first, since = new_rows(database, stamped(), None)
            late.commit()
        second, since = new_rows(database, stamped(), since)
    finally:
        database.execute("SET GLOBAL time_zone = 'SYSTEM'")
    assert first is not None
    assert second is not None
    assert (values(first, "id"), values(second, "id")) == ([1], [2, 3])
    assert new_rows(database, stamped(), since)[0] is None


@pytest.mark.parametrize("type_", ["TIMESTAMP(6)", "DATETIME(6)"])
def test_a_stamp_that_is_older_than_its_transaction_comes_with_the_next_run(database: Database, type_: str) -> None:
    """Programs that stamp rows themselves do so before they write, and by their own clocks; ties may be there twice."""
    database.execute(STAMPED.replace("at TIMESTAMP(6)", f"at {type_}"), "INSERT INTO orders VALUES (1, '2024-01-01')")
    with database.server.connect(database.name, autocommit=False) as late, late.cursor() as cursor:
        cursor.execute("INSERT INTO orders VALUES (2, '2024-01-02')")
        database.execute("INSERT INTO orders VALUES (3, '2024-01-02'), (4, '2024-01-03')")
        first, since = new_rows(database, stamped(), None)
        late.commit()
    second, _ = new_rows(database, stamped(), since)
    assert first is not None
    assert second is not None
    assert (values(first, "id"), values(second, "id")) == ([1], [2, 3, 4])


@pytest.mark.parametrize("sees_others", [True, False], ids=["with PROCESS", "without"])
def test_numbers_of_a_transaction_that_commits_late_come_with_the_next_run(
    database: Database, sees_others: bool
) -> None:
    """Numbers are given before the commit, so that higher ones may be there first; a deletion hides nothing."""
    database.execute("CREATE TABLE orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, name TEXT)")
    database.execute("INSERT INTO orders (name) SELECT 'old' FROM seq_1_to_3")
    database.server.execute(database.name, f"GRANT SELECT ON {database.name}.* TO {GUARDED}")
    reader = database if sees_others else Guarded(database.server, database.name)
    read = Read(table="orders", mode="incremental", incremental={"column": "id"})
    with database.server.connect(database.name, autocommit=False) as late, late.cursor() as cursor:
        cursor.execute("DELETE FROM orders WHERE id = 2")
        cursor.execute("INSERT INTO orders (name) VALUES ('late')")
        database.execute("INSERT INTO orders (name) VALUES ('next')")
        first, since = new_rows(reader, read, None)
        late.commit()
    second, since = new_rows(reader, read, since)
    assert first is not None
    assert second is not None
    assert (values(first, "id"), values(second, "id")) == ([1, 2, 3], [4, 5])
    assert new_rows(reader, read, since)[0] is None


def test_a_number_whose_insert_waits_for_a_lock_comes_with_the_next_run(database: Database) -> None:
    """Such a row is in the primary key already, and in no other index."""
    database.execute("CREATE TABLE shops (id INT PRIMARY KEY)", "INSERT INTO shops VALUES (1)")
    refers = "shop INT, FOREIGN KEY (shop) REFERENCES shops (id)"
    database.execute(f"CREATE TABLE orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, {refers})")
    read = Read(table="orders", mode="incremental", incremental={"column": "id"})
    waits = "SELECT count(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'"
    with (
        database.server.connect(database.name, autocommit=False) as holder,
        database.server.connect(database.name) as late,
        holder.cursor() as locks,
        late.cursor() as cursor,
    ):
        locks.execute("SELECT * FROM shops WHERE id = 1 FOR UPDATE")
        inserting = threading.Thread(target=cursor.execute, args=("INSERT INTO orders (shop) VALUES (1)",))
        inserting.start()
        while not database.execute(waits)[0][0]:
            time.sleep(0.05)
        database.execute("INSERT INTO orders (shop) VALUES (NULL)")
        first, since = new_rows(database, read, None)
        holder.rollback()
        inserting.join()
    second, _ = new_rows(database, read, since)
    assert second is not None
    assert (first, values(second, "id")) == (None, [1, 2])


def test_without_open_transactions_the_newest_row_is_read_at_once(database: Database) -> None:
    database.execute(STAMPED, "INSERT INTO orders (id) VALUES (1)")
    first, since = new_rows(database, stamped(), None)
    database.execute("INSERT INTO orders (id) VALUES (2)")
    second, _ = new_rows(database, stamped(), since)
    assert first is not None
    assert second is not None
    assert (values(first, "id"), values(second, "id")) == ([1], [2])


class Guarded(Database):
    """As a user reads it who sees no transactions but their own."""

    @property
    def connection(self) -> Connection:
        return Connection(
            host="127.0.0.1",
            port=self.server.port,
            database=self.name,
            username=GUARDED,
            password=Secret(self.server.password),
        )


def test_the_plan_says_whether_late_commits_are_found(database: Database) -> None:
    database.execute(STAMPED, "INSERT INTO orders (id) VALUES (1)")
    database.server.execute(database.name, f"GRANT SELECT ON {database.name}.* TO {GUARDED}")
    guarded = Guarded(database.server, database.name).connection
    for connection, said in ((database.connection, "commit late come with the next run"), (guarded, "lacks PROCESS")):
        source = mysql.open_source(connection, ROOT)
        window = source.probe(stamped(), database.context(), None)
        source.close()
        assert window is not None
        assert said in window.note
