"""Servers on other machines must show a certificate that holds, or not a word of what we know reaches them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.conftest import GUARDED, Server
from tests.mariadb import GUARDED as MARIA_GUARDED
from tests.mariadb import MariaServer
from tests.tls import FAR, Certificates, behind_tls, make_certificates

import headgate as hg
from headgate.core.errors import Code, FatalError
from headgate.core.secrets import Secret
from headgate.io.mysql.connection import Connection as MySql
from headgate.io.mysql.connection import connect as open_session
from headgate.io.postgres.connection import Connection, connect

PROJECT = """
version: 1
project: far
connections:
  far:
    {{type: {type}, host: {host}, port: {port}, database: {database}, username: {user}, password: "${{FAR}}", {trust}}}
pipelines:
  copy:
    source: {{connection: far, table: {schema}orders}}
    target: {{connection: far, table: {schema}copied}}
  lake:
    source: {{connection: far, table: {schema}orders}}
    target: {{table: orders}}
"""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


def project(folder: Path, **fields: Any) -> hg.Project:
    (folder / "headgate.yml").write_text(PROJECT.format(host=FAR, **fields))
    return hg.Project.load(folder)


class TestPostgres:
    def far(self, server: Server, port: int, **options: Any) -> Connection:
        return Connection(
            host=FAR, port=port, database="postgres", username=GUARDED, password=Secret(server.password), **options
        )

    def test_a_good_certificate_is_talked_to(
        self, postgres_server: Server, postgres_url: str, certificates: Certificates, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        """Every way that rows go: the engine's reader, the relay's sessions, the commit."""
        import psycopg

        monkeypatch.setenv("FAR", postgres_server.password)
        with psycopg.connect(postgres_url, autocommit=True) as session:
            session.execute("GRANT ALL ON SCHEMA public TO guarded")
            session.execute(
                "CREATE TABLE orders AS SELECT i AS id, repeat('x', 99) AS note FROM generate_series(1, 9000) i"
            )
            session.execute("GRANT SELECT ON orders TO guarded")
            database = session.info.dbname
        with behind_tls(postgres_server.socket, certificates.good) as server:
            trust = f"sslrootcert: {certificates.authority}"
            fields = {
                "type": "postgres",
                "port": server.port,
                "database": database,
                "user": GUARDED,
                "schema": "public.",
            }
            far = project(tmp_path, trust=trust, **fields)
            for name in ("copy", "lake"):
                assert far.run(name).rows.loaded == 9000
            assert server.passed
        with psycopg.connect(postgres_url) as session:
            assert session.execute("SELECT count(*), max(note) FROM copied").fetchone() == (9000, "x" * 99)

    @pytest.mark.parametrize(
        ("fault", "hint"), [("self_signed", "sslrootcert"), ("wrong_host", "host name"), ("expired", "expired")]
    )
    def test_a_bad_certificate_is_refused_and_nothing_goes_to_the_server(
        self, fault: str, hint: str, postgres_server: Server, certificates: Certificates
    ) -> None:
        with behind_tls(postgres_server.socket, getattr(certificates, fault)) as server:
            far = self.far(postgres_server, server.port, sslrootcert=str(certificates.authority))
            with pytest.raises(FatalError, match=r"certificate|SSL") as refused:
                connect(far)
            assert (server.passed, server.plain) == (0, 0)
        assert refused.value.code is Code.CONNECTION_FAILED
        assert hint in refused.value.hint
        assert postgres_server.password not in str(refused.value)

    def test_an_authority_that_the_system_does_not_know_is_refused(
        self, postgres_server: Server, certificates: Certificates
    ) -> None:
        with behind_tls(postgres_server.socket, certificates.good) as server:
            with pytest.raises(FatalError, match="certificate"):
                connect(self.far(postgres_server, server.port))
            assert (server.passed, server.plain) == (0, 0)

    def test_a_server_without_tls_gets_no_plain_text(self, postgres_server: Server) -> None:
        with behind_tls(postgres_server.socket, None) as server:
            with pytest.raises(FatalError, match="SSL") as refused:
                connect(self.far(postgres_server, server.port))
            assert (server.passed, server.plain) == (0, 0)
        assert "turn TLS on" in refused.value.hint

    def test_an_authority_that_is_no_file_is_named(
        self, postgres_server: Server, certificates: Certificates, tmp_path: Path
    ) -> None:
        with behind_tls(postgres_server.socket, certificates.good) as server:
            far = self.far(postgres_server, server.port, sslrootcert=str(tmp_path / "nothing.pem"))
            with pytest.raises(FatalError, match=r"nothing\.pem") as refused:
                connect(far)
        assert "sslrootcert" in refused.value.hint


class TestMariaDb:
    def far(self, server: MariaServer, **options: Any) -> MySql:
        return MySql(
            host=FAR, port=server.port, database="mysql", username=MARIA_GUARDED, password=Secret(server.password),
            **options,
        )  # fmt: skip

    def test_a_good_certificate_is_talked_to(
        self, mariadb_server: MariaServer, mariadb_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FAR", mariadb_server.password)
        mariadb_server.execute(
            mariadb_name,
            "CREATE TABLE orders (id INT, note VARCHAR(99))",
            "INSERT INTO orders SELECT seq, REPEAT('x', 99) FROM seq_1_to_9000",
            f"GRANT ALL ON {mariadb_name}.* TO {MARIA_GUARDED}",
        )
        fields = {"type": "mysql", "port": mariadb_server.port, "database": mariadb_name, "user": MARIA_GUARDED}
        far = project(tmp_path, trust=f"tls_ca: {mariadb_server.certificates.authority}", schema="", **fields)
        for name in ("copy", "lake"):
            assert far.run(name).rows.loaded == 9000
        assert mariadb_server.execute(mariadb_name, "SELECT count(*), max(note) FROM copied") == [(9000, "x" * 99)]

    @pytest.mark.parametrize(
        ("fault", "hint"), [("self_signed", "tls_ca"), ("wrong_host", "host name"), ("expired", "new certificate")]
    )
    def test_a_bad_certificate_is_refused(self, fault: str, hint: str, mariadb_server: MariaServer) -> None:
        given = mariadb_server.certificates
        mariadb_server.show(getattr(given, fault))
        try:
            with pytest.raises(FatalError, match="certificate") as refused:
                open_session(self.far(mariadb_server, tls_ca=str(given.authority)))
        finally:
            mariadb_server.show(given.good)
        assert refused.value.code is Code.CONNECTION_FAILED
        assert hint in refused.value.hint
        assert mariadb_server.password not in str(refused.value)

    def test_an_authority_that_the_system_does_not_know_is_refused(self, mariadb_server: MariaServer) -> None:
        with pytest.raises(FatalError, match="certificate"):
            open_session(self.far(mariadb_server))

    @pytest.mark.parametrize("text", [None, "no certificate"])
    def test_an_authority_that_is_no_file_of_certificates_is_named(
        self, text: str | None, mariadb_server: MariaServer, tmp_path: Path
    ) -> None:
        file = tmp_path / "authority.pem"
        if text is not None:
            file.write_text(text)
        with pytest.raises(FatalError, match="tls_ca") as refused:
            open_session(self.far(mariadb_server, tls_ca=str(file)))
        assert (refused.value.code, refused.value.object) == (Code.CONFIG_INVALID, str(file))
