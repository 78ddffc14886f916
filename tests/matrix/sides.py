"""Every store as both ends of a run, with a table of all the types that it can hold."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from tests.mariadb import MariaServer

from headgate.commands.handle import handle
from headgate.commands.models import RunPipeline
from headgate.core.contracts import Window
from headgate.core.errors import Code, HeadgateError
from headgate.core.models import WriteOptions
from headgate.execute.gather import gather
from headgate.execute.intervals import read_context
from headgate.execute.workspace import Workspace
from headgate.testing.place import Place, load
from headgate.testing.rows import arrow_schema, arrow_table, canonical, read_all
from headgate.testing.store_types import TYPES as STORED

MOMENT = datetime(2024, 2, 29, 23, 59, 59, 999999, UTC)
LISTS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "list_string": (pa.list_(pa.string()), [["", "a,b", None, "NULL", '"{}\\', "ü ☃"], []]),
    "list_decimal": (pa.list_(pa.decimal128(38, 10)), [[Decimal("0.0000000001"), None, Decimal(-(10**28) + 1)], []]),
    "list_instant": (pa.list_(pa.timestamp("us", "UTC")), [[MOMENT, None], []]),
    "list_list": (pa.list_(pa.list_(pa.int64())), [[[1, None], [], None], []]),
}
TYPES = {**STORED, **LISTS}
SIDES = ("lake", "folder", "sqlite", "postgres", "mariadb", "duckdb", "alchemy")
"""The last is SQLAlchemy's way to the same PostgreSQL, in a schema of its own."""
VALUES_ONLY = ("infinity", "nan", "minus_zero", "digits", "nul")
"""Types of the store contract that are other values of a type that is here."""
NAMES = tuple(name for name in TYPES if name not in VALUES_ONLY)
UUID = "123e4567-e89b-12d3-a456-426614174000"
NATIVE: dict[str, dict[str, tuple[str, str, str]]] = {
    "postgres": {
        "uuid": ("uuid", f"'{UUID}'", UUID),
        "json": ("jsonb", "'{\"a\": 1}'", '{"a": 1}'),
        "enum": ("mood", "'sad'", "sad"),
        "range": ("int4range", "'[1,5)'", "[1,5)"),
        "numbers": ("numrange", "'(1.50,)'", "(1.50,)"),
        "span": (
            "tstzrange",
            "'[2024-01-01 00:00+02,2024-06-01 12:00:00.000001Z)'",
            '["2023-12-31 22:00:00+00","2024-06-01 12:00:00.000001+00")',
        ),
        "array": ("integer[]", "'{1,2,NULL}'", "[1, 2, None]"),
        "free": ("numeric[]", "'{1.50,NULL,-0.0000000001}'", "[1.5000000000, None, -0.0000000001]"),
        "money": ("numeric(12,2)[]", "'{1.5,-9999999999.99}'", "[1.50, -9999999999.99]"),
        "bytes": ("bytea[]", r"ARRAY['\x00ff'::bytea, '']", r"[b'\x00\xff', b'']"),
        "doubles": ("float8[]", "'{0.1,5e-324}'", "[0.1, 5e-324]"),
        "days": ("date[]", "'{2024-02-29}'", "[2024-02-29]"),
        "clocks": ("time[]", "'{23:59:59.999999}'", "[23:59:59.999999]"),
        "uuids": ("uuid[]", f"'{{{UUID}}}'", f"{{{UUID}}}"),
        "moods": ("mood[]", "'{sad,NULL}'", "{sad,NULL}"),
        "ranges": ("int4range[]", """'{"[1,5)"}'""", '{"[1,5)"}'),
    },
    "mariadb": {
        "uuid": ("UUID", f"'{UUID}'", UUID),
        "json": ("JSON", "'{\"a\": 1}'", '{"a": 1}'),
        "enum": ("ENUM('happy','sad')", "'sad'", "sad"),
        "bits": ("BIT(10)", "b'1010'", "10"),
        "year": ("YEAR", "2024", "2024"),
    },
    "duckdb": {
        "uuid": ("UUID", f"'{UUID}'", UUID),
        "json": ("JSON", "'{\"a\": 1}'", '{"a": 1}'),
        "enum": ("ENUM('happy','sad')", "'sad'", "sad"),
        "hugeint": ("HUGEINT", str(10**38 - 1), str(10**38 - 1)),
        "array": ("INTEGER[]", "[1, 2]", "[1, 2]"),
        "fixed": ("INTEGER[2]", "[1, 2]", "[1, 2]"),
        "uuids": ("UUID[]", f"['{UUID}']", f"[{UUID}]"),
        "days": ("DATE[]", "['2024-02-29']", "[2024-02-29]"),
    },
}
NATIVE["alchemy"] = {
    **NATIVE["postgres"],
    "interval": ("interval", "'1 mon 1 day 02:00:00.5'", "1 mon 1 day 02:00:00.5"),
    "free": ("numeric[]", "'{1.50,NULL,-0.0000000001}'", "[1.50, None, -0.0000000001]"),
    "uuids": ("uuid[]", f"'{{{UUID}}}'", f"[{UUID}]"),
    "moods": ("mood[]", "'{sad,NULL}'", "[sad, None]"),
    "ranges": ("int4range[]", """'{"[1,5)"}'""", "[[1,5)]"),
}
"""Types that only some have: DDL, a literal, and the text by which the value is told."""


@dataclass
class World:
    """A project with a connection for each side."""

    root: Path
    maria: MariaServer
    maria_name: str
    postgres_url: str
    fill: bool = True
    held: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        connections = {
            "folder": {"type": "local", "path": "folder"},
            "inbox": {"type": "local", "path": "inbox"},
            "sqlite": {"type": "sqlite", "path": "side.db"},
            "postgres": {"type": "postgres", "url": self.postgres_url},
            "mariadb": {"type": "mysql", "url": self.maria.url(self.maria_name)},
            "duckdb": {"type": "duckdb", "path": "side.duckdb"},
            "alchemy": {"type": "sqlalchemy", "url": alchemy_url(self.postgres_url)},
        }
        document = {"version": 1, "project": "matrix", "connections": connections}
        (self.root / "headgate.yml").write_text(yaml.safe_dump(document))
        (self.root / "pipelines").mkdir()
        (self.root / "inbox").mkdir()
        (self.root / "folder").mkdir()
        with psycopg.connect(self.postgres_url, autocommit=True) as session:
            session.execute("CREATE SCHEMA alchemy")
        for side in SIDES if self.fill else ():
            self.held[side] = self._fill(side)

    # ------------------------------------------------------------------------------------------- origins

    def _fill(self, side: str) -> list[str]:
        """Make the side's table of types; the names that it can hold."""
        with Workspace.load(self.root) as workspace:
            endpoint = workspace.connection(side)
            module = workspace.registry.module("lake" if side == "lake" else "targets", endpoint.kind)
            names = []
            for name in NAMES:
                schema = pa.schema([pa.field(name, TYPES[name][0])])
                with contextlib.suppress(HeadgateError):
                    if hasattr(module, "check_target"):
                        module.check_target(schema, WriteOptions(table="origin"), endpoint.connection, self.root)
                    else:
                        module.check_types(schema)
                    names.append(name)
        table = origin(names)
        if side == "folder":
            pq.write_table(table, self.root / "inbox" / "origin.parquet")
        else:
            self._load(side, table)
        self.native(side)
        return names

    def _load(self, side: str, table: pa.Table) -> None:
        with Workspace.load(self.root) as workspace:
            place = Place(lambda: workspace.store(workspace.connection(side)), self.root / "_runs" / side)
            place.run(1, [(load("origin", schema=table.schema), table)])

    def native(self, side: str) -> None:
        """Make the side's table of the types that only some have."""
        columns = NATIVE.get(side, {})
        if not columns:
            return
        statements = [
            f"CREATE TABLE native ({', '.join(f'c_{name} {sql}' for name, (sql, _, _) in columns.items())})",
            f"INSERT INTO native VALUES ({', '.join(value for _, value, _ in columns.values())})",
        ]
        match side:
            case "postgres" | "alchemy":
                schema = "public" if side == "postgres" else "alchemy"
                with psycopg.connect(self.postgres_url, autocommit=True) as session:
                    session.execute(f"SET search_path = {schema}")
                    for statement in ("CREATE TYPE mood AS ENUM ('happy', 'sad')", *statements):
                        session.execute(statement)
            case "mariadb":
                self.maria.execute(self.maria_name, *statements)
            case _:
                import duckdb

                with duckdb.connect(str(self.root / "side.duckdb")) as connection:
                    for statement in statements:
                        connection.execute(statement)

    # ---------------------------------------------------------------------------------------------- runs

    def cells(self, source: str, target: str) -> dict[str, str]:
        """What becomes of each type between two sides: exact, exact as another type, or refused and why."""
        found = self._between(source, target, "origin", self.held[source])
        native = [f"c_{name}" for name in NATIVE.get(source, {})]
        if native:
            found |= self._between(source, target, "native", native)
        return found

    def _between(self, source: str, target: str, table: str, names: Sequence[str]) -> dict[str, str]:
        cells: dict[str, str] = {}
        left, goal = list(names), f"{table}_from_{source}"
        while left:
            self.write(source, target, table, left, goal)
            refusal = self._planned(left)
            if refusal is None:
                break
            cells[refusal[0]] = f"refused: {refusal[1]}"
            left.remove(refusal[0])
        if left:
            cells |= self._run(source, target, table, left, goal)
        return cells

    def write(self, source: str, target: str, table: str, names: Sequence[str], goal: str) -> None:
        read: dict[str, Any] = {"columns": list(names)}
        if source == "folder":
            read |= {"connection": "inbox", "path": "origin.parquet"}
        else:
            read |= {"table": table} | ({} if source == "lake" else {"connection": source})
        write: dict[str, Any] = {"table": goal, "mode": "overwrite"}
        write |= {} if target == "lake" else {"connection": target}
        document = {"pipelines": {"p": {"source": read, "target": write, "engine": "duckdb"}}}
        (self.root / "pipelines" / "p.yml").write_text(yaml.safe_dump(document))

    def _planned(self, names: Sequence[str]) -> tuple[str, str] | None:
        """(column, reason) that the plan refuses; None if it refuses none."""
        with Workspace.load(self.root) as workspace:
            pipeline = workspace.project.pipeline("p")
            state = workspace.stores_of(pipeline)[0].state(workspace.key("p"))
            context = read_context(workspace, "plan", None, {})
            try:
                gather(workspace, pipeline, context, state, window=Window(None))
            except HeadgateError as error:
                refusal = error
            else:
                return None
        assert refusal.code is Code.UNSUPPORTED, refusal
        assert refusal.hint, "a refusal says what to do"
        told = [name for name in names if f'"{name}"' in refusal.message]
        assert told, f"a refusal names the column: {refusal.message}"
        return told[0], refusal.message

    def _run(self, source: str, target: str, table: str, names: Sequence[str], goal: str) -> dict[str, str]:
        with Workspace.load(self.root) as workspace:
            handle(RunPipeline(pipeline="p"), workspace).unwrap()
        with Workspace.load(self.root) as workspace:
            back = read_all(workspace.store(workspace.connection(target)).reader(goal))
        return {name: _judged(back[name], name, source, table) for name in names}


def alchemy_url(postgres_url: str) -> str:
    """The same database by SQLAlchemy's URL; tables are made in, and found in, a schema of their own."""
    mark = "&" if "?" in postgres_url else "?"
    found = postgres_url.replace("postgresql://", "postgresql+psycopg://", 1)
    return f"{found}{mark}options=-csearch_path%3Dalchemy"


def origin(names: Sequence[str]) -> pa.Table:
    """All values of the types, one below the other, and a NULL at the end."""
    rows = max(len(TYPES[name][1]) for name in names) + 1
    schema = arrow_schema([(name, TYPES[name][0]) for name in names])
    return arrow_table(schema, [[*TYPES[name][1], *[None] * (rows - len(TYPES[name][1]))] for name in names])


def _judged(column: Any, name: str, source: str, table: str) -> str:
    if table == "native":
        assert [_told(value) for value in column.to_pylist()] == [NATIVE[source][name[2:]][2]], name
        return f"exact, as {_named(column.type)}"
    type_, values = TYPES[name]
    expected_values = sorted(repr(canonical(value)) for value in arrow_list(type_, values))
    typed = column if column.type == type_ else column.cast(type_)
    found = sorted(repr(canonical(value)) for value in typed.to_pylist() if value is not None)
    assert found == expected_values, f"{name} came back as {column.type}: {found} instead of {expected_values}"
    return "exact" if column.type == type_ else f"exact, as {_named(column.type)}"


def _told(value: Any) -> str:
    """A value as NATIVE tells it: decimals with all their places."""
    if isinstance(value, list):
        return f"[{', '.join(map(_told, value))}]"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _named(type_: Any) -> str:
    """A type as the page has it: the names that stores give to the elements of lists say nothing."""
    return f"list<{_named(type_.value_type)}>" if pa.types.is_list(type_) else str(type_)


def arrow_list(type_: pa.DataType, values: Sequence[Any]) -> list[Any]:
    array: Any = pa.array(values, type_)
    found: list[Any] = array.to_pylist()
    return found


def lines(matrix: dict[tuple[str, str], dict[str, str]]) -> Iterator[str]:
    """The page: how refusals read, and a table for each source."""
    yield "## How a refusal reads\n"
    yield "| into | the plan's message |"
    yield "|---|---|"
    for target in SIDES:
        found = [cell for source in SIDES for cell in matrix[source, target].values() if cell.startswith("refused")]
        yield from [f"| {target} | {cell.partition(': ')[2]} |" for cell in found[:1]]
    yield ""
    for source in SIDES:
        yield f"## From {source}\n"
        yield f"| type | {' | '.join(SIDES)} |"
        yield f"|---|{'---|' * len(SIDES)}"
        names = list(dict.fromkeys(name for target in SIDES for name in matrix[source, target]))
        for name in names:
            found = [matrix[source, target].get(name, "") for target in SIDES]
            cells = ["refused" if cell.startswith("refused") else cell for cell in found]
            yield f"| {_title(name, source)} | {' | '.join(cells)} |"
        yield ""


def _title(name: str, source: str) -> str:
    return f"`{NATIVE[source][name[2:]][0]}`" if name.startswith("c_") else f"`{_named(TYPES[name][0])}`"
