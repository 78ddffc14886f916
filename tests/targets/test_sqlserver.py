"""SQL Server as a target, against a double of its protocol: not tested against the service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import sqlglot
from tests.sqlserver.double import Database, sqlserver, sqlserver_double
from tests.sqlserver.strict import parsed

from headgate.core.contracts import Store
from headgate.core.errors import Code, FatalError, RetriableError
from headgate.io.sqlserver.backend import SqlServerBackend
from headgate.io.sqlserver.sessions import Session
from headgate.targets import sqlserver as connector
from headgate.testing.place import IDS, KEY, Place, load, record, rows, stage
from headgate.testing.rows import arrow_schema
from headgate.testing.store_crashes import CrashContract
from headgate.testing.store_modes import changes_table, versioned
from headgate.testing.stores import StoreContract

__all__ = ["sqlserver", "sqlserver_double"]


@pytest.fixture
def open_store(sqlserver: Database, tmp_path: Path) -> Callable[[], Store]:
    return lambda: connector.open_store("warehouse", sqlserver.connection, tmp_path)


class TestContract(StoreContract):
    capabilities = connector.MODES

    @pytest.fixture
    def open_store(self, sqlserver: Database, tmp_path: Path) -> Callable[[], Store]:
        return lambda: connector.open_store("warehouse", sqlserver.connection, tmp_path)

    @pytest.mark.parametrize("mode", ["upsert"])
    def test_killed_at_any_step_a_run_is_whole_or_absent_and_the_next_completes_it(
        self, place: Place, mode: str
    ) -> None:
        super().test_killed_at_any_step_a_run_is_whole_or_absent_and_the_next_completes_it(place, mode)

    @pytest.mark.long
    def test_a_table_of_every_type_it_takes_is_loaded_whole(self, place: Place) -> None:
        super().test_a_table_of_every_type_it_takes_is_loaded_whole(place)


@pytest.mark.long
class TestCrashes(CrashContract):
    modes = StoreContract.modes

    @pytest.fixture
    def place(self, open_store: Callable[[], Store], tmp_path: Path) -> Iterator[Place]:
        place = Place(open_store, tmp_path / "_runs")
        yield place
        place.close()


@pytest.fixture
def place(open_store: Callable[[], Store], tmp_path: Path) -> Iterator[Place]:
    place = Place(open_store, tmp_path / "_runs")
    yield place
    place.close()


# ------------------------------------------------------------------------------------------ what is said


def test_data_watermark_and_ledger_are_one_transaction(place: Place, sqlserver: Database) -> None:
    place.run(1, [(load("t", "upsert", keys=("id",)), rows((1, "a")))])
    sqlserver.server.said()
    place.run(2, [(load("t", "upsert", keys=("id",)), rows((1, "b"), (2, "c")))])
    said = sqlserver.server.said()
    last = len(said) - 1 - said[::-1].index("COMMIT TRANSACTION")
    begun = max(number for number, text in enumerate(said[:last]) if text == "BEGIN TRANSACTION")
    published = said[begun + 1 : last]
    words = ["UPDATE headgate_pipelines", "UPDATE t SET", 'INSERT INTO "dbo"."t"', "INSERT INTO headgate_runs"]
    places = [next(n for n, text in enumerate(published) if text.startswith(word)) for word in words]
    assert places == sorted(places)
    assert all("SET XACT_ABORT ON" in text for text in said if text.startswith("SET QUOTED"))


GOLDEN = {
    "update": 'UPDATE t SET "name" = s."name" FROM "dbo"."t" AS t WITH (UPDLOCK, HOLDLOCK) CROSS JOIN'
    ' "dbo"."STAGE" s WHERE t."id" = s."id"',
    "insert": 'INSERT INTO "dbo"."t" ("id", "name") SELECT incoming."id", incoming."name" FROM "dbo"."STAGE" incoming'
    ' WHERE NOT EXISTS (SELECT 1 FROM "dbo"."t" kept WITH (UPDLOCK, HOLDLOCK) WHERE kept."id" = incoming."id")',
    "create": 'CREATE TABLE "dbo"."t" ("id" BIGINT NOT NULL, "name" NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL,'
    ' PRIMARY KEY ("id"))',
    "bulk": "INSERT BULK [dbo].[STAGE]([id] BIGINT,[name] NVARCHAR(MAX)) WITH (KEEP_NULLS,TABLOCK)",
    "drop": 'DROP TABLE IF EXISTS "STAGE"',
    "add": 'ALTER TABLE "dbo"."t" ADD "more" FLOAT(53) NULL',
    "pipeline": "INSERT INTO headgate_pipelines (project, pipeline, epoch, run_id, execution_id, version) SELECT"
    " n.project, n.pipeline, 0, '', '', 1 FROM (SELECT @P1 AS project, @P2 AS pipeline) AS n WHERE NOT EXISTS (SELECT 1"
    " FROM headgate_pipelines AS p WITH (UPDLOCK, HOLDLOCK) WHERE p.project = n.project AND p.pipeline = n.pipeline)",
}


def test_the_statements_of_an_upsert_are_these(place: Place, sqlserver: Database) -> None:
    """Written out, so that a change of any is seen; races of MERGE are avoided by locks on what is not there yet."""
    place.run(1, [(load("t", "upsert", keys=("id",)), rows((1, "a")))])
    said = sqlserver.server.said()
    wide = arrow_schema([("id", IDS.field("id").type), ("name", IDS.field("name").type), ("more", pa.float64())])
    more = rows((1, "b")).append_column("more", [[0.5]]).cast(wide)
    place.run(2, [(load("t", "upsert", wide, keys=("id",)), more)])
    said += sqlserver.server.said()
    stages = {text.split('"')[3] for text in said if text.startswith('CREATE TABLE "dbo"."headgate_stage')}
    spoken = {_renamed(text, stages) for text in said}
    assert {name: text for name, text in GOLDEN.items() if text not in spoken} == {}


def _renamed(text: str, stages: set[str]) -> str:
    for name in stages:
        text = text.replace(name, "STAGE")
    return text.strip()


def test_everything_that_is_said_in_every_mode_is_the_servers_language(place: Place, sqlserver: Database) -> None:
    """The double refuses what SQL Server has no word for; sqlglot's own dialect reads all of it, too."""
    from headgate.testing.histories import Change

    sqlserver.server.said()
    place.run(1, [(load("t", "overwrite"), rows((1, "a")))])
    place.run(2, [(load("t", "overwrite", partition=("name",)), rows((1, "a"), (2, None)))])
    place.run(3, [(load("m", "merge", keys=("id",), delete_missing=True), rows((1, "a"), (2, "b")))])
    place.run(4, [(load("m", "merge", keys=("id",), delete_missing=True), rows((1, "c")))])
    for number, since in ((5, 1), (6, 3), (7, 2)):
        change = Change(1, since, (str(number), 0.5), "o", deleted=False)
        place.run(number, [(versioned(), changes_table([change]))])
    own = ("SET ", "IF ", "INSERT BULK", "DECLARE", "EXEC", "KILL", "BEGIN", "COMMIT")
    kinds = set()
    for text in sqlserver.server.said():
        if text.startswith(own):
            continue
        tree = parsed(text)
        kinds.add(type(tree).__name__)
        assert sqlglot.parse_one(tree.sql("tsql"), read="tsql") is not None
    assert kinds >= {"Select", "Insert", "Update", "Delete", "Create", "Drop"}


def test_texts_are_compared_as_they_are_when_rows_are_merged(place: Place) -> None:
    """The server takes 'a' and 'A ' for one value, depending on its collation; a change of such a text is a change."""
    dialect = SqlServerBackend.dialect
    told = dialect.distinct('t."name"', 's."name"', text=True)
    assert "COLLATE Latin1_General_100_BIN2" in told
    assert "DATALENGTH" in told
    place.run(1, [(load("m", "merge", keys=("id",)), rows((1, "a"), (2, "b")))])
    (done,) = place.run(2, [(load("m", "merge", keys=("id",)), rows((1, "a "), (2, "b")))])
    assert (done.updated, done.unchanged) == (1, 1)


def test_staged_keys_have_the_collation_of_the_table(place: Place, sqlserver: Database) -> None:
    sqlserver.execute('CREATE TABLE "t" ("id" BIGINT, "name" NVARCHAR(50) NOT NULL PRIMARY KEY)')
    sqlserver.server.said()
    place.run(1, [(load("t", "upsert", keys=("name",)), rows((1, "a")))])
    (made,) = [text for text in sqlserver.server.said() if text.startswith('CREATE TABLE "dbo"."headgate_stage')]
    assert "COLLATE SQL_Latin1_General_CP1_CI_AS" in made
    assert place.pairs("t") == [(1, "a")]


def test_values_are_bound_and_names_are_quoted(place: Place, sqlserver: Database) -> None:
    sqlserver.server.said()
    place.run(1, [(load("x]; DROP TABLE t --", schema=IDS), rows((1, "'; DROP TABLE t --")))])
    said = sqlserver.server.said()
    assert any("[x]]; DROP TABLE t --]" in text or '"x]; DROP TABLE t --"' in text for text in said)
    assert not any("'; DROP" in text for text in said), "rows travel as values"


# ------------------------------------------------------------------------------------------ when it breaks


@pytest.mark.parametrize(("number", "committed"), [(0, False), (1, True)], ids=["before", "after"])
def test_an_answer_to_the_commit_that_is_lost_is_asked_for(
    place: Place, sqlserver: Database, number: int, committed: bool
) -> None:
    """0: the connection breaks, and nothing was committed; 1: it was, and only the answer is lost."""
    store = place.store()
    claim, transaction = place.begin(store)
    stage(transaction, [(load("t"), rows((1, "a")))])
    sqlserver.server.tell("fail", number, "COMMIT TRANSACTION")
    if committed:
        transaction.publish(record(claim))
    else:
        with pytest.raises(RetriableError) as lost:
            transaction.publish(record(claim))
        assert lost.value.code is Code.CONNECTION_FAILED
        transaction.rollback()
    assert place.pairs("t") == ([(1, "a")] if committed else [])
    assert (place.published(1) is not None) is committed


@pytest.mark.parametrize(
    ("number", "words", "kind", "code"),
    [
        (1205, "INSERT INTO headgate_runs", RetriableError, Code.CONFLICT),
        (1222, "UPDATE headgate_pipelines SET run_id = run_id", RetriableError, Code.CONFLICT),
        (3960, "INSERT INTO headgate_runs", RetriableError, Code.CONFLICT),
        (9002, "INSERT INTO headgate_runs", FatalError, Code.DISK_FULL),
        (229, "INSERT INTO headgate_runs", FatalError, Code.LOAD_EXECUTION_FAILED),
    ],
)
def test_an_error_on_the_way_leaves_nothing(
    place: Place, sqlserver: Database, number: int, words: str, kind: type[Exception], code: Code
) -> None:
    """With XACT_ABORT the server has rolled back already."""
    place.run(0, [(load("t"), rows((0, "before")))])
    store = place.store()
    claim, transaction = place.begin(store)
    stage(transaction, [(load("t", "overwrite"), rows((1, "a")))])
    sqlserver.server.tell("fail", number, words)
    with pytest.raises(kind) as broken:
        transaction.publish(record(claim))
    assert broken.value.code is code  # type: ignore[attr-defined]
    assert broken.value.hint  # type: ignore[attr-defined]
    transaction.rollback()
    assert place.pairs("t") == [(0, "before")]
    assert place.published(1) is None


def test_without_the_right_to_see_locks_the_end_of_a_session_is_waited_for(sqlserver: Database) -> None:
    backend = SqlServerBackend(sqlserver.connection)
    one, other = backend.session("publish"), backend.session("claim")
    from headgate.core.ledger import Claim

    backend.guard(one, Claim(KEY, "run-1", "e", 1))
    sqlserver.server.tell("fail", 300, "sys.dm_tran_locks")
    assert not backend.end(other, KEY, "run-1", patience=0)
    assert one.alive, "a session that cannot be seen cannot be ended"
    one.close()
    assert backend.end(other, KEY, "run-1", patience=5)
    other.close()


def test_a_holder_that_can_be_seen_is_ended(sqlserver: Database) -> None:
    backend = SqlServerBackend(sqlserver.connection)
    one, other = backend.session("publish"), backend.session("claim")
    from headgate.core.ledger import Claim

    backend.guard(one, Claim(KEY, "run-1", "e", 1))
    assert backend.end(other, KEY, "run-1", patience=5)
    assert not one.alive
    other.close()


def test_a_bulk_load_that_loses_rows_is_no_success(sqlserver: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(sqlserver.connection, "stage")
    session.execute('CREATE TABLE "s" ("id" BIGINT NULL, "name" NVARCHAR(MAX) NULL)')
    batch = rows((1, "a"), (2, "b")).to_batches()[0]
    monkeypatch.setattr("headgate.io.sqlserver.bulk.rows", lambda _: [(1, "a")])
    with pytest.raises(FatalError, match="1 of 2 rows"):
        session.load(("dbo", "s"), batch)
    assert session.value('SELECT count(*) AS n FROM "s"') == 0
    session.close()


def test_a_load_that_stops_in_the_middle_leaves_no_session_that_waits(
    sqlserver: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stops(_: object) -> Iterator[tuple[int, str]]:
        yield 1, "a"
        raise KeyboardInterrupt

    session = Session(sqlserver.connection, "stage")
    session.execute('CREATE TABLE "s" ("id" BIGINT NULL, "name" NVARCHAR(MAX) NULL)')
    monkeypatch.setattr("headgate.io.sqlserver.bulk.rows", stops)
    with pytest.raises(KeyboardInterrupt):
        session.load(("dbo", "s"), rows((1, "a"), (2, "b")).to_batches()[0])
    assert not session.alive
    assert sqlserver.execute('SELECT count(*) AS n FROM "s"') == [(0,)]


def test_names_that_the_server_cannot_keep_are_refused(place: Place) -> None:
    with pytest.raises(FatalError) as refusal:
        place.run(1, [(load("t" * 200), rows((1, "a")))])
    assert refusal.value.code is Code.UNSUPPORTED
