from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.core.contracts import Window
from headgate.core.errors import Code, FatalError
from headgate.core.models import Incremental
from headgate.io import cursor_delivery
from headgate.io.cursor import Cursor, Found
from headgate.io.cursor_values import Kind, Value, coerce, decode
from headgate.testing.rows import arrow_schema

START = datetime(2024, 1, 1)  # noqa: DTZ001 - a naive cursor
SCHEMA = arrow_schema([("id", pa.int64()), ("at", pa.timestamp("us")), ("payload", pa.string())])


def moment(tick: int) -> datetime:
    return START + timedelta(seconds=tick)


def render(value: Value) -> str:
    assert isinstance(value, datetime)
    return f"'{value.isoformat()}'"


class Table:
    """A table with a cursor column that others write to, and the runs that read it."""

    def __init__(self, options: Incremental) -> None:
        self.options = options
        self.since: dict[str, Any] | None = None
        self.delivered: Counter[Any] = Counter()
        self.executions: set[str] = set()
        self.db = sqlite3.connect(":memory:")
        self.db.execute("CREATE TABLE t (id INTEGER, at TEXT, payload TEXT)")

    def insert(self, id_: int, tick: int | None, payload: str = "") -> None:
        at = None if tick is None else moment(tick).isoformat()
        self.db.execute("INSERT INTO t VALUES (?, ?, ?)", (id_, at, payload))

    def update(self, id_: int, tick: int) -> None:
        self.db.execute("UPDATE t SET at = ? WHERE id = ?", (moment(tick).isoformat(), id_))

    def delete(self, id_: int) -> None:
        self.db.execute("DELETE FROM t WHERE id = ?", (id_,))

    def rows(self) -> Counter[Any]:
        return Counter(self.db.execute("SELECT id, at, payload FROM t").fetchall())

    def probe(self, limit: int | None, exact: bool = True) -> Window | None:
        cursor = Cursor(self.options, "timestamp", self.since, limit)
        start = cursor.start_condition("at", render)
        ((maximum, count, nulls),) = self.db.execute(
            f"SELECT max(at), count(*) FILTER (WHERE {start}), count(*) FILTER (WHERE at IS NULL) FROM t"
        )
        key = ", ".join(self.options.key or ("id", "at", "payload"))
        found = Found(None if maximum is None else datetime.fromisoformat(maximum), count, nulls)

        def rows() -> Any:
            for at, *rest in self.db.execute(f"SELECT at, {key} FROM t WHERE {start} OR at IS NULL"):
                when = None if at is None else datetime.fromisoformat(at)
                yield (when, *(rest if self.options.key else (rest[0], when, rest[2])))

        return cursor.window(found, rows if exact else None)

    def scan(self, window: Window, limit: int | None, batch_size: int) -> int:
        cursor = Cursor(self.options, "timestamp", window.since, window.limit)
        where = cursor.condition("at", render, window)
        ask = cursor.rows_to_ask()
        order = "ORDER BY at, id" if limit else "ORDER BY random()"
        found = self.db.execute(
            f"SELECT * FROM t WHERE {where} {order} {f'LIMIT {ask}' if ask is not None else ''}"
        ).fetchall()
        batches = [
            pa.RecordBatch.from_pylist(
                [
                    {"id": id_, "at": None if at is None else datetime.fromisoformat(at), "payload": payload}
                    for id_, at, payload in found[first : first + batch_size]
                ],
                SCHEMA,
            )
            for first in range(0, len(found), batch_size)
        ]
        delivery = cursor.deliver(pa.RecordBatchReader.from_batches(SCHEMA, batches), window)
        delivered = delivery.reader.read_all().to_pylist()
        assert limit is None or len(delivered) <= limit
        self.delivered.update(
            (row["id"], None if row["at"] is None else row["at"].isoformat(), row["payload"]) for row in delivered
        )
        self.since = json.loads(json.dumps(delivery.position()))
        return len(delivered)

    def run(self, limit: int | None = None, batch_size: int = 100) -> int | None:
        """One run; None when nothing is new. What was published once under the same identity is not run again."""
        window = self.probe(limit)
        if window is None or window.idle:
            return None
        identity = json.dumps(window.identity)
        assert identity not in self.executions, "a new window has the identity of one that is done"
        self.executions.add(identity)
        return self.scan(window, limit, batch_size)


def test_the_first_run_reads_all_and_the_second_what_is_new() -> None:
    table = Table(Incremental(column="at", key="id"))
    assert table.run() is None
    table.insert(1, 5)
    table.insert(2, 7)
    assert table.run() == 2
    assert table.run() is None
    table.insert(3, 7)
    assert table.run() == 1
    table.insert(4, 7)
    assert table.run() == 1
    assert table.run() is None
    assert table.since is not None
    assert table.since["value"] == moment(7).isoformat()


def test_late_rows_within_lag_are_found_and_later_ones_are_not() -> None:
    table = Table(Incremental(column="at", key="id", lag="10s"))
    table.insert(1, 100)
    table.run()
    table.insert(2, 90)
    table.insert(3, 89)
    assert table.run() == 1
    assert table.delivered.keys() == {(1, moment(100).isoformat(), ""), (2, moment(90).isoformat(), "")}


def test_a_longer_lag_than_before_doubles_no_row() -> None:
    table = Table(Incremental(column="at", key="id"))
    for tick in range(100):
        table.insert(tick, tick)
    table.run()
    table.options = Incremental(column="at", key="id", lag="60s")
    assert table.run() is None
    table.insert(1000, 150)
    assert table.run() == 1
    table.insert(1001, 120)
    assert table.run() == 1
    assert table.delivered == table.rows()


def test_a_position_set_by_hand_is_done_up_to_and_including_its_value() -> None:
    table = Table(Incremental(column="at", key="id", lag="10s"))
    for tick in range(10):
        table.insert(tick, tick)
    table.since = {"value": "2024-01-01 00:00:05"}
    assert table.run() == 4
    assert table.run() is None
    table.insert(20, 11)
    assert table.run() == 1
    assert min(id_ for id_, _, _ in table.delivered) == 6


def test_the_first_run_begins_at_start() -> None:
    table = Table(Incremental(column="at", key="id", start=date(2024, 1, 1), lag="1d"))
    table.insert(1, -1)
    table.insert(2, 0)
    assert table.run() == 1
    table.insert(3, -2)
    assert table.run() is None


def test_a_cursor_that_goes_back_never_rewinds(caplog: pytest.LogCaptureFixture) -> None:
    table = Table(Incremental(column="at", key="id", lag="100s"))
    table.insert(1, 50)
    table.insert(2, 60)
    table.run()
    table.delete(2)
    assert table.run() is None
    assert "went back" in caplog.text
    table.insert(3, 55)
    window = table.probe(None)
    assert window is not None
    assert "went back" in window.note
    assert table.run() == 1
    assert table.since is not None
    assert table.since["value"] == moment(60).isoformat()


def test_without_the_rows_a_changed_table_of_the_same_size_waits_but_is_not_lost() -> None:
    table = Table(Incremental(column="at", key="id"))
    table.insert(1, 5)
    table.run()
    table.delete(1)
    table.insert(2, 5)
    assert table.probe(None, exact=False) is None
    assert table.probe(None) is not None
    table.insert(3, 6)
    assert table.probe(None, exact=False) is not None
    assert table.run() == 2


@pytest.mark.parametrize(("nulls", "expected"), [("include", {1, 2}), ("ignore", {1})])
def test_rows_without_a_cursor_follow_the_policy(nulls: Any, expected: set[int]) -> None:
    table = Table(Incremental(column="at", key="id", nulls=nulls))
    table.insert(1, 5)
    table.insert(2, None)
    table.run()
    assert table.run() is None
    assert {id_ for id_, _, _ in table.delivered} == expected
    table.insert(3, None)
    assert table.run() == (1 if nulls == "include" else None)
    table.insert(4, 9)
    assert table.run() == 1


def test_a_null_cursor_fails_in_the_probe_and_in_the_scan() -> None:
    table = Table(Incremental(column="at", key="id"))
    table.insert(1, 5)
    window = table.probe(None)
    assert window is not None
    table.insert(2, None)
    for attempt in (lambda: table.probe(None), lambda: table.scan(window, None, 10)):
        with pytest.raises(FatalError) as refusal:
            attempt()
        assert refusal.value.code is Code.EXTRACTION_FAILED
        assert "at is NULL in 1 row," in str(refusal.value)


def test_too_many_rows_within_lag_are_refused_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cursor_delivery, "MOST_SEEN", 5)
    table = Table(Incremental(column="at", key="id", lag="100s"))
    for tick in range(6):
        table.insert(tick, tick)
    with pytest.raises(FatalError) as refusal:
        table.run(batch_size=2)
    assert "shorter lag" in refusal.value.hint


@pytest.mark.parametrize(
    ("kind", "lag", "since", "code"),
    [
        ("int", "5s", None, Code.PLAN_INVALID),
        ("text", "5s", None, Code.PLAN_INVALID),
        ("int", 0, {"value": "yesterday"}, Code.STATE_INVALID),
        ("timestamp", 0, {"value": "yesterday"}, Code.STATE_INVALID),
        ("date", 0, {"value": "2024-01-01 05:00"}, Code.STATE_INVALID),
    ],
)
def test_what_cannot_be_a_window_is_refused(kind: Kind, lag: Any, since: Any, code: Code) -> None:
    cursor = Cursor(Incremental(column="c", lag=lag), kind, since)
    with pytest.raises(FatalError) as refusal:
        cursor.window(Found(decode("1", kind, "c") if kind == "int" else None, 1))
    assert refusal.value.code is code


def test_a_column_that_tells_rows_apart_must_be_delivered() -> None:
    cursor = Cursor(Incremental(column="at", key="idd"), "timestamp")
    with pytest.raises(FatalError) as refusal:
        cursor.deliver(pa.RecordBatchReader.from_batches(SCHEMA, []), Window({}, high={"value": None}))
    assert 'did you mean "id"' in refusal.value.hint


# ------------------------------------------------------------------------------------------------- properties

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.integers(0, 5)),
        st.tuples(st.just("update"), st.integers(0, 30)),
        st.tuples(st.just("delete"), st.integers(0, 30)),
        st.tuples(st.just("null"), st.just(0)),
        st.tuples(st.just("tick"), st.integers(1, 4)),
        st.tuples(st.just("run"), st.integers(1, 4)),
        st.tuples(st.just("capped"), st.integers(1, 4)),
        st.tuples(st.just("between"), st.integers(1, 4)),
    ),
    max_size=40,
)


@settings(max_examples=400, deadline=None)
@given(ACTIONS, st.integers(0, 5), st.booleans(), st.randoms(use_true_random=False))
def test_every_change_is_delivered_exactly_once(  # noqa: C901 - one branch an action
    actions: list[tuple[str, int]], lag: int, nulls: bool, randomness: random.Random
) -> None:
    table = Table(
        Incremental(column="at", key="id", lag=timedelta(seconds=lag), nulls="include" if nulls else "ignore")
    )
    now, ids = 0, 0
    live: dict[int, int | None] = {}
    for action, number in actions:
        match action:
            case "insert":
                ids += 1
                live[ids] = now - min(number, lag)
                table.insert(ids, live[ids])
            case "null":
                ids += 1
                live[ids] = None
                table.insert(ids, None)
            case "update" if number in live:
                live[number] = now
                table.update(number, now)
            case "delete" if number in live:
                del live[number]
                table.delete(number)
            case "tick":
                now += number
            case "run":
                table.run(batch_size=number)
            case "capped":
                table.run(limit=number, batch_size=randomness.randint(1, 4))
            case "between":
                window = table.probe(None)
                ids += 1
                live[ids] = now - randomness.randint(0, lag)
                table.insert(ids, live[ids])
                if window is not None:
                    table.scan(window, None, number)
            case _:
                pass
    for _ in range(100):
        if table.run(limit=randomness.choice([None, 1, 3])) is None:
            break
    assert max(table.delivered.values(), default=1) == 1, "a change was delivered twice"
    final = {(id_, None if tick is None else moment(tick).isoformat(), "") for id_, tick in live.items()}
    expected = final if nulls else {row for row in final if row[1] is not None}
    assert expected <= table.delivered.keys(), "a change was lost"


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3), st.sampled_from(["", "x"]), st.integers(0, 3)), max_size=30
    ),
    st.integers(0, 3),
)
def test_without_a_key_equal_rows_are_counted(rows: list[tuple[int, int, str, int]], lag: int) -> None:
    table = Table(Incremental(column="at", lag=timedelta(seconds=lag)))
    now = 0
    for id_, step, payload, after in rows:
        now += step
        table.insert(id_, now - min(lag, id_), payload)
        if after == 1:
            table.run(batch_size=2)
        elif after == 2:
            table.run(limit=2, batch_size=3)
    while table.run(limit=3) is not None:
        pass
    assert table.delivered == table.rows()


NATIVE: list[tuple[Kind, pa.DataType, list[Any]]] = [
    ("int", pa.int64(), [-5, 0, 7]),
    ("int", pa.uint64(), [0, 1, 2**64 - 1]),
    ("int", pa.string(), ["-5", "7", "10"]),
    ("decimal", pa.decimal128(38, 10), [Decimal("-1.5"), Decimal(2), Decimal("2.0000000001")]),
    ("decimal", pa.string(), ["9.5", "10", "10.25"]),
    ("float", pa.float64(), [-0.5, 0.1, 1e300]),
    ("text", pa.string(), ["B", "a", "ä"]),
    ("date", pa.date32(), [date(1, 1, 1), date(2024, 1, 1), date(9999, 12, 31)]),
    ("date", pa.string(), ["0001-01-01", "2024-01-01", "9999-12-31"]),
    ("timestamptz", pa.timestamp("us", "UTC"), [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3)]),
    ("timestamptz", pa.timestamp("us", "Europe/Berlin"), [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3)]),
]


@pytest.mark.parametrize(("kind", "type_", "values"), NATIVE, ids=lambda part: str(part) if part else "")
def test_every_kind_of_cursor_is_windowed(kind: Kind, type_: pa.DataType, values: list[Any]) -> None:
    schema = arrow_schema([("id", pa.int64()), ("c", type_)])
    typed = [coerce(value, kind, "c") for value in values]

    def deliver(since: Any, upto: int, *ids: int) -> tuple[list[int], Any]:
        cursor = Cursor(Incremental(column="c", key="id"), kind, since)
        window = cursor.window(Found(typed[upto], 99))
        assert window is not None
        batch = pa.RecordBatch.from_pylist([{"id": id_, "c": values[id_ % 10]} for id_ in ids], schema)
        delivery = cursor.deliver(pa.RecordBatchReader.from_batches(schema, [batch, batch.slice(0, 0)]), window)
        found: list[Any] = delivery.reader.read_all()["id"].to_pylist()
        return found, json.loads(json.dumps(delivery.position()))

    first, since = deliver(None, 1, 0, 1, 2)
    assert first == [0, 1]
    second, since = deliver(since, 2, 0, 1, 11, 2)
    assert second == [11, 2]
    assert decode(since["value"], kind, "c") == typed[2]
    third, _ = deliver(since, 2, 1, 2, 12)
    assert third == [12]


@pytest.mark.parametrize("window_end", ["2024-01-01T00:01:00", None], ids=["an end", "nothing that has come"])
def test_rows_beyond_the_end_of_a_window_are_not_forgotten(window_end: str | None) -> None:
    """A clock was set back, or a transaction is in flight: the window ends before rows that were delivered."""
    options = Incremental(column="at", key=["id"], lag=timedelta(minutes=5), nulls="include")

    def read(since: Any, end: str | None, *ticks: int) -> tuple[list[Any], Any]:
        rows = [{"id": tick, "at": moment(tick), "payload": ""} for tick in ticks]
        batches = pa.Table.from_pylist(rows, SCHEMA).to_reader()
        delivery = Cursor(options, "timestamp", since).deliver(batches, Window({}, since, {"value": end}))
        return delivery.reader.read_all()["id"].to_pylist(), delivery.position()

    first, since = read(None, moment(240).isoformat(), 180, 240)
    _, since = read(since, window_end, *([60] if window_end else []))
    again, _ = read(since, moment(240).isoformat(), 180, 240)
    assert (first, again) == ([180, 240], [])
