"""MySQL as a source, against a real MariaDB server."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pymysql
import pytest
from tests.mariadb import GUARDED, MariaServer
from tests.sources.mariadb_place import Database, FarDatabase

from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError
from headgate.core.secrets import Secret
from headgate.io.mysql.connection import connect, encrypted
from headgate.io.mysql.errors import explain
from headgate.io.mysql.reading import MysqlReader
from headgate.sources import mysql
from headgate.sources.mysql import Connection, Read
from headgate.sql.literals import quote_name
from headgate.testing.sources import SourceContract, SourcePlace, new_rows

ROOT = Path()


@pytest.fixture
def far(mariadb_server: MariaServer, mariadb_name: str) -> FarDatabase:
    return FarDatabase(mariadb_server, mariadb_name)


@pytest.fixture(params=["connectorx", "driver"])
def either(request: pytest.FixtureRequest, mariadb_server: MariaServer, mariadb_name: str) -> Database:
    """A database as each of the two ways reads it."""
    return (FarDatabase if request.param == "driver" else Database)(mariadb_server, mariadb_name)


@pytest.fixture
def database(mariadb_server: MariaServer, mariadb_name: str) -> Database:
    return Database(mariadb_server, mariadb_name)


class TestContract(SourceContract):
    @pytest.fixture
    def place(self, database: Database) -> SourcePlace:
        return database


class TestContractThroughTheDriver(SourceContract):
    """As it reads where TLS is needed."""

    @pytest.fixture
    def place(self, far: FarDatabase) -> SourcePlace:
        return far


EVERY_TYPE = {
    "i8": ("TINYINT", "-128", -128),
    "u8": ("TINYINT UNSIGNED", "255", 255),
    "flag": ("BOOLEAN", "1", True),
    "i16": ("SMALLINT", "-32768", -32768),
    "u24": ("MEDIUMINT UNSIGNED", "16777215", 16777215),
    "i32": ("INT", "-2147483648", -(2**31)),
    "i64": ("BIGINT", "-9223372036854775808", -(2**63)),
    "u64": ("BIGINT UNSIGNED", "18446744073709551615", 2**64 - 1),
    "exact": ("DECIMAL(38,10)", "1234567890123456789012345678.0123456789", "1234567890123456789012345678.0123456789"),
    "single": ("FLOAT", "1.17549435e-38", 1.1754943508222875e-38),
    "real": ("DOUBLE", "5e-324", 5e-324),
    "word": ("VARCHAR(20)", "'ünï \U0001f600'", "ünï \U0001f600"),
    "latin": ("VARCHAR(20) CHARACTER SET latin1", "'ünï'", "ünï"),
    "bytes": ("VARBINARY(20)", "X'00ff5c'", b"\x00\xff\\"),
    "fixed": ("BINARY(3)", "X'01'", b"\x01\x00\x00"),
    "day": ("DATE", "'0001-01-01'", "0001-01-01"),
    "clock": ("TIME(6)", "'23:59:59.999999'", "23:59:59.999999"),
    "naive": ("DATETIME(6)", "'9999-12-31 23:59:59.999999'", "9999-12-31 23:59:59.999999"),
    "moment": ("TIMESTAMP(6) NULL", "'2038-01-19 03:14:07.999999'", "2038-01-19 03:14:07.999999+00:00"),
    "year": ("YEAR", "2024", 2024),
    "bits": ("BIT(10)", "b'1010'", 10),
    "choice": ("ENUM('a','b')", "'b'", "b"),
    "some": ("SET('x','y')", "'x,y'", "x,y"),
    "document": ("JSON", "'{\"a\": 1}'", '{"a": 1}'),
    "uuid": ("UUID", "'123e4567-e89b-12d3-a456-426614174000'", "123e4567-e89b-12d3-a456-426614174000"),
    "spot": ("POINT", "POINT(1, 2)", "POINT(1 2)"),
}


@pytest.mark.parametrize("what", ["table", "query"])
def test_every_type_is_read_exactly(either: Database, what: str) -> None:
    either.execute(
        f"CREATE TABLE t ({', '.join(f'{quote_name(name)} {sql}' for name, (sql, _, _) in EVERY_TYPE.items())})",
        f"INSERT INTO t VALUES ({', '.join(value for _, value, _ in EVERY_TYPE.values())})",
        f"INSERT INTO t VALUES ({', '.join('NULL' for _ in EVERY_TYPE)})",
    )
    read = Read(table="t") if what == "table" else Read(query="SELECT * FROM t")
    found, _ = new_rows(either, read, None)
    assert found is not None
    rows = sorted(found.to_pylist(), key=lambda row: row["i8"] is None)
    assert {name: _plain(value) for name, value in rows[0].items()} == {
        name: value for name, (_, _, value) in EVERY_TYPE.items()
    }
    assert set(rows[1].values()) == {None}


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str | bytes) else str(value)


def test_what_is_no_date_is_a_row_error_with_its_text(database: Database) -> None:
    database.execute("CREATE TABLE t (day DATE, clock TIME, flag BOOLEAN)")
    with database.server.connect(database.name) as session, session.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = ''")
        cursor.execute("INSERT INTO t VALUES ('0000-00-00', '838:59:59', 5)")
    source, read = database.open(), Read(table="t")
    window = source.probe(read, database.context(), None)
    assert window is not None
    scan = source.scan(read, database.context(), window)
    assert dict(scan.schema.casts) == {"day": "DATE", "clock": "TIME", "flag": "BOOLEAN"}
    assert scan.batches is not None
    assert scan.batches.read_all().to_pylist() == [{"day": "0000-00-00", "clock": "838:59:59", "flag": "5"}]
    scan.close()
    source.close()


def test_texts_mean_the_same_in_every_mode_of_the_server(database: Database) -> None:
    database.execute("CREATE TABLE t (a VARCHAR(20), b VARCHAR(20))", "INSERT INTO t VALUES ('x\\y''z', 'b\"c')")
    database.server.execute(None, "SET GLOBAL sql_mode = ''")
    read = Read(query="SELECT \"a\" || `b` || :tail AS joined FROM t WHERE a = 'x\\y''z'", parameters={"tail": "\\n'"})
    found, _ = new_rows(database, read, None)
    assert found is not None
    assert found.to_pylist() == [{"joined": "x\\y'zb\"c\\n'"}]


def test_sessions_cannot_write(database: Database) -> None:
    database.execute("CREATE TABLE t (id INT)")
    source = MysqlReader(database.connection)
    with pytest.raises(FatalError, match="READ ONLY"):
        source.session("test").execute("INSERT INTO t VALUES (1)")
    source.close()


def test_a_session_that_the_server_ended_is_replaced(database: Database) -> None:
    database.execute("CREATE TABLE t (id INT)")
    source = database.open()
    assert source.tables() == ["t"]
    ((session,),) = database.execute(
        f"SELECT id FROM information_schema.processlist WHERE db = '{database.name}' AND id <> CONNECTION_ID()"
    )
    database.execute(f"KILL {session}")
    assert source.tables() == ["t"]
    source.close()


def test_a_read_that_somebody_ends_may_be_tried_again(either: Database) -> None:
    either.execute("CREATE TABLE t (id BIGINT, filling LONGTEXT)")
    either.execute("INSERT INTO t SELECT seq, repeat('x', 2000) FROM seq_1_to_60000")
    source = either.open()
    window = source.probe(Read(table="t"), either.context(), None)
    assert window is not None
    scan = source.scan(Read(table="t", batch_size=100), either.context(), window)
    assert scan.batches is not None
    scan.batches.read_next_batch()
    others = f"SELECT id FROM information_schema.processlist WHERE db = '{either.name}' AND id <> CONNECTION_ID()"
    for (session,) in either.execute(others):
        either.execute(f"KILL {session}")
    with pytest.raises(RetriableError) as ended:
        scan.batches.read_all()
    assert ended.value.code is Code.CONNECTION_FAILED
    scan.close()
    source.close()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"password": Secret("wrong-canary-secret")}, Code.AUTHENTICATION_FAILED),
        ({"port": 1}, Code.CONNECTION_FAILED),
        ({"tls": "verify"}, Code.CONNECTION_FAILED),
    ],
)
def test_what_is_wrong_with_a_connection_is_told(database: Database, changes: dict[str, Any], code: Code) -> None:
    fields = {
        "host": "127.0.0.1",
        "port": database.server.port,
        "database": database.name,
        "username": GUARDED,
        "password": Secret(database.server.password),
    }
    with pytest.raises(HeadgateError) as refusal:
        mysql.open_source(Connection(**{**fields, **changes}), ROOT).test()
    assert refusal.value.code is code
    assert "canary" not in str(refusal.value)
    assert refusal.value.hint


@pytest.mark.parametrize("url", ["postgres://x/y", "mysql://h/d?ssl=0", "mysql://u:canary@h:no/d"])
def test_a_url_of_something_else_is_refused_without_its_text(url: str) -> None:
    with pytest.raises(FatalError) as refusal:
        mysql.open_source(Connection(url=Secret(url)), ROOT).test()
    assert refusal.value.code is Code.CONFIG_INVALID
    assert "canary" not in str(refusal.value)


def test_other_machines_are_reached_with_a_verified_certificate() -> None:
    assert encrypted(Connection(host="db.example.com", database="d"))
    assert not encrypted(Connection(host="localhost", database="d"))
    assert not encrypted(Connection(unix_socket="/run/s", database="d"))


def test_a_read_that_takes_too_long_ends_with_its_reason(either: Database) -> None:
    slow = "SELECT seq AS id, repeat('x', 20000) AS filling, sleep(0.01) AS slept FROM seq_1_to_400"
    connection = either.connection.model_copy(update={"statement_timeout": timedelta(seconds=1)})
    source = mysql.open_source(connection, ROOT)
    read, context = Read(query=slow), either.context()
    window = source.probe(read, context, None)
    assert window is not None

    def all_of_it() -> None:
        scan = source.scan(read, context, window)
        try:
            assert scan.batches is not None
            scan.batches.read_all()
        finally:
            scan.close()

    with pytest.raises(HeadgateError) as refused:
        all_of_it()
    source.close()
    assert "statement_timeout" in refused.value.hint, refused.value


@pytest.mark.parametrize(
    ("number", "text", "hint"),
    [
        (3948, "Loading local data is disabled; this must be enabled on both the client and server sides", "local_inf"),
        (3159, "Connections using insecure transport are prohibited while --require_secure_transport=ON.", "tls: req"),
        (3750, "Unable to create or change a table without a primary key, when the system variable …", "primary_key"),
        (1137, "Can't reopen table: 's'", "MariaDB"),
        (1820, "You must reset your password using ALTER USER statement before executing this statement.", "password"),
        (1290, "The MySQL server is running with the --super-read-only option …", "only reads"),
        (3024, "Query execution was interrupted, maximum statement execution time exceeded", "statement_timeout"),
    ],
)
def test_what_mysql_8_refuses_is_told_with_what_helps(number: int, text: str, hint: str) -> None:
    """By the numbers of its reference: there is no such server here."""
    told = explain(pymysql.err.OperationalError(number, text), "stage", "shop", Code.LOAD_EXECUTION_FAILED)
    assert text in told.message
    assert hint in told.hint


def test_a_password_that_cannot_be_encrypted_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("'cryptography' package is required for sha256_password or caching_sha2_password auth")

    monkeypatch.setattr("headgate.io.mysql.protocol.ClientSession.__init__", refuse)
    with pytest.raises(FatalError, match="password encrypted") as refused:
        connect(Connection(url=Secret("mysql://u:secret@127.0.0.1/shop")))
    assert refused.value.code is Code.DRIVER_MISSING
    assert "tls" in refused.value.hint
