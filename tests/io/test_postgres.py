"""Reaching PostgreSQL: parameters, errors with their reason and without secrets, statements, names."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from headgate.core.errors import Code, FatalError, RetriableError
from headgate.core.runs import PipelineKey
from headgate.core.secrets import Secret
from headgate.io.postgres import Connection, Statements, catalogue, connect
from headgate.io.postgres.connection import conninfo, parameters, place
from headgate.io.postgres.statements import translate
from headgate.io.postgres.types import decimal, numeric
from headgate.sql.literals import quote_name
from headgate.sql.templates import bind
from headgate.targets.postgres.sessions import run_lock

CANARY = "canary-5ecret/x"


def connection(**options: Any) -> Connection:
    return Connection(**options)


class TestParameters:
    def test_single_fields_win_over_the_url(self) -> None:
        found = parameters(connection(url=Secret("postgresql://a:b@/one?host=/run"), database="two", username="c"))
        assert (found["dbname"], found["user"], found["password"], found["host"]) == ("two", "c", "b", "/run")
        assert found["application_name"] == "headgate"

    def test_other_machines_are_reached_with_verified_tls_unless_told_otherwise(self) -> None:
        far = parameters(connection(host="db.example.com", database="d"))
        assert (far["sslmode"], far["sslrootcert"]) == ("verify-full", "system")
        assert parameters(connection(host="db.example.com", database="d", sslmode="require"))["sslmode"] == "require"
        by_url = parameters(connection(url=Secret("postgresql://db.example.com/d?sslmode=verify-ca")))
        assert (by_url["sslmode"], "sslrootcert" in by_url) == ("verify-ca", False)

    @pytest.mark.parametrize("host", [None, "localhost", "127.0.0.1", "::1", "/var/run/postgresql"])
    def test_this_machine_needs_no_certificate(self, host: str | None) -> None:
        assert "sslmode" not in parameters(connection(host=host, database="d"))

    def test_one_far_host_among_near_ones_counts_as_far(self) -> None:
        assert parameters(connection(host="localhost,db.example.com", database="d"))["sslmode"] == "verify-full"

    def test_sessions_speak_one_dialect_of_values(self, postgres_url: str) -> None:
        odd = connection(url=Secret(postgres_url), options={"TimeZone": "Asia/Tokyo", "search_path": '"a b", public'})
        with connect(odd, settings={"application_name": "my app"}) as session:
            statements = Statements(session)
            assert statements.value("SELECT current_setting('TimeZone')") == "UTC"
            assert statements.value("SELECT current_setting('search_path')") == '"a b", public'
            assert statements.value("SELECT current_setting('application_name')") == "headgate"

    def test_a_place_or_a_url_is_needed(self) -> None:
        with pytest.raises(ValidationError, match="say where the database is"):
            connection(host="localhost")

    def test_nothing_shows_the_password(self) -> None:
        options = connection(url=Secret(f"postgresql://me:{CANARY.replace('/', '%2F')}@localhost:5432/d"))
        shown = f"{options!r} {options} {options.model_dump_json()} {place(options)}"
        assert "canary" not in shown
        assert place(options) == "localhost:5432/d"
        assert "canary" in conninfo(options)


class TestFailures:
    def test_a_wrong_password_is_not_a_dead_server(self, postgres_server: Any, postgres_url: str) -> None:
        options: dict[str, Any] = {"url": Secret(postgres_url), "username": "guarded"}
        with pytest.raises(FatalError, match="password authentication failed") as refused:
            connect(connection(**options, password=Secret(CANARY)))
        assert refused.value.code is Code.AUTHENTICATION_FAILED
        assert "canary" not in str(refused.value)
        with pytest.raises(FatalError) as missing:
            connect(connection(**options))
        assert missing.value.code is Code.AUTHENTICATION_FAILED
        connect(connection(**options, password=Secret(postgres_server.password))).close()

    def test_an_unknown_role_is_refused(self, postgres_url: str) -> None:
        with pytest.raises(FatalError) as refused:
            connect(connection(url=Secret(postgres_url), username="nobody_here"))
        assert refused.value.code is Code.AUTHENTICATION_FAILED

    def test_an_unknown_database_is_named(self, postgres_url: str) -> None:
        with pytest.raises(FatalError, match='"nowhere" does not exist') as refused:
            connect(connection(url=Secret(postgres_url), database="nowhere"))
        assert refused.value.code is Code.CONNECTION_FAILED

    @pytest.mark.parametrize("where", ["port", "socket"])
    def test_a_dead_server_may_be_tried_again(self, where: str, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        options: dict[str, Any] = {"host": "127.0.0.1", "port": port} if where == "port" else {"host": str(tmp_path)}
        with pytest.raises(RetriableError) as refused:
            connect(connection(database="d", **options))
        assert refused.value.code is Code.CONNECTION_FAILED
        assert refused.value.hint

    def test_a_setting_that_the_server_refuses_is_a_mistake_of_the_configuration(self, postgres_url: str) -> None:
        with pytest.raises(FatalError, match="nonsense") as refused:
            connect(connection(url=Secret(postgres_url), options={"nonsense": "1"}))
        assert refused.value.code is Code.CONFIG_INVALID

    def test_a_url_that_is_none_is_not_repeated(self) -> None:
        with pytest.raises(FatalError) as refused:
            connect(connection(url=Secret(f"postgresql://me:{CANARY}@localhost/d?nonsense=1")))
        assert refused.value.code is Code.CONFIG_INVALID
        assert "canary" not in str(refused.value)
        assert refused.value.__cause__ is None

    def test_a_server_without_tls_is_not_talked_to_in_plain_text(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            options = connection(
                host="127.0.0.1", port=listener.getsockname()[1], database="d", sslmode="require", connect_timeout=3
            )

            def answer_no() -> None:
                client, _ = listener.accept()
                client.recv(8)
                client.sendall(b"N")
                client.recv(1000)
                client.close()

            server = threading.Thread(target=answer_no)
            server.start()
            with pytest.raises(FatalError, match="SSL") as refused:
                connect(options)
            server.join()
        assert refused.value.code is Code.CONNECTION_FAILED
        assert "sslmode" in refused.value.hint

    @pytest.mark.parametrize(
        ("statement", "code", "retriable"),
        [
            ("SELECT * FROM nothing_here", Code.TABLE_NOT_FOUND, False),
            ("SELECT nothing_here FROM pg_class", Code.SCHEMA_MISMATCH, False),
            ("SELECT 1 / 0", Code.STORAGE_FAILED, False),
            ("DO $$ BEGIN RAISE deadlock_detected; END $$", Code.CONFLICT, True),
            ("DO $$ BEGIN RAISE serialization_failure; END $$", Code.CONFLICT, True),
            ("DO $$ BEGIN RAISE disk_full; END $$", Code.DISK_FULL, False),
            ("DO $$ BEGIN RAISE too_many_connections; END $$", Code.CONNECTION_FAILED, True),
            ("DO $$ BEGIN RAISE admin_shutdown; END $$", Code.CONNECTION_FAILED, True),
            ("SET statement_timeout = '20ms'; SELECT pg_sleep(5)", Code.STORAGE_FAILED, True),
            ("SELECT pg_terminate_backend(pg_backend_pid())", Code.CONNECTION_FAILED, True),
        ],
    )
    def test_the_servers_reason_decides_on_recovery(
        self, postgres_url: str, statement: str, code: Code, retriable: bool
    ) -> None:
        with connect(connection(url=Secret(postgres_url))) as session:
            with pytest.raises((FatalError, RetriableError)) as refused:
                Statements(session, "test", "t").query(statement)
            session.close()
        assert (refused.value.code, isinstance(refused.value, RetriableError)) == (code, retriable)
        assert refused.value.operation == "test"


class TestStatements:
    @given(st.text(max_size=30), st.text(max_size=30))
    def test_question_marks_are_parameters_only_outside_of_quotes(self, inside: str, value: str) -> None:
        text = "'" + inside.replace("'", "''") + "'"
        assert translate(f"SELECT {text}, ?") == f"SELECT {text.replace('%', '%%')}, %s"
        assert bind(f"SELECT {text}, :v, x::v", {"v": value.replace("\0", "")}).startswith(f"SELECT {text}, '")

    def test_parameters_are_values(self) -> None:
        text = """a = :a AND b = ':a' AND ":a" = 1 AND c::a = :unknown -- :a
        /* :a */ AND d[1:a] = 1"""
        assert bind(text, {"a": "it's"}) == (
            """a = 'it''s' AND b = ':a' AND ":a" = 1 AND c::a = :unknown -- :a
        /* :a */ AND d[1:a] = 1"""
        )

    def test_names_may_hold_anything(self, postgres_url: str) -> None:
        name = 'a"b; drop table x -- ?%s'
        with connect(connection(url=Secret(postgres_url))) as session:
            statements = Statements(session)
            statements.execute(f"CREATE TABLE {quote_name(name)} (id int PRIMARY KEY)")
            found = catalogue.find(statements, name)
            assert found is not None
            assert found.name == name
            assert catalogue.primary_key(statements, found) == ("id",)

    def test_a_dot_separates_unless_the_name_has_it(self) -> None:
        assert catalogue.spellings("public.t") == [("public.t",), ("public", "t")]
        assert catalogue.spellings('"a.b"."c""d"') == [("a.b", 'c"d')]
        assert catalogue.spellings("t.") == [("t.",)]

    @given(st.integers(1, 1000), st.integers(-1000, 1000))
    def test_numeric_modifiers_are_read_as_the_server_writes_them(self, precision: int, scale: int) -> None:
        typmod = (precision << 16 | (scale & 0x7FF)) + 4
        assert numeric(typmod) == (precision, scale)
        found = decimal(typmod)
        if found is not None:
            assert found[0] <= 38
            assert found[1] >= scale, "no decimal place is lost"
            assert found[0] - found[1] >= precision - scale, "nor a digit before the point"

    @given(st.text(max_size=20), st.text(max_size=20))
    def test_locks_of_different_runs_differ(self, one: str, two: str) -> None:
        key = PipelineKey("p", "q")
        assert (run_lock(key, one) == run_lock(key, two)) == (one == two)
        assert -(2**63) <= run_lock(key, one) < 2**63


def test_the_fixture_gives_a_fresh_database(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as session:
        found = session.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace").fetchone()
    assert found == (0,)
