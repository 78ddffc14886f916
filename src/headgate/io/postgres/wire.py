"""Rows as the server's own bytes: binary COPY from one session to another, undecoded.

The loop takes what libpq hands out, a row at a time, and sends it on in pieces; it waits where Python hears signals.
"""

from __future__ import annotations

import select
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from headgate.core.errors import Code
from headgate.io.postgres.errors import explain, explained

if TYPE_CHECKING:
    import psycopg

PIECE = 256 * 1024
"""Bytes that go on together: smaller pieces cost calls, larger ones leave the processor's cache."""


def copy_out(session: psycopg.Connection[Any], statement: str, name: str) -> Iterator[bytes]:
    """The bytes of a ``COPY … TO STDOUT``, in pieces."""
    library = session.pgconn
    with explained("scan", name, Code.EXTRACTION_FAILED):
        _start(session, statement, "scan", name)
        get, pieces, size = library.get_copy_data, [], 0
        while True:
            count, data = get(1)
            if count > 0:
                pieces.append(data)
                size += count
                if size >= PIECE:
                    yield b"".join(pieces)
                    pieces, size = [], 0
            elif count == 0:
                select.select([library.socket], [], [])
                library.consume_input()
            else:
                break
        if pieces:
            yield b"".join(pieces)
    _end(session, "scan", name)


def copy_in(session: psycopg.Connection[Any], statement: str, chunks: Iterator[bytes], name: str) -> int:
    """Send bytes into a ``COPY … FROM STDIN``; the number of rows that the server took."""
    library = session.pgconn
    with explained("stage", name):
        _start(session, statement, "stage", name)
        library.nonblocking = 1
    try:
        for piece in chunks:
            with explained("stage", name):
                while not library.put_copy_data(piece):
                    _flush(library)
                _flush(library)
        with explained("stage", name):
            while not library.put_copy_end():
                _flush(library)
            _flush(library)
    except BaseException:
        with explained("stage", name):
            library.put_copy_end(b"the rows ended in an error")
            _flush(library)
        _drain(session)
        raise
    finally:
        library.nonblocking = 0
    return _end(session, "stage", name)


def _flush(library: Any) -> None:
    """Until everything is on its way; what the server says meanwhile is read, or both would wait."""
    while library.flush():
        readable, _, _ = select.select([library.socket], [library.socket], [])
        if readable:
            library.consume_input()


def _start(session: psycopg.Connection[Any], statement: str, operation: str, name: str) -> None:
    """Begin a COPY, in the session's transaction."""
    from psycopg import errors, pq

    library = session.pgconn
    if not session.autocommit and library.transaction_status == pq.TransactionStatus.IDLE:
        library.exec_(b"BEGIN")
    result = library.exec_(statement.encode())
    if result.status not in {pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_IN}:
        raise explain(errors.error_from_result(result), operation, name, Code.EXTRACTION_FAILED)


def _end(session: psycopg.Connection[Any], operation: str, name: str) -> int:
    """What the server says at the end of a COPY: how many rows."""
    from psycopg import errors, pq

    rows = 0
    failed = None
    while (result := session.pgconn.get_result()) is not None:
        if result.status == pq.ExecStatus.COMMAND_OK:
            rows = result.command_tuples or 0
        else:
            failed = failed or result
    if failed is not None:
        code = Code.EXTRACTION_FAILED if operation == "scan" else Code.LOAD_EXECUTION_FAILED
        raise explain(errors.error_from_result(failed), operation, name, code)
    return rows


def _drain(session: psycopg.Connection[Any]) -> None:
    while session.pgconn.get_result() is not None:
        pass
