"""What a call means is known by where its receiver comes from, and its place by how the value was made."""

from __future__ import annotations

from pathlib import Path

import pytest

from headgate.diagrams.source.flow import Part, Step
from headgate.diagrams.source.project import source
from headgate.diagrams.tree import tree

ORM = """
from sqlalchemy import create_engine, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session

class Base(DeclarativeBase):
    pass

class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int]

"""


def steps(folder: Path, text: str) -> list[tuple[Part, str, list[str]]]:
    (folder / "job.py").write_text(text)
    found: dict[int, Step] = {one.number: one for entry in source(tree(folder)).entries for one in entry.body.steps()}
    return [(one.part, one.what, [place.name for place in (*one.reads, *one.writes)]) for one in found.values()]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("session.execute(select(Order.id))", (Part.EXTRACT, "select", ["orders"])),
        ("session.query(Order).all()", (Part.EXTRACT, "query", ["orders"])),
        ("session.execute(update(Order).values(id=1))", (Part.LOAD, "update", ["orders"])),
        ("session.add(Order(id=1))", (Part.LOAD, "add", ["orders"])),
    ],
)
def test_statements_of_mapped_classes_name_their_table(
    tmp_path: Path, line: str, expected: tuple[Part, str, list[str]]
) -> None:
    assert expected in steps(tmp_path, f"{ORM}session = Session(create_engine('sqlite://'))\n{line}\n")


def test_a_default_of_the_command_line_is_the_place(tmp_path: Path) -> None:
    text = """
import argparse, json
from pathlib import Path
parser = argparse.ArgumentParser()
parser.add_argument("--out", type=Path, default=Path("lake"))
args = parser.parse_args()
rows = json.loads(Path("in.json").read_text())
(args.out / "rows.json").write_text(json.dumps(rows))
"""
    assert steps(tmp_path, text) == [
        (Part.EXTRACT, "read file", ["in.json"]),
        (Part.LOAD, "write file", ["lake/rows.json"]),
    ]


def test_files_that_settings_are_named_for_are_configuration(tmp_path: Path) -> None:
    text = """
import json
import pandas as pd
from pathlib import Path
options = json.loads(Path("job.json").read_text())
pd.read_csv("a.csv").to_csv(options["out"])
"""
    assert (Part.CONFIG, "read file", ["job.json"]) in steps(tmp_path, text)


def test_a_get_of_a_mapping_is_no_read_of_a_store(tmp_path: Path) -> None:
    text = """
import redis
cache = redis.Redis()
device = cache.hgetall("device:1")
line = device.get("line")
cache.set("latest", line)
"""
    assert steps(tmp_path, text) == [
        (Part.EXTRACT, "hgetall", ["device:1"]),
        (Part.LOAD, "Redis.set", ["latest"]),
    ]


def test_the_mode_of_a_handle_is_no_file(tmp_path: Path) -> None:
    text = """
import json
def run(task):
    with task.output().open("w") as handle:
        json.dump({}, handle)
    with task.open("rb") as handle:
        handle.read()
"""
    assert not any(place in ("w", "rb") for _, _, places in steps(tmp_path, text) for place in places)
