"""The double: listens, speaks TDS 7.4, executes on DuckDB."""

from __future__ import annotations

import itertools
import re
import socket
import ssl
import threading
import traceback
from contextlib import suppress
from typing import Any

import duckdb
import pyarrow as pa
from tests.sqlserver import values, wire
from tests.sqlserver.encrypted import Encrypted
from tests.sqlserver.engine import Database, Execution
from tests.sqlserver.errors import explained
from tests.sqlserver.strict import RefusedError, bare

USER, PASSWORD = "guarded", "correct-Horse-9"
_BULK = re.compile(
    r"INSERT BULK (\[(?:[^\]]|\]\])*\])\.(\[(?:[^\]]|\]\])*\])\((.*)\)\s*(?:WITH \(.*\))?\s*$", re.DOTALL
)
_TAKE = re.compile(r"EXEC @taken = sp_getapplock @Resource = N'([^']+)', .*@LockTimeout = (\d+)")
_GIVE = re.compile(r"EXEC sp_releaseapplock @Resource = N'([^']+)'")
_LOCKS = re.compile(r"SELECT TOP \(1\) request_session_id FROM sys\.dm_tran_locks .* LIKE '%(.+)%'")
_UNLESS = re.compile(r"IF NOT EXISTS \((SELECT .*?'\w+')\) (CREATE TABLE .*)$", re.DOTALL)
_SETTING = re.compile(
    r"SET (QUOTED_IDENTIFIER, [A-Z_, ]+ ON|(NUMERIC_ROUNDABORT|IMPLICIT_TRANSACTIONS) OFF|XACT_ABORT ON"
    r"|DATEFORMAT ymd|LOCK_TIMEOUT \d+|TRANSACTION ISOLATION LEVEL (SNAPSHOT|SERIALIZABLE|READ COMMITTED))"
)


class Server:
    """All databases and sessions. ``statements`` are what clients said, for tests that look at the words."""

    def __init__(self) -> None:
        self.databases: dict[str, Database] = {}
        self.sessions: dict[int, Session] = {}
        self.numbers = itertools.count(51)
        self.statements: list[str] = []
        self.fail: dict[str, int] = {}
        self.tls: ssl.SSLContext | None = None

    def serve(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=Session(self, connection, next(self.numbers)).run, daemon=True).start()


class Session:
    """One client."""

    def __init__(self, server: Server, connection: socket.socket, number: int) -> None:
        self.server, self.socket, self.number = server, connection, number
        self.connection: socket.socket | Encrypted = connection
        self.execution: Execution | None = None
        self.transactions = itertools.count(number * 1000 + 1)
        self.transaction = 0
        self.isolation = "READ COMMITTED"
        self.bulk: tuple[tuple[str, str], list[str]] | None = None
        self.login: dict[str, Any] = {}

    def run(self) -> None:
        try:
            while (message := wire.receive(self.connection)) is not None:
                self._answer(*message)
        except OSError:  # it is gone; TLS that came to nothing too
            pass
        finally:
            self.end()

    def end(self) -> None:
        self.server.sessions.pop(self.number, None)
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        if self.execution is not None:
            execution, self.execution = self.execution, None
            with suppress(duckdb.Error):
                execution.close()

    def _answer(self, kind: int, data: bytes) -> None:
        match kind:
            case wire.PRELOGIN:
                self._send(_prelogin(encrypted=self.server.tls is not None))
                if self.server.tls is not None:
                    self.connection = Encrypted(self.socket, self.server.tls)
            case wire.LOGIN7:
                self._login(data)
            case wire.ATTENTION:
                self._send(wire.done(attention=True))
            case wire.BATCH:
                reading = wire.Reading(data)
                believed = wire.skip_headers(reading)
                self._guarded(believed, reading.text((len(data) - reading.at) // 2), {}, 0xFD)
            case wire.RPC:
                self._call(wire.Reading(data))
            case wire.BULK:
                self._load(wire.Reading(data))
            case _:
                raise AssertionError(f"the client sends a message that no test needs: {kind}")

    def _send(self, data: bytes) -> None:
        wire.send(self.connection, data)

    def _login(self, data: bytes) -> None:
        self.login = wire.read_login(data)
        if (self.login["user"], self.login["password"]) != (USER, PASSWORD):
            self._send(wire.told(18456, f"Login failed for user '{self.login['user']}'.") + wire.done(error=True))
            return
        database = self.server.databases.get(self.login["database"])
        if database is None:
            text = f'Cannot open database "{self.login["database"]}" requested by the login. The login failed.'
            self._send(wire.told(4060, text) + wire.done(error=True))
            return
        self.execution = Execution(database, self.number)
        self.server.sessions[self.number] = self
        self._send(wire.logged_in(database.name) + wire.done())

    def _call(self, reading: wire.Reading) -> None:
        believed = wire.skip_headers(reading)
        assert reading.number(2) == 0xFFFF, "a procedure is called by its number"
        assert reading.number(2) == 10, "sp_executesql is all that is called"
        reading.number(2)
        values = []
        while not reading.done:
            name = reading.text(reading.number(1))
            reading.number(1)
            values.append((name, wire.read_value(reading, wire.read_type(reading))))
        (_, text), _, *named = values
        self._guarded(believed, text, {name.lstrip("@"): value for name, value in named}, 0xFE)

    # ---------------------------------------------------------------------------------------- statements

    def _guarded(self, believed: int, text: str, parameters: dict[str, Any], token: int) -> None:
        self.server.statements.append(text)
        try:
            if believed != self.transaction:
                raise RefusedError(3989, "The request should come with a valid transaction descriptor.")
            if self._breaks(text):
                return
            self._statement(text.strip(), parameters, token)
        except (RefusedError, duckdb.Error) as error:
            self._send(self._failed(error) + wire.done(error=True, token=token))
        except Exception as error:  # noqa: BLE001 - a fault of the double is an answer, too
            traceback.print_exc()
            self._send(
                self._failed(RefusedError(50000, f"the double failed: {error!r}")) + wire.done(error=True, token=token)
            )

    def _breaks(self, text: str) -> bool:
        """What a test has ordered: 0: the connection breaks before the statement, 1: after it, else an error."""
        for word, number in list(self.server.fail.items()):
            if word not in text:
                continue
            del self.server.fail[word]
            if number > 1:
                raise RefusedError(number, f"told to fail at {word}")
            if number:
                self._special(text, {})
            self.end()
            return True
        return False

    def _failed(self, error: Exception) -> bytes:
        """XACT_ABORT: an error ends the transaction."""
        assert self.execution is not None
        head = b""
        if self.execution.in_transaction:
            self.execution.end(commit=False)
            head = self._left(10)
        return head + wire.told(*explained(error))

    def _left(self, kind: int) -> bytes:
        old, self.transaction = self.transaction, 0
        return wire.changed(kind, b"\0", bytes([8]) + old.to_bytes(8, "little"))

    def _statement(self, text: str, parameters: dict[str, Any], token: int) -> None:
        assert self.execution is not None
        if (said := self._special(text, parameters)) is not None:
            self._send(said)
            return
        if match := _UNLESS.match(text):
            there = self.execution.run(match[1], {})
            assert isinstance(there, pa.RecordBatchReader)
            if not any(batch.num_rows for batch in there):
                self.execution.run(match[2], {})
            self._send(wire.done())
            return
        if self.isolation == "SNAPSHOT" and not self._allows():
            raise RefusedError(3952, "Snapshot isolation transaction failed: snapshot isolation is not allowed.")
        found = self.execution.run(text, parameters)
        if isinstance(found, pa.RecordBatchReader):
            self._rows(found, token)
        else:
            self._send(wire.done(found, token=token))

    def _allows(self) -> bool:
        assert self.execution is not None
        found = self.execution.run("SELECT snapshot_isolation_state FROM sys.databases", {})
        assert isinstance(found, pa.RecordBatchReader)
        return bool(found.read_all()[0][0].as_py())

    def _rows(self, found: pa.RecordBatchReader, token: int) -> None:
        """As they are computed, so that a client that leaves in the middle is noticed."""
        ready = bytearray(wire.metadata(found.schema))
        count = 0
        for batch in found:
            cells = [values.cells(column) for column in batch.columns]
            for row in zip(*cells, strict=True):
                ready += wire.row(list(row), found.schema)
                count += 1
            full = len(ready) // (wire.PACKET - 8) * (wire.PACKET - 8)
            if full:
                wire.send(self.connection, bytes(ready[:full]), last=False)
                del ready[:full]
        self._send(bytes(ready) + wire.done(count, token=token))

    def _special(self, text: str, parameters: dict[str, Any]) -> bytes | None:
        """What is not a statement of DuckDB's."""
        if text.startswith("SET "):
            return self._setting(text)
        if "sys.dm_exec_describe_first_result_set(" in bare(text):
            return self._described(parameters)
        if found := _BULK.match(text):
            place = (_bracketed(found[1]), _bracketed(found[2]))
            names = [_bracketed(name) for name in re.findall(r"(?:^|,)(\[(?:[^\]]|\]\])*\]) ", found[3])]
            self.bulk = (place, names)
            return wire.done()
        return self._border(text) or self._lock(text)

    def _setting(self, text: str) -> bytes:
        for setting in text.split("; "):
            found = _SETTING.fullmatch(setting)
            if not found:
                raise RefusedError(102, f"the double does not know the setting {setting}")
            self.isolation = found[3] or self.isolation
        return wire.done()

    def _border(self, text: str) -> bytes | None:
        """Where a transaction begins or ends."""
        execution = self.execution
        assert execution is not None
        match text:
            case "BEGIN TRANSACTION":
                execution.begin()
                self.transaction = next(self.transactions)
                return wire.changed(8, bytes([8]) + self.transaction.to_bytes(8, "little")) + wire.done()
            case "COMMIT TRANSACTION" if not execution.in_transaction:
                raise RefusedError(3902, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.")
            case "COMMIT TRANSACTION":
                execution.end(commit=True)
                return self._left(9) + wire.done()
            case "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION" if not execution.in_transaction:
                return wire.done()
            case "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION":
                execution.end(commit=False)
                return self._left(10) + wire.done()
        return None

    def _lock(self, text: str) -> bytes | None:
        """Locks of applications, and whoever holds one."""
        assert self.execution is not None
        database = self.execution.database
        if found := _TAKE.search(text):
            return _one("", database.take(found[1], self.number, int(found[2]) / 1000))
        if found := _GIVE.match(text):
            database.let_go(self.number, found[1])
            return wire.done()
        if found := _LOCKS.match(text):
            return _one("request_session_id", database.locks.get(found[1]))
        if found := re.fullmatch(r"KILL (\d+)", text):
            other = self.server.sessions.get(int(found[1]))
            if other is None:
                raise RefusedError(6106, f"Process ID {found[1]} is not an active process ID.")
            other.end()
            return wire.done()
        return None

    def _described(self, parameters: dict[str, Any]) -> bytes:
        assert self.execution is not None
        names = ("name", "system_type_name", "precision", "scale", "max_length", "error_number", "error_message")
        kinds: Any = (pa.string(), pa.string(), pa.uint8(), pa.uint8(), pa.int16(), pa.int32(), pa.string())
        try:
            rows = self.execution.columns_of(parameters["P1"])
        except (RefusedError, duckdb.Error) as error:
            rows = [(None, None, None, None, None, *explained(error))]
        schema = pa.schema(list(zip(names, kinds, strict=True)))
        return wire.metadata(schema) + b"".join(wire.row(list(row), schema) for row in rows) + wire.done(len(rows))

    def _load(self, reading: wire.Reading) -> None:
        assert self.bulk is not None
        assert self.execution is not None
        place, named = self.bulk
        self.bulk = None
        assert reading.number(1) == 0x81
        columns = []
        for _ in range(reading.number(2)):
            reading.take(6)
            type_ = wire.read_type(reading)
            columns.append((reading.text(reading.number(1)), type_))
        assert [name for name, _ in columns] == named, "the rows have the columns that were announced"
        rows = []
        while reading.number(1) == 0xD1:
            rows.append([wire.read_value(reading, type_) for _, type_ in columns])
        assert len(reading.data) - reading.at == 12, "DONE ends a bulk load"
        try:
            cells: list[Any] = list(zip(*rows, strict=True)) if rows else [() for _ in columns]
            arrays = [values.array(each, type_) for each, (_, type_) in zip(cells, columns, strict=True)]
            table = pa.table(dict(zip(named, arrays, strict=True)))
            self._send(wire.done(self.execution.insert(place, named, table)))
        except duckdb.Error as error:
            self._send(self._failed(error) + wire.done(error=True))


def _prelogin(*, encrypted: bool) -> bytes:
    fields = [(0, bytes([16, 0, 0, 0, 0, 0])), (1, b"\1" if encrypted else b"\2"), (2, b"\0"), (4, b"\0")]
    at, head, body = 5 * len(fields) + 1, b"", b""
    for token, value in fields:
        head += bytes([token]) + (at + len(body)).to_bytes(2, "big") + len(value).to_bytes(2, "big")
        body += value
    return head + b"\xff" + body


def _one(name: str, value: int | None) -> bytes:
    schema = pa.schema([(name, pa.int32())])
    rows = b"" if value is None else wire.row([value], schema)
    return wire.metadata(schema) + rows + wire.done(0 if value is None else 1)


def _bracketed(name: str) -> str:
    return name[1:-1].replace("]]", "]")
