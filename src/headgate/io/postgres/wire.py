"""Rows as the server's own bytes: binary COPY from one session to another, undecoded.

What travels is messages of the protocol. Where a connection is encrypted, libpq hands rows out and takes them.
All waiting is done where Python hears signals.
"""

from __future__ import annotations

import select
from array import array
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from headgate.core.errors import Code, HeadgateError
from headgate.io.postgres.errors import explain, explained
from headgate.io.postgres.link import DATA, HEADER, PIECE, Link, plain

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

T = TypeVar("T")

TEXTS = 2 * 1024 * 1024
"""Bytes that are parsed together: a parser takes its time to start."""
_PREFIX = 5
"""Bytes before the data of a message: its kind and length."""
_SIGNATURE = 19
"""Bytes before the first row of a binary COPY."""
_COPY_DONE = b"c\0\0\0\4"


def copy_out(session: psycopg.Connection[Any], statement: str, name: str) -> Iterator[memoryview]:
    """What a ``COPY … TO STDOUT`` gives, in pieces, each of whole messages of the protocol."""
    return _out(session, statement, name, _straight_out, _framed)


def texts(session: psycopg.Connection[Any], statement: str, name: str) -> Iterator[tuple[pa.Buffer, int]]:
    """What a ``COPY … TO STDOUT`` in text or CSV gives: pieces of whole rows, with how many these are."""
    return _out(session, statement, name, _straight_texts, _library_texts)


def _out(
    session: psycopg.Connection[Any],
    statement: str,
    name: str,
    straight: Callable[[psycopg.Connection[Any], str], Iterator[T]],
    library: Callable[[Any], Iterator[T]],
) -> Iterator[T]:
    """The pieces of a COPY: straight from the socket, or out of libpq where the connection is encrypted."""
    with explained("scan", name, Code.EXTRACTION_FAILED):
        if plain(session):
            yield from straight(session, statement)
            return
        _start(session, statement, "scan", name)
        yield from library(session.pgconn)
    _end(session, "scan", name)


def _straight_out(session: psycopg.Connection[Any], statement: str) -> Iterator[memoryview]:
    _begin(session)
    link = Link(session)
    try:
        link.start(statement, b"H")
        while len(piece := link.rows()):
            yield piece
        link.end()
    finally:
        link.close()


def _framed(library: Any) -> Iterator[memoryview]:
    """Rows from libpq, one message a piece."""
    get, piece = library.get_copy_data, bytearray(_PREFIX)
    while True:
        count, data = get(1)
        if count > 0:
            piece += data
            if len(piece) >= PIECE:
                yield _message(piece)
                piece = bytearray(_PREFIX)
        elif count == 0:
            select.select([library.socket], [], [])
            library.consume_input()
        else:
            break
    if len(piece) > _PREFIX:
        yield _message(piece)


def _message(piece: bytearray) -> memoryview:
    piece[0] = DATA
    HEADER.pack_into(piece, 1, len(piece) - 1)
    return memoryview(piece)


def _straight_texts(session: psycopg.Connection[Any], statement: str) -> Iterator[tuple[pa.Buffer, int]]:
    _begin(session)
    link = Link(session)
    try:
        link.start(statement, b"H")
        while len(piece := link.rows(TEXTS, starts := list[int]())):
            yield _unframed(piece, starts), len(starts)
        link.end()
    finally:
        link.close()


def _unframed(piece: memoryview, starts: list[int]) -> pa.Buffer:
    """The bytes of messages without what each begins with."""
    import pyarrow as pa
    import pyarrow.compute as pc

    offsets = pa.py_buffer(array("i", [*starts, len(piece)]))
    messages: Any = pa.Array.from_buffers(pa.binary(), len(starts), [None, offsets, pa.py_buffer(piece)])
    # without an end, Arrow's kernel asks for a buffer of negative size
    found: pa.Buffer = pc.binary_slice(messages, _PREFIX, len(piece)).buffers()[2]
    return found


def _library_texts(library: Any) -> Iterator[tuple[pa.Buffer, int]]:
    """Rows from libpq, which hands them out one by one."""
    import pyarrow as pa

    rows, size = list[bytes](), 0
    while True:
        count, data = library.get_copy_data(1)
        if count > 0:
            rows.append(bytes(data))
            size += count
            if size >= TEXTS:
                yield pa.py_buffer(b"".join(rows)), len(rows)
                rows, size = [], 0
        elif count == 0:
            select.select([library.socket], [], [])
            library.consume_input()
        else:
            break
    if rows:
        yield pa.py_buffer(b"".join(rows)), len(rows)


def values(pieces: Iterator[memoryview]) -> Iterator[bytes]:
    """The values of what :func:`copy_out` gave, where the rows have one column, in which no NULL is."""
    unpack, begun = HEADER.unpack_from, False
    for piece in pieces:
        data, place = bytes(piece), 0
        while place < len(data):
            end = place + 1 + unpack(data, place + 1)[0]
            place += _PREFIX
            if not begun:
                begun = True
                place += _SIGNATURE
            while place < end and data[place] == 0:  # the last message has no row, and says so by -1
                start = place + 6
                place = start + unpack(data, place + 2)[0]
                yield data[start:place]
            place = end


def copy_in(session: psycopg.Connection[Any], statement: str, pieces: Iterator[memoryview], name: str) -> int:
    """Send what :func:`copy_out` gave into a ``COPY … FROM STDIN``; the number of rows that the server took."""
    with explained("stage", name):
        straight = plain(session)
    return (_straight_in if straight else _library_in)(session, statement, pieces, name)


def _straight_in(session: psycopg.Connection[Any], statement: str, pieces: Iterator[memoryview], name: str) -> int:
    with explained("stage", name):
        _begin(session)
        link = Link(session)
        try:
            link.start(statement, b"G")
            try:
                for piece in pieces:
                    link.send(piece)
                    link.listen()
            except HeadgateError:  # of the pieces: here, all of the last one is on its way
                link.abandon("the rows ended in an error")
                raise
            link.send(_COPY_DONE)
            return link.end()
        finally:
            link.close()


def _library_in(session: psycopg.Connection[Any], statement: str, pieces: Iterator[memoryview], name: str) -> int:
    library = session.pgconn
    with explained("stage", name):
        _start(session, statement, "stage", name)
        library.nonblocking = 1
    try:
        for piece in pieces:
            payload = _payload(piece)
            with explained("stage", name):
                while not library.put_copy_data(payload):
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


def _payload(piece: memoryview) -> bytes:
    """The bytes of a COPY without what tells messages apart."""
    parts, place = [], 0
    while place < len(piece):
        end = place + 1 + HEADER.unpack_from(piece, place + 1)[0]
        parts.append(piece[place + _PREFIX : end])
        place = end
    return b"".join(parts)


def _begin(session: psycopg.Connection[Any]) -> None:
    from psycopg import pq

    library = session.pgconn
    if not session.autocommit and library.transaction_status == pq.TransactionStatus.IDLE:
        library.exec_(b"BEGIN")


def _flush(library: Any) -> None:
    """Until everything is on its way; what the server says meanwhile is read, or both would wait."""
    while library.flush():
        readable, _, _ = select.select([library.socket], [library.socket], [])
        if readable:
            library.consume_input()


def _start(session: psycopg.Connection[Any], statement: str, operation: str, name: str) -> None:
    """Begin a COPY, in the session's transaction."""
    from psycopg import errors, pq

    _begin(session)
    result = session.pgconn.exec_(statement.encode())
    if result.status not in {pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_IN}:
        raise explain(errors.error_from_result(result), operation, name, Code.EXTRACTION_FAILED)


def _end(session: psycopg.Connection[Any], operation: str, name: str) -> int:
    """What the server says at the end of a COPY: how many rows."""
    from psycopg import errors, pq

    rows = 0
    failed = None
    while (result := _result(session.pgconn)) is not None:
        if result.status == pq.ExecStatus.COMMAND_OK:
            rows = result.command_tuples or 0
        else:
            failed = failed or result
    if failed is not None:
        code = Code.EXTRACTION_FAILED if operation == "scan" else Code.LOAD_EXECUTION_FAILED
        raise explain(errors.error_from_result(failed), operation, name, code)
    return rows


def _drain(session: psycopg.Connection[Any]) -> None:
    while _result(session.pgconn) is not None:
        pass


def _result(library: Any) -> Any:
    """The next result, waited for here: libpq would wait with Python's lock in its hand."""
    while library.is_busy():
        select.select([library.socket], [], [])
        library.consume_input()
    return library.get_result()
