"""What becomes of rows that commit late, tie, go back or lie in the future, with headgate and with its peers?

Each scenario writes to a source, lets the tool load what is new, writes more, and lets it load again. What counts is
whether the target has in the end what the source has, and whether anybody was told where not. Peers run as their
documentation says for an incremental load by a cursor with a primary key: dlt with ``incremental`` and merge, Sling
with ``mode: incremental`` and its ``update_key``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import peers
from benchmarks.measure import HEADGATE, arguments, fresh, tell
from benchmarks.postgres_to_postgres import execute, server, url

TABLE = "CREATE TABLE events (id bigint PRIMARY KEY, name text, at timestamptz)"
FIRST = (
    "INSERT INTO events SELECT g, 'first', now() - interval '1 hour' + g * interval '1 second'"
    " FROM generate_series(1, 100) g"
)
DLT = """
import sys, dlt
from dlt.sources.sql_database import sql_table
source, target, folder = sys.argv[1:4]
goal = dlt.destinations.postgres(target.replace("@/", "@localhost:5432/").replace("postgres@", "postgres:none@"))
pipeline = dlt.pipeline("events", destination=goal, dataset_name="loaded", pipelines_dir=folder)
new = dlt.sources.incremental("at")
pipeline.run(
    sql_table(source, table="events", schema="public", incremental=new, primary_key="id", write_disposition="merge")
)
"""


@dataclass
class Place:
    """One tool's databases, and how it is run."""

    source: str
    target: str
    folder: Path
    command: Callable[[Place], list[str]]
    loaded: str
    settings: dict[str, str]

    def load(self) -> str:
        """Let the tool load what is new; what it said if it failed."""
        done = subprocess.run(  # noqa: S603 - the commands stand here
            self.command(self), capture_output=True, text=True, check=False, env={**os.environ, **self.settings},
            cwd=self.folder,
        )  # fmt: skip
        return "" if done.returncode == 0 else (done.stdout + done.stderr)[-300:]

    def write(self, *statements: str) -> None:
        execute(self.source, *statements)

    def missing(self) -> tuple[int, int]:
        """Rows of the source that the target lacks or has otherwise, and rows that it has twice or too much."""
        select = "SELECT id, name, at FROM {}"
        with psycopg.connect(self.source) as source, psycopg.connect(self.target) as target:
            there = source.execute(select.format("events")).fetchall()
            here = target.execute(select.format(self.loaded)).fetchall()
        return len(set(there) - set(here)), len(here) - len(set(here) & set(there))


def headgate(place: Place) -> list[str]:
    (place.folder / "headgate.yml").write_text(
        "version: 1\nproject: events\nconnections:\n"
        f'  source: {{type: postgres, url: "{place.source}"}}\n  target: {{type: postgres, url: "{place.target}"}}\n'
        "pipelines:\n  events:\n    source:\n      connection: source\n      table: events\n      mode: incremental\n"
        "      incremental: {column: at, key: id}\n"
        "    target: {connection: target, table: events, mode: upsert, keys: id}\n"
    )
    return [HEADGATE, "run", "events", "-C", str(place.folder), "-o", "json"]


def dlt(place: Place) -> list[str]:
    return [*peers.script("dlt", DLT), place.source, place.target, str(place.folder)]


def sling(place: Place) -> list[str]:
    replication = {
        "source": "SOURCE",
        "target": "TARGET",
        "defaults": {"mode": "incremental", "object": "public.loaded", "primary_key": ["id"], "update_key": "at"},
        "streams": {"public.events": {}},
    }
    (place.folder / "replication.json").write_text(json.dumps(replication))
    return [peers.sling(), "run", "-r", str(place.folder / "replication.json")]


TOOLS: dict[str, tuple[Callable[[Place], list[str]], str]] = {
    "headgate": (headgate, "events"),
    "dlt": (dlt, "loaded.events"),
    "Sling": (sling, "loaded"),
}


# ------------------------------------------------------------------------------------------------------ scenarios


def late_commit(place: Place) -> list[str]:
    with psycopg.connect(place.source) as late:
        late.execute("INSERT INTO events VALUES (201, 'commits late', now())")
        place.write("INSERT INTO events VALUES (202, 'commits first', now() + interval '1 millisecond')")
        said = [place.load()]
        late.commit()
    place.write("INSERT INTO events VALUES (203, 'later', now() + interval '2 milliseconds')")
    return [*said, place.load()]


def tie(place: Place) -> list[str]:
    place.write(
        "INSERT INTO events VALUES (301, 'one', '2030-01-01')".replace("2030", "2020"),
        "UPDATE events SET at = '2020-01-01'",
    )
    said = [place.load()]
    place.write("INSERT INTO events VALUES (302, 'same moment', '2020-01-01')")
    return [*said, place.load()]


def slow_clock(place: Place) -> list[str]:
    said = [place.load()]
    place.write("INSERT INTO events VALUES (401, 'its clock is slow', now() - interval '2 hours')")
    return [*said, place.load()]


def no_cursor(place: Place) -> list[str]:
    said = [place.load()]
    place.write("INSERT INTO events VALUES (501, 'no time', NULL)")
    return [*said, place.load()]


def goes_back(place: Place) -> list[str]:
    said = [place.load()]
    place.write("UPDATE events SET name = 'went back', at = at - interval '1 year' WHERE id <= 10")
    return [*said, place.load()]


def future(place: Place) -> list[str]:
    place.write("INSERT INTO events VALUES (601, 'wrong century', '2924-01-01')")
    said = [place.load()]
    place.write("INSERT INTO events VALUES (602, 'today', now())")
    return [*said, place.load()]


def restored_target(place: Place) -> list[str]:
    said = [place.load()]
    name = psycopg.conninfo.conninfo_to_dict(place.target)["dbname"]
    admin = place.target.replace(f"/{name}", "/postgres")
    execute(admin, f"CREATE DATABASE backup TEMPLATE {name}")
    place.write("INSERT INTO events VALUES (701, 'after the backup', now())")
    said.append(place.load())
    execute(admin, f"DROP DATABASE {name} WITH (FORCE)", f"ALTER DATABASE backup RENAME TO {name}")
    return [*said, place.load()]


def deleted(place: Place) -> list[str]:
    said = [place.load()]
    place.write("DELETE FROM events WHERE id <= 10")
    return [*said, place.load()]


SCENARIOS: dict[str, Callable[[Place], list[str]]] = {
    "a row commits after a later one was read": late_commit,
    "a row has the moment of the watermark": tie,
    "a client's clock is two hours slow": slow_clock,
    "a row has no cursor": no_cursor,
    "an update sets the cursor back": goes_back,
    "a row lies in the future": future,
    "the target is restored from a backup": restored_target,
    "rows are deleted": deleted,
}


def outcome(place: Place, said: list[str]) -> str:
    told = next((text for text in said if text), "")
    try:
        lost, more = place.missing()
    except psycopg.Error as error:
        return f"failed: {str(error).splitlines()[0]}"
    parts = [f"{lost} lost" if lost else "", f"{more} too many" if more else ""]
    verdict = ", ".join(part for part in parts if part) or "same"
    return f"{verdict} (refused)" if told and verdict != "same" else verdict


def measured(host: str, tool: str, scenario: Callable[[Place], list[str]]) -> str:
    names = ("events_source", "events_target")
    execute(url(host, "postgres"), *(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in names))
    execute(url(host, "postgres"), *(f"CREATE DATABASE {name}" for name in names))
    source, target = (url(host, name) for name in names)
    execute(source, TABLE, FIRST)
    command, loaded = TOOLS[tool]
    settings = {
        "SOURCE": source,
        "TARGET": target,
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "SLING_HOME_DIR": str(fresh("sling")),
    }
    place = Place(source, target, fresh(f"watermarks-{tool}"), command, loaded, settings)
    found = outcome(place, scenario(place))
    tell(f"{tool}: {scenario.__name__}: {found}")
    return found


def main() -> int:
    parser = arguments(__doc__.splitlines()[0], times=1)
    options = parser.parse_args()
    tools = [tool for tool in TOOLS if options.only in tool]
    results: dict[str, dict[str, Any]] = {}
    with server() as (host, _):
        for name, scenario in SCENARIOS.items():
            results[name] = {tool: measured(host, tool, scenario) for tool in tools}
    print(f"\n| what happens in the source | {' | '.join(tools)} |\n|---|{'---|' * len(tools)}")
    for name, row in results.items():
        print(f"| {name} | {' | '.join(row[tool] for tool in tools)} |")
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
