"""Kinds of tables, keys and rows that people follow: the target becomes what the source is, or the run says why not."""

from __future__ import annotations

from typing import Any

import pytest
from tests.followed import MERGE, Followed

CDC = {"connection": "shop", "table": "t", "mode": "cdc"}
BY_DAY = (
    "DROP TABLE t",
    "CREATE TABLE t (id int, day date, name text, n numeric(12,2), PRIMARY KEY (id, day)) PARTITION BY RANGE (day)",
    "CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')",
    "CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')",
    "INSERT INTO t SELECT g, '2024-01-20'::date + g, 'name ' || g, g FROM generate_series(1, 30) g",
)
ATTACHED = (
    "CREATE TABLE t_3 (LIKE t INCLUDING ALL); INSERT INTO t_3 VALUES (50, '2024-03-05', 'was here', 1);"
    " ALTER TABLE t ATTACH PARTITION t_3 FOR VALUES FROM ('2024-03-01') TO ('2024-04-01')"
)
OTHER_INDEX = (
    "ALTER TABLE t ALTER n SET NOT NULL; CREATE UNIQUE INDEX other ON t (n);"
    " ALTER TABLE t REPLICA IDENTITY USING INDEX other"
)
COLUMNS = "id, day, name, n"


@pytest.fixture
def partitioned(followed: Followed) -> Followed:
    followed.shop(*BY_DAY)
    followed.define(source=CDC, target={**MERGE, "keys": ["id", "day"]})
    return followed


def test_a_partitioned_table_is_followed_as_one(partitioned: Followed) -> None:
    """Rows that move between partitions, partitions that are made later, and a TRUNCATE of the whole."""
    assert partitioned.go().status == 0
    assert partitioned.same(COLUMNS)
    partitioned.shop(
        "UPDATE t SET day = '2024-02-25' WHERE id = 1",
        "DELETE FROM t WHERE id = 2",
        "UPDATE t_2 SET n = 0 WHERE id = 29",
        "CREATE TABLE t_3 PARTITION OF t FOR VALUES FROM ('2024-03-01') TO ('2024-04-01')",
        "INSERT INTO t VALUES (40, '2024-03-05', 'later', 1)",
        "UPDATE t SET day = '2024-03-06' WHERE id = 3",
    )
    assert partitioned.go().status == 0
    assert partitioned.same(COLUMNS)
    partitioned.shop("TRUNCATE t", "INSERT INTO t VALUES (1, '2024-03-05', 'new', 1)")
    assert partitioned.go().status == 0
    assert partitioned.rows("SELECT id, name FROM out") == [(1, "new")]
    partitioned.shop("TRUNCATE t", "INSERT INTO t VALUES (2, '2024-03-05', 'x', 1)", "TRUNCATE t_3")
    partitioned.refused("STATE_INVALID", "truncated", status=1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("DROP TABLE t_1", "dropped or detached"),
        ("ALTER TABLE t DETACH PARTITION t_1", "dropped or detached"),
        ("TRUNCATE t_1", "truncated"),
        (ATTACHED, "attached"),
    ],
)
def test_rows_that_come_or_go_with_a_partition(partitioned: Followed, change: str, reason: str) -> None:
    """The server tells of no such row."""
    assert partitioned.go().status == 0
    partitioned.shop(*change.split(";"), "UPDATE t SET n = 0 WHERE id = 29")
    told = partitioned.refused("STATE_INVALID", reason, status=1)
    assert "--full-refresh" in told.hint
    assert partitioned.go("--full-refresh").status == 0
    assert partitioned.same(COLUMNS)


@pytest.mark.parametrize("root", [True, False])
def test_a_publication_of_somebody_else_with_a_partitioned_table(partitioned: Followed, root: bool) -> None:
    partitioned.shop(f"CREATE PUBLICATION theirs FOR TABLE t WITH (publish_via_partition_root = {root})")
    partitioned.define(source={**CDC, "cdc": {"publication": "theirs"}}, target={**MERGE, "keys": ["id", "day"]})
    if not root:
        told = partitioned.refused("UNSUPPORTED", "tells of the table's partitions, and not of the table", status=2)
        assert "publish_via_partition_root = true" in told.hint
        partitioned.shop("ALTER PUBLICATION theirs SET (publish_via_partition_root = true)")
    assert partitioned.go().status == 0
    partitioned.shop("UPDATE t SET day = '2024-02-25' WHERE id = 1", "DELETE FROM t WHERE id = 2")
    assert partitioned.go().status == 0
    assert partitioned.same(COLUMNS)


def test_one_partition_is_a_table(partitioned: Followed) -> None:
    partitioned.define(source={**CDC, "table": "t_1"}, target={**MERGE, "keys": ["id", "day"]})
    assert partitioned.go().status == 0
    partitioned.shop(
        "UPDATE t SET n = -1 WHERE id = 1",
        "UPDATE t SET day = '2024-02-25' WHERE id = 2",
        "DELETE FROM t WHERE id = 25",
    )
    assert partitioned.go().status == 0
    select = f"SELECT {COLUMNS} FROM {{}} ORDER BY id"
    assert partitioned.rows(select.format("out")) == partitioned.rows(select.format("t_1"), partitioned.source)


@pytest.mark.parametrize(
    ("prepare", "table", "reason"),
    [
        ("CREATE VIEW v AS SELECT * FROM t", "v", "not a view"),
        ("CREATE MATERIALIZED VIEW v AS SELECT * FROM t", "v", "not a view"),
        ("CREATE TABLE v (id int, name text)", "v", "no primary key"),
        ("ALTER TABLE t REPLICA IDENTITY NOTHING", "t", "replica identity is NOTHING"),
        (OTHER_INDEX, "t", "replica identity is USING INDEX"),
        ("CREATE TABLE child () INHERITS (t)", "t", "other tables inherit from it"),
        ("ALTER TABLE t SET UNLOGGED", "t", "unlogged"),
        ("DROP TABLE t", "nowhere", "there is no table"),
    ],
)
def test_what_cannot_be_followed(followed: Followed, prepare: str, table: str, reason: str) -> None:
    followed.shop(*prepare.split(";"))
    followed.define(source={**CDC, "table": table}, target=MERGE)
    before = followed.slots()
    told = followed.go()
    assert (told.status, told.error in {"UNSUPPORTED", "TABLE_NOT_FOUND"}) == (2, True), told
    assert reason in told.text
    assert told.hint
    assert followed.slots() == before == []


@pytest.mark.parametrize("identity", ["FULL", "DEFAULT"])
def test_keys_that_change_and_rows_that_do_not(followed: Followed, identity: str) -> None:
    followed.shop(f"ALTER TABLE t REPLICA IDENTITY {identity}")
    assert followed.go().status == 0
    followed.shop(
        "UPDATE t SET id = id + 1000 WHERE id <= 3",
        "UPDATE t SET id = 1 WHERE id = 1002",
        "UPDATE t SET n = n WHERE id = 5",
        "DELETE FROM t WHERE id = 1003",
        "INSERT INTO t VALUES (3, 'again', 3)",
    )
    assert followed.go().status == 0
    assert followed.same()


@pytest.mark.parametrize("identity", ["NOTHING", "USING INDEX other"])
def test_a_replica_identity_that_is_set_between_runs(followed: Followed, identity: str) -> None:
    """With NOTHING the server itself refuses to update and delete; an index of others than the key hides the key."""
    followed.shop("ALTER TABLE t ALTER n SET NOT NULL", "CREATE UNIQUE INDEX other ON t (n)")
    assert followed.go().status == 0
    followed.shop(f"ALTER TABLE t REPLICA IDENTITY {identity}", "INSERT INTO t VALUES (101, 'x', 101)")
    if identity != "NOTHING":
        followed.shop("DELETE FROM t WHERE id = 1")
    told = followed.refused("UNSUPPORTED", "replica identity", status=2)
    assert "REPLICA IDENTITY DEFAULT" in told.hint
    followed.shop("ALTER TABLE t REPLICA IDENTITY DEFAULT")
    if identity == "NOTHING":
        assert followed.go().status == 0
        assert followed.same()
    else:
        followed.refused("SCHEMA_MISMATCH", "did not tell the primary key", status=1)
        followed.anew()


def test_a_primary_key_of_other_columns(followed: Followed) -> None:
    assert followed.go().status == 0
    followed.shop(
        "ALTER TABLE t DROP CONSTRAINT t_pkey", "ALTER TABLE t ADD PRIMARY KEY (n)", "DELETE FROM t WHERE id = 1"
    )
    told = followed.refused("STATE_INVALID", "the primary key was (id) at the last run and is (n) now", status=1)
    assert "--full-refresh" in told.hint


def test_a_truncate_of_several_tables(followed: Followed) -> None:
    """With CASCADE it empties those that refer to it; rows of one that is rolled back stay."""
    followed.shop(
        "CREATE TABLE parent (id int PRIMARY KEY)",
        "INSERT INTO parent SELECT generate_series(1, 100)",
        "ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES parent",
    )
    assert followed.go().status == 0
    followed.shop("BEGIN; TRUNCATE parent CASCADE; ROLLBACK", "UPDATE t SET n = 0 WHERE id = 1")
    assert followed.go().status == 0
    assert followed.rows("SELECT count(*) FROM out") == [(100,)]
    assert followed.same()
    followed.shop(
        "DELETE FROM t WHERE id = 5",
        "TRUNCATE parent CASCADE",
        "INSERT INTO parent VALUES (7)",
        "INSERT INTO t VALUES (7, 'new', 7)",
    )
    assert followed.go().status == 0
    assert followed.rows("SELECT id, name FROM out") == [(7, "new")]
    followed.shop("TRUNCATE t")
    assert followed.go().status == 0
    assert followed.rows("SELECT count(*) FROM out") == [(0,)]


def test_generated_columns_follow_the_columns_that_they_are_made_of(followed: Followed) -> None:
    followed.shop("ALTER TABLE t ADD COLUMN twice numeric GENERATED ALWAYS AS (n * 2) STORED")
    assert followed.go().status == 0
    followed.shop(
        "UPDATE t SET n = 7 WHERE id = 1", "INSERT INTO t (id, n) VALUES (200, 5)", "DELETE FROM t WHERE id = 2"
    )
    assert followed.go().status == 0
    assert followed.same("id, name, n, twice")


def test_virtual_columns_are_in_no_log(followed: Followed) -> None:
    followed.shop("ALTER TABLE t ADD COLUMN twice numeric GENERATED ALWAYS AS (n * 2) VIRTUAL")
    told = followed.refused("UNSUPPORTED", "the log does not tell of generated column twice", status=2)
    assert "columns: [id, name, n]" in told.hint
    followed.define(source={**CDC, "columns": ["id", "name", "n"]}, target=MERGE)
    assert followed.go().status == 0
    followed.shop("UPDATE t SET n = 7 WHERE id = 1")
    assert followed.go().status == 0
    assert followed.same()


def wide(count: int) -> str:
    return ", ".join(f"c{number}" for number in range(count))


def test_very_wide_rows(followed: Followed) -> None:
    """As many columns as the server allows, NULLs among them, and values of a megabyte."""
    columns: list[Any] = [f"c{number} int" for number in range(1590)]
    followed.shop(
        f"CREATE TABLE w (id int PRIMARY KEY, big text, {', '.join(columns)})",
        "INSERT INTO w (id, big, c0, c1589) SELECT g, repeat('x', 1000000), g, g FROM generate_series(1, 3) g",
    )
    followed.define(source={**CDC, "table": "w"}, target=MERGE)
    assert followed.go().status == 0
    followed.shop(
        "UPDATE w SET c7 = 7 WHERE id = 1",
        "UPDATE w SET big = repeat('y', 2000000) WHERE id = 2",
        "INSERT INTO w (id, c1588) VALUES (4, 4)",
        "DELETE FROM w WHERE id = 3",
    )
    assert followed.go().status == 0
    select = f"SELECT id, md5(big), {wide(1590)} FROM {{}} ORDER BY id"
    assert followed.rows(select.format("out")) == followed.rows(select.format("w"), followed.source)
