"""SQL Server as a source, against a double of its protocol: not tested against the service."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.sqlserver.double import Database, sqlserver, sqlserver_double
from tests.sqlserver.server import PASSWORD, USER
from tests.tls import FAR, Certificates, Identity, make_certificates

from headgate.core.contracts import ReadContext, Source
from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.core.secrets import Secret
from headgate.io.sqlserver.connection import Connection, _is_for, encrypted
from headgate.io.sqlserver.types import Described, read_column
from headgate.sources import sqlserver as connector
from headgate.sources.sqlserver import Read
from headgate.sql.literals import quote_name, quote_text
from headgate.testing.rows import read_all, values
from headgate.testing.sources import SourceContract, SourcePlace, new_rows

__all__ = ["sqlserver", "sqlserver_double"]

ROOT = Path()


class Origin:
    """A database that a source reads, and that others write to meanwhile."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def open(self) -> Source:
        return connector.open_source(self.database.connection, ROOT)

    def create(self, table: str, schema: pa.Schema) -> None:
        columns = ", ".join(
            f"{quote_name(field.name)} {'BIGINT' if field.type == pa.int64() else 'NVARCHAR(MAX)'}" for field in schema
        )
        self.database.execute(f"CREATE TABLE {quote_name(table)} ({columns})")

    def insert(self, table: str, rows: pa.Table) -> None:
        names = ", ".join(map(quote_name, rows.column_names))

        def told(value: Any) -> str:
            return "NULL" if value is None else f"N{quote_text(value)}" if isinstance(value, str) else str(value)

        values = ", ".join(f"({', '.join(map(told, row.values()))})" for row in rows.to_pylist())
        self.database.execute(f"INSERT INTO {quote_name(table)} ({names}) VALUES {values}")

    def read(self, table: str, **options: Any) -> Read:
        return Read(table=table, **options)

    def context(self, **options: Any) -> ReadContext:
        return ReadContext(ROOT, **options)


@pytest.fixture
def origin(sqlserver: Database) -> Origin:
    return Origin(sqlserver)


class TestContract(SourceContract):
    @pytest.fixture
    def place(self, origin: Origin) -> SourcePlace:
        return origin


EVERY_TYPE = {
    "flag": ("BIT", "1", True),
    "u8": ("TINYINT", "255", 255),
    "i16": ("SMALLINT", "-32768", -32768),
    "i32": ("INT", "-2147483648", -(2**31)),
    "i64": ("BIGINT", "-9223372036854775808", -(2**63)),
    "exact": ("DECIMAL(38,10)", "1234567890123456789012345678.0123456789", "1234567890123456789012345678.0123456789"),
    "whole": ("NUMERIC(38,0)", "-99999999999999999999999999999999999999", "-99999999999999999999999999999999999999"),
    "price": ("MONEY", "922337203685477.5807", "922337203685477.5807"),
    "small": ("SMALLMONEY", "-214748.3648", "-214748.3648"),
    "single": ("REAL", "1.17549435e-38", 1.1754943508222875e-38),
    "double": ("FLOAT", "5e-324", 5e-324),
    "word": ("NVARCHAR(20)", "N'ünï 😀 '", "ünï 😀 "),
    "latin": ("VARCHAR(20)", "'it''s'", "it's"),
    "long": ("NVARCHAR(MAX)", f"N'{'x' * 20_000}'", "x" * 20_000),
    "bytes": ("VARBINARY(20)", "0x00ff5c", b"\x00\xff\\"),
    "day": ("DATE", "'0001-01-01'", "0001-01-01"),
    "clock": ("TIME(6)", "'23:59:59.999999'", "23:59:59.999999"),
    "old": ("DATETIME", "'2024-02-29 23:59:59.997'", "2024-02-29 23:59:59.997000"),
    "minute": ("SMALLDATETIME", "'2024-02-29 23:59:00'", "2024-02-29 23:59:00"),
    "naive": ("DATETIME2(6)", "'9999-12-31 23:59:59.999999'", "9999-12-31 23:59:59.999999"),
    "moment": ("DATETIMEOFFSET(6)", "'2024-01-01T00:30:00.000001+02:00'", "2023-12-31 22:30:00.000001+00:00"),
    "uuid": ("UNIQUEIDENTIFIER", "'123E4567-E89B-12D3-A456-426614174000'", "123e4567-e89b-12d3-a456-426614174000"),
    "tree": ("XML", "N'<a/>'", "<a/>"),
}


def test_every_type_is_read_exactly(origin: Origin) -> None:
    origin.database.execute(
        f"CREATE TABLE t ({', '.join(f'{quote_name(name)} {sql} NULL' for name, (sql, _, _) in EVERY_TYPE.items())})",
        f"INSERT INTO t VALUES ({', '.join(value for _, value, _ in EVERY_TYPE.values())})",
        f"INSERT INTO t VALUES ({', '.join('NULL' for _ in EVERY_TYPE)})",
    )
    found, _ = new_rows(origin, Read(table="t"), None)
    assert found is not None
    rows = sorted(found.to_pylist(), key=lambda row: row["u8"] is None)
    assert {name: _plain(value) for name, value in rows[0].items()} == {
        name: value for name, (_, _, value) in EVERY_TYPE.items()
    }
    assert set(rows[1].values()) == {None}


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str | bytes) else str(value)


def test_a_query_tells_its_types_without_being_run(origin: Origin) -> None:
    origin.database.execute("CREATE TABLE t (id BIGINT, price DECIMAL(9,2))", "INSERT INTO t VALUES (1, 2.50)")
    read = Read(query="SELECT [id], price * 2 AS twice FROM t WHERE id = :id", parameters={"id": 1})
    found, _ = new_rows(origin, read, None)
    assert found is not None
    assert found.schema.names == ["id", "twice"]
    assert [str(value) for value in found["twice"].to_pylist()] == ["5.00"]


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ("SELECT count(*) FROM t", "give each column"),
        ("SELECT id FROM t ORDER BY id", "leave out ORDER BY"),
        ("WITH a AS (SELECT 1 AS n) SELECT n FROM a", "no WITH"),
    ],
)
def test_a_query_that_cannot_be_a_table_is_refused_with_a_hint(origin: Origin, query: str, hint: str) -> None:
    origin.database.execute("CREATE TABLE t (id INT)")
    with pytest.raises(FatalError) as refusal:
        new_rows(origin, Read(query=query), None)
    assert hint in refusal.value.hint


def test_times_finer_than_microseconds_are_told(origin: Origin) -> None:
    """DATETIME2 has seven digits by default; the seventh is exact as zero, or the value is no time and a row error."""
    import duckdb

    origin.database.execute(
        "CREATE TABLE t (id INT, at DATETIME2)",
        "INSERT INTO t VALUES (1, '2024-01-01 00:00:00.1234560'), (2, '2024-01-01 00:00:00.1234567'), (3, NULL)",
    )
    source = origin.open()
    read = Read(table="t")
    window = source.probe(read, origin.context(), None)
    assert window is not None
    scan = source.scan(read, origin.context(), window)
    assert scan.schema.casts == {"at": "TIMESTAMP"}
    assert scan.batches is not None
    found = scan.batches.read_all()
    scan.close()
    source.close()
    assert found["at"].to_pylist() == [
        "2024-01-01 00:00:00.123456",
        "2024-01-01 00:00:00.1234567 (finer than microseconds)",
        None,
    ]
    with duckdb.connect() as engine:
        engine.register("found", found)
        cast = engine.execute('SELECT TRY_CAST("at" AS TIMESTAMP) IS NULL FROM found').fetchall()
    assert cast == [(False,), (True,), (True,)]


def test_a_variant_column_is_refused_by_name() -> None:
    with pytest.raises(FatalError, match="sql_variant") as refusal:
        read_column(Described("any", "sql_variant"))
    assert "cast it in a query" in refusal.value.hint


@pytest.mark.parametrize("type_", ["DATETIME", "DATETIME2(6)", "DATETIMEOFFSET(6)", "DATE", "DECIMAL(9,3)", "FLOAT"])
def test_every_kind_of_cursor_finds_each_row_once(origin: Origin, type_: str) -> None:
    numbers = type_ in ("DECIMAL(9,3)", "FLOAT")
    values = ["1.003", "2.007"] if numbers else ["'2024-01-01'", "'2024-01-02'"]
    if type_.startswith("DATETIME"):
        values = ["'2024-01-01 00:00:00.003'", "'2024-01-01 00:00:00.007'"]
    origin.database.execute(f"CREATE TABLE t (id INT, at {type_})", f"INSERT INTO t VALUES (1, {values[0]})")
    read = Read(table="t", mode="incremental", incremental={"column": "at", "key": "id"})
    first, since = new_rows(origin, read, None)
    origin.database.execute(f"INSERT INTO t VALUES (2, {values[1]})")
    second, since = new_rows(origin, read, since)
    assert first is not None
    assert second is not None
    assert (first["id"].to_pylist(), second["id"].to_pylist()) == ([1], [2])
    assert new_rows(origin, read, since)[0] is None


def test_a_rowversion_finds_what_commits_late(origin: Origin) -> None:
    """The late one changes its row first and commits last; meanwhile another changes one and commits."""
    import pytds

    database = origin.database
    database.execute("CREATE TABLE t (id INT, rv ROWVERSION)", "INSERT INTO t (id) VALUES (1)")
    read = Read(table="t", mode="incremental", incremental={"column": "rv", "key": "id"})
    with (
        pytds.connect(
            dsn="127.0.0.1", port=database.server.port, database=database.name, user=USER, password=PASSWORD,
            autocommit=True,
        ) as late,
        late.cursor() as cursor,
    ):  # fmt: skip
        cursor.execute("BEGIN TRANSACTION")
        cursor.execute("INSERT INTO t (id) VALUES (2)")
        database.execute("INSERT INTO t (id) VALUES (3)")
        first, since = new_rows(origin, read, None)
        cursor.execute("COMMIT TRANSACTION")
    second, since = new_rows(origin, read, since)
    assert first is not None
    assert second is not None
    assert (values(first, "id"), values(second, "id")) == ([1], [2, 3])
    assert new_rows(origin, read, since)[0] is None


def test_a_cap_is_said_in_the_words_of_the_server(origin: Origin) -> None:
    origin.database.execute("CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1), (2), (3)")
    origin.database.server.said()
    found, _ = new_rows(origin, Read(table="t", max_records=2), None)
    assert found is not None
    assert found.num_rows == 2
    assert 'SELECT TOP (2) "id" AS "id" FROM "dbo"."t"' in origin.database.server.said()


# --------------------------------------------------------------------------------------------- sessions


@pytest.mark.parametrize(
    ("snapshot", "versioned", "isolation", "said"),
    [
        (1, 0, "snapshot", "SET TRANSACTION ISOLATION LEVEL SNAPSHOT"),
        (0, 1, "snapshot", "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"),
        (0, 0, "serializable", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"),
    ],
)
def test_a_read_sees_one_state_as_the_database_allows(
    origin: Origin, snapshot: int, versioned: int, isolation: str, said: str
) -> None:
    database = origin.database
    database.execute("CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1)")
    database.server.tell("snapshot", database.name, snapshot, versioned)
    database.server.said()
    source = connector.open_source(database.reached(isolation=isolation), ROOT)
    read = Read(table="t")
    window = source.probe(read, origin.context(), None)
    assert window is not None
    scan = source.scan(read, origin.context(), window)
    assert read_all(scan).num_rows == 1
    source.close()
    statements = database.server.said()
    assert statements.index(said) < statements.index("BEGIN TRANSACTION")
    assert "COMMIT TRANSACTION" not in statements, "reading commits nothing"


def test_a_database_without_snapshots_is_refused_with_the_way_out(origin: Origin) -> None:
    origin.database.server.tell("snapshot", origin.database.name, 0, 0)
    with pytest.raises(FatalError) as refusal:
        origin.open().tables()
    assert refusal.value.code is Code.UNSUPPORTED
    assert "ALLOW_SNAPSHOT_ISOLATION" in refusal.value.hint


@pytest.mark.parametrize(("intent", "told"), [("read_only", "1"), ("read_write", "0")])
def test_the_server_is_told_what_a_session_is_for(origin: Origin, intent: str, told: str) -> None:
    source = connector.open_source(origin.database.reached(intent=intent), ROOT)
    source.tables()
    assert told in origin.database.server.tell("intents").split()
    source.close()


def test_a_session_that_the_server_ended_is_replaced(origin: Origin) -> None:
    origin.database.execute("CREATE TABLE t (id INT)")
    source = origin.open()
    assert source.tables() == ["t"]
    origin.database.server.tell("fail", 0, "SELECT 1")
    assert source.tables() == ["t"]
    source.close()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"password": Secret("wrong-canary-secret")}, Code.AUTHENTICATION_FAILED),
        ({"database": "nowhere"}, Code.CONNECTION_FAILED),
        ({"port": 1}, Code.CONNECTION_FAILED),
        ({"tls": "verify", "host": "localhost"}, Code.CONNECTION_FAILED),
    ],
)
def test_what_is_wrong_with_a_connection_is_told(origin: Origin, changes: dict[str, Any], code: Code) -> None:
    with pytest.raises(HeadgateError) as refusal:
        connector.open_source(origin.database.reached(**changes, connect_timeout="2s"), ROOT).test()
    assert refusal.value.code is code
    assert "canary" not in str(refusal.value)
    assert "Error" not in refusal.value.message, "people are told what happened, not the name of a class"
    assert refusal.value.hint


@pytest.mark.parametrize("url", ["postgres://x/y", "sqlserver://h/d?encrypt=no", "mssql://u:canary@h:no/d"])
def test_a_url_of_something_else_is_refused_without_its_text(url: str) -> None:
    with pytest.raises(FatalError) as refusal:
        connector.open_source(Connection(url=Secret(url)), ROOT).test()
    assert refusal.value.code is Code.CONFIG_INVALID
    assert "canary" not in str(refusal.value)


def test_a_url_says_all_that_fields_say(origin: Origin) -> None:
    url = f"mssql+pytds://guarded:correct-Horse-9@127.0.0.1:{origin.database.server.port}/{origin.database.name}"
    source = connector.open_source(Connection(url=Secret(url)), ROOT)
    assert "double of SQL Server" in source.test()
    source.close()


def test_other_machines_are_reached_with_a_verified_certificate() -> None:
    assert encrypted(Connection(host="db.example.com", database="d"))
    assert encrypted(Connection(host="db.example.com\\SECOND", database="d"))
    assert not encrypted(Connection(host="localhost", database="d"))


@pytest.mark.parametrize(("module", "options"), [("pytds", {}), ("OpenSSL.SSL", {"tls": "verify"})])
def test_a_driver_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, module: str, options: dict[str, Any]
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(FatalError) as refusal:
        connector.open_source(Connection(host="localhost", database="d", **options), ROOT).test()
    assert refusal.value.code is Code.DRIVER_MISSING
    assert "headgate[sqlserver]" in refusal.value.hint


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


class TestTls:
    """The password is sent only to a server whose certificate holds."""

    @pytest.fixture
    def shown(self, origin: Origin) -> Iterator[Any]:
        def show(identity: Identity) -> None:
            origin.database.server.tell("tls", *identity)

        yield show
        origin.database.server.tell("tls")

    def _read(self, origin: Origin, authority: Path) -> str:
        connection = origin.database.reached(host=FAR, tls_ca=str(authority), connect_timeout="5s")
        source = connector.open_source(connection, ROOT)
        try:
            return source.test()
        finally:
            source.close()

    def test_a_good_certificate_is_talked_to(self, origin: Origin, shown: Any, certificates: Certificates) -> None:
        shown(certificates.good)
        assert "double of SQL Server" in self._read(origin, certificates.authority)

    @pytest.mark.parametrize("which", ["self_signed", "wrong_host", "expired"])
    def test_a_bad_one_is_refused(self, origin: Origin, shown: Any, certificates: Certificates, which: str) -> None:
        shown(getattr(certificates, which))
        with pytest.raises(FatalError) as refusal:
            self._read(origin, certificates.authority)
        assert refusal.value.code is Code.CONNECTION_FAILED
        assert "certificate" in refusal.value.hint

    @pytest.mark.parametrize(
        ("names", "host", "fits"),
        [
            ("DNS:db.example.com", b"DB.example.com", True),
            ("DNS:*.example.com", b"db.example.com", True),
            ("DNS:*.example.com", b"a.db.example.com", False),
            ("DNS:*.example.com", b"example.com", False),
            ("IP:10.0.0.1", b"10.0.0.1", True),
            ("DNS:other.example.com", b"db.example.com", False),
        ],
    )
    def test_names_are_those_of_the_certificate(self, tmp_path: Path, names: str, host: bytes, fits: bool) -> None:
        from cryptography import x509

        class Shown:
            """As the library gives it."""

            def to_cryptography(self) -> x509.Certificate:
                return x509.load_pem_x509_certificate(certificate_for(names, tmp_path).read_bytes())

        assert _is_for(Shown(), host) is fits


def certificate_for(names: str, folder: Path) -> Path:
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key", "-out", "pem")
    extension = ("-addext", f"subjectAltName={names}")
    command = ["openssl", "req", "-x509", *key, *extension, "-subj", "/CN=x"]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)  # noqa: S603 - our own words
    return folder / "pem"
