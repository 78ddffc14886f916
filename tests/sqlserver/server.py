"""The double as a process: listens, speaks TDS 7.4, executes on DuckDB. ``python -m tests.sqlserver.server``."""

from __future__ import annotations

import itertools
import re
import socket
import sys
import threading
import traceback
from contextlib import suppress
from typing import Any

import duckdb
import pyarrow as pa
from tests.sqlserver import wire
from tests.sqlserver.engine import Database, Execution
from tests.sqlserver.strict import Refused, bare

USER, PASSWORD = "guarded", "correct-Horse-9"
_BULK = re.compile(r"INSERT BULK (\[(?:[^\]]|\]\])*\])\.(\[(?:[^\]]|\]\])*\])\((.*)\)\s*(?:WITH \(.*\))?\s*$", re.DOTALL)
_TAKE = re.compile(r"EXEC @taken = sp_getapplock @Resource = N'([^']+)', .*@LockTimeout = (\d+)")
_GIVE = re.compile(r"EXEC sp_releaseapplock @Resource = N'([^']+)'")
_LOCKS = re.compile(r"SELECT TOP \(1\) request_session_id FROM sys\.dm_tran_locks .* LIKE '%(.+)%'")
_UNLESS = re.compile(r"IF NOT EXISTS \((SELECT .*?'\w+')\) (CREATE TABLE .*)$", re.DOTALL)
_SETTING = re.compile(
    r"SET (QUOTED_IDENTIFIER, [A-Z_, ]+ ON|(NUMERIC_ROUNDABORT|IMPLICIT_TRANSACTIONS) OFF|XACT_ABORT ON"
    r"|DATEFORMAT ymd|LOCK_TIMEOUT \d+|TRANSACTION ISOLATION LEVEL (SNAPSHOT|SERIALIZABLE|READ COMMITTED))"
)
_STATES = ((re.compile("already exists"), 2714), (re.compile("does not exist"), 208), (re.compile("[Cc]olumn"), 207))


class Server:
    """All databases and sessions. ``statements`` are what clients said, for tests that look at the words."""

    def __init__(self) -> None:
        self.databases: dict[str, Database] = {}
        self.sessions: dict[int, Session] = {}
        self.numbers = itertools.count(51)
        self.statements: list[str] = []
        self.fail: dict[str, int] = {}

    def serve(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=Session(self, connection, next(self.numbers)).run, daemon=True).start()


class Session:
    """One client."""

    def __init__(self, server: Server, connection: socket.socket, number: int) -> None:
        self.server, self.connection, self.number = server, connection, number
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
        except OSError:
            pass
        finally:
            self.end()

    def end(self) -> None:
        self.server.sessions.pop(self.number, None)
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()
        if self.execution is not None:
            execution, self.execution = self.execution, None
            with suppress(duckdb.Error):
                execution.close()

    def _answer(self, kind: int, data: bytes) -> None:
        match kind:
            case wire.PRELOGIN:
                self._send(_prelogin())
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
                raise Refused(3989, "The request should come with a valid transaction descriptor.")
            for word, number in list(self.server.fail.items()):
                if word in text:
                    del self.server.fail[word]
                    if number == 0:  # the connection breaks, and the statement is not run
                        self.end()
                        return
                    raise Refused(number, f"told to fail at {word}")
            self._statement(text.strip(), parameters, token)
        except (Refused, duckdb.Error) as error:
            self._send(self._failed(error) + wire.done(error=True, token=token))
        except Exception as error:
            traceback.print_exc()
            self._send(self._failed(Refused(50000, f"the double failed: {error!r}")) + wire.done(error=True, token=token))

    def _failed(self, error: Exception) -> bytes:
        """XACT_ABORT: an error ends the transaction."""
        assert self.execution is not None
        head = b""
        if self.execution.in_transaction:
            self.execution.end(commit=False)
            head = self._left(10)
        return head + wire.told(*_explained(error))

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
            raise Refused(3952, "Snapshot isolation transaction failed: snapshot isolation is not allowed.")
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
            cells = [_cells(column) for column in batch.columns]
            for values in zip(*cells, strict=True):
                ready += wire.row(list(values), found.schema)
                count += 1
            full = len(ready) // (wire.PACKET - 8) * (wire.PACKET - 8)
            if full:
                wire.send(self.connection, bytes(ready[:full]), last=False)
                del ready[:full]
        self._send(bytes(ready) + wire.done(count, token=token))

    def _special(self, text: str, parameters: dict[str, Any]) -> bytes | None:  # noqa: C901 - one branch a statement
        """What is not a statement of DuckDB's: settings, transactions, locks, bulk loads."""
        execution = self.execution
        assert execution is not None
        if text.startswith("SET "):
            for setting in text.split("; "):
                found = _SETTING.fullmatch(setting)
                if not found:
                    raise Refused(102, f"the double does not know the setting {setting}")
                self.isolation = found[3] or self.isolation
            return wire.done()
        if text == "BEGIN TRANSACTION":
            execution.begin()
            self.transaction = next(self.transactions)
            return wire.changed(8, bytes([8]) + self.transaction.to_bytes(8, "little")) + wire.done()
        if text == "COMMIT TRANSACTION":
            if not execution.in_transaction:
                raise Refused(3902, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.")
            execution.end(commit=True)
            return self._left(9) + wire.done()
        if text == "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION":
            if not execution.in_transaction:
                return wire.done()
            execution.end(commit=False)
            return self._left(10) + wire.done()
        if found := _TAKE.search(text):
            taken = execution.database.take(found[1], self.number, int(found[2]) / 1000)
            return _one("", taken)
        if found := _GIVE.match(text):
            execution.database.let_go(self.number, found[1])
            return wire.done()
        if found := _LOCKS.match(text):
            holder = execution.database.locks.get(found[1])
            return _one("request_session_id", holder)
        if found := re.fullmatch(r"KILL (\d+)", text):
            other = self.server.sessions.get(int(found[1]))
            if other is None:
                raise Refused(6106, f"Process ID {found[1]} is not an active process ID.")
            other.end()
            return wire.done()
        if found := _BULK.match(text):
            place = (_bracketed(found[1]), _bracketed(found[2]))
            names = [_bracketed(name) for name in re.findall(r"(?:^|,)(\[(?:[^\]]|\]\])*\]) ", found[3])]
            self.bulk = (place, names)
            return wire.done()
        if "sys.dm_exec_describe_first_result_set(" in bare(text):
            return self._described(parameters)
        return None

    def _described(self, parameters: dict[str, Any]) -> bytes:
        assert self.execution is not None
        names = ("name", "system_type_name", "precision", "scale", "max_length", "error_number", "error_message")
        kinds: Any = (pa.string(), pa.string(), pa.uint8(), pa.uint8(), pa.int16(), pa.int32(), pa.string())
        try:
            rows = self.execution.columns_of(parameters["P1"])
        except (Refused, duckdb.Error) as error:
            rows = [(None, None, None, None, None, *_explained(error))]
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
            arrays = [_array(values, type_) for values, (_, type_) in zip(cells, columns, strict=True)]
            table = pa.table(dict(zip(named, arrays, strict=True)))
            self._send(wire.done(self.execution.insert(place, named, table)))
        except duckdb.Error as error:
            self._send(self._failed(error) + wire.done(error=True))


def _array(values: Any, type_: tuple[Any, ...]) -> Any:
    if type_[0] in (0x6A, 0x6C):
        return pa.array(values, pa.decimal128(type_[2], type_[3]))
    known = {0x28: pa.date32(), 0x29: pa.time64("us"), 0x2A: pa.timestamp("us"), 0x2B: pa.timestamp("us", "UTC")}
    known |= {0xE7: pa.string(), 0xA5: pa.binary(), 0x68: pa.bool_()}
    if type_[0] == 0x26:
        return pa.array(values, {1: pa.uint8(), 2: pa.int16(), 4: pa.int32(), 8: pa.int64()}[type_[1]])
    if type_[0] == 0x6D:
        return pa.array(values, pa.float32() if type_[1] == 4 else pa.float64())
    return pa.array(values, known[type_[0]])


def _cells(column: Any) -> list[Any]:
    """Values; times of nanoseconds as they are, without pandas."""
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        return [None if each is None else _Fine(each) for each in column.cast(pa.int64()).to_pylist()]
    found: list[Any] = column.to_pylist()
    return found


class _Fine:
    """A moment with nanoseconds."""

    def __init__(self, nanoseconds: int) -> None:
        from datetime import datetime, timedelta

        self.nanosecond = nanoseconds % 1000
        self._moment = datetime(1970, 1, 1) + timedelta(microseconds=nanoseconds // 1000)  # noqa: DTZ001

    def time(self) -> Any:
        return self._moment.time()

    def toordinal(self) -> int:
        return self._moment.toordinal()


def _prelogin() -> bytes:
    fields = [(0, bytes([16, 0, 0, 0, 0, 0])), (1, b"\2"), (2, b"\0"), (4, b"\0")]
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


def _explained(error: Exception) -> tuple[int, str]:
    """An error as SQL Server numbers it."""
    if isinstance(error, Refused):
        return error.number, error.message
    text = str(error)
    match error:
        case duckdb.TransactionException():
            return 1205, "Transaction was deadlocked with another process and has been chosen as the victim: " + text
        case duckdb.ConstraintException() if "NOT NULL" in text:
            return 515, "Cannot insert the value NULL: " + text
        case duckdb.ConstraintException():
            return 2627, "Violation of PRIMARY KEY or UNIQUE KEY constraint: " + text
        case duckdb.ConversionException() | duckdb.InvalidInputException() | duckdb.OutOfRangeException():
            return 8114, "Error converting data type: " + text
    return next((number for pattern, number in _STATES if pattern.search(text)), 102), text


def main() -> None:
    """Print the port; take orders on standard input: create NAME, drop NAME, snapshot NAME 0|1 0|1. End with it."""
    server = Server()
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=server.serve, args=(listener,), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    for line in sys.stdin:
        order, *words = line.split()
        print(_obey(server, order, words), flush=True)


def _obey(server: Server, order: str, words: list[str]) -> str:
    match order:
        case "create":
            server.databases[words[0]] = Database(words[0])
        case "drop":
            for session in list(server.sessions.values()):
                if session.login["database"] == words[0]:
                    session.end()
            server.databases.pop(words[0]).root.close()
        case "snapshot":
            server.databases[words[0]].allows(int(words[1]), bool(int(words[2])))
        case "fail":
            server.fail[" ".join(words[1:])] = int(words[0])
        case "intents":
            return " ".join(str(int(session.login["read_only"])) for session in server.sessions.values())
        case "said":
            found, server.statements = server.statements, []
            return repr(found)
    return "done"


if __name__ == "__main__":
    main()
