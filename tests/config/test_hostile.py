"""Whatever stands in the files, loading gives a project or problems with file and line, never anything else."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.config.conftest import HEAD
from tests.config.kinds import Kinds
from tests.config.test_load import GOOD
from tests.config.test_spellings import CANONICAL, INLINE, ONE_FILE, WITH_PARAMETERS

from headgate.config.load import load_project
from headgate.core.errors import Code, FatalError

SHORT = """
copy: {source: {connection: files, path: in/*.csv}, target: {table: copy}}
"""
TEXTS = """
# What people write beside the facts. Every second line of a real project is like this one.
visits:
  description: >
    Visits of the site, as the counters in the entrance have them.
    They are late by an hour, and on Mondays by two.
  owner: "data team <data@example.com>"
  tags: [daily, "front door", 'it''s']
  # the archive is read only
  source: {connection: archive, table: visits}   # all of it, each time
  target: {connection: files, table: visits, mode: overwrite}
"""
LOADS = """
base:
  source: {connection: db, query: "SELECT * FROM a WHERE day = {{ ds }}"}
  target: {table: a, mode: overwrite}
merged:
  source: {connection: db, table: a, mode: incremental, incremental: {column: t, key: [id, line], start: 2024-01-01}}
  target: {connection: db, table: merged, mode: upsert, keys: [id, line]}
history:
  depends_on: [merged]
  source: {table: a}
  target: {table: history, mode: upsert, keys: [id]}
"""
RULES = """
checked:
  source: {type: python, function: "sources:tickets"}
  transformations:
    - {type: rename, columns: {"Ort ": town, "Größe": size}}
    - {type: cast, columns: {size: "DECIMAL(10, 2)"}}
    - {type: clean, trim: [town], case: {town: title}, null_values: ["", "N/A"], fill: {size: 0}}
    - {type: deduplicate, keys: [id], order_by: changed_at, keep: first}
  quality_rules:
    - {type: accepted_values, column: town, values: [Bonn, 1, null, "", true], severity: warning}
    - {type: expression, name: small, condition: "size < 10", on_fail: quarantine, max_failed: 5%}
    - {type: unique, columns: [id], scope: table}
  error_handling: {on_row_error: quarantine, max_error_percentage: 5.0}
  monitoring: {sla: {duration: 30m, success_rate: 0.95}}
  target: {connection: db, table: tickets}
"""
SEEDS = (GOOD, CANONICAL, WITH_PARAMETERS, INLINE, ONE_FILE, SHORT, TEXTS, LOADS, RULES)
PIECES = (
    "null", "~", "[]", "{}", "[[]]", "{a: {}}", "- ", ": ", "\t", "'", '"', "&a ", "*a", "!!int ", "!x ", "<<: ",
    "---\n", "${", "${A}", "${file:x}", "${aws-sm:x}", "9" * 30, "1e999", "-1", ".nan", "2024-13-01", "true", "\x00",
    "\x85", "\ufeff", "é", "😀", "type", "source", "target", "sources: 5\n", "name: []\n", "parameters: [1]\n", "? ",
    "|\n", ">\n", "% ", "@", "`", "#", "\r\n", "\n", "    ", "retry: []", "alerts: {email: {}}", "columns: {}", "on: 5",
    "incremental: []", "schema: {table: []}",
)  # fmt: skip


def mutated(text: str, dice: random.Random) -> str:
    """The text with a few characters, lines or words changed."""
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(text) + 1)
        end = min(len(text), at + dice.choice((0, 0, 1, 3, 20)))
        lines = text.split("\n")
        match dice.randrange(6):
            case 0:
                text = text[:at] + text[end:]
            case 1 | 2:
                text = text[:at] + dice.choice(PIECES) + text[end:]
            case 3:
                lines.insert(dice.randrange(len(lines)), dice.choice(lines))
                text = "\n".join(lines)
            case 4:
                number = dice.randrange(len(lines))
                key, colon, _ = lines[number].partition(":")
                lines[number] = f"{key}{colon} {dice.choice(PIECES)}"
                text = "\n".join(lines)
            case _:
                number = dice.randrange(len(lines))
                lines[number] = " " * dice.randint(0, 4) + lines[number]
                text = "\n".join(lines)
    return text


def survive(root: Path, seed: int) -> bool:
    """Whether the project with one mutated file loads; problems must name their places."""
    dice = random.Random(seed)  # noqa: S311 - it replays by its seed
    head, pipelines = HEAD, dice.choice(SEEDS)
    if dice.random() < 0.2:
        head = mutated(head, dice)
    else:
        pipelines = mutated(pipelines, dice)
    (root / "headgate.yml").write_bytes(head.encode())
    (root / "pipelines").mkdir(exist_ok=True)
    (root / "pipelines" / "sales.yml").write_bytes(pipelines.encode())
    refused = refusal(root)
    if refused is None:
        return True
    assert refused.code is Code.CONFIG_INVALID, (seed, refused)
    assert refused.problems, seed
    assert all(one.file and one.line > 0 and one.message for one in refused.problems), (seed, refused.problems)
    return False


def refusal(root: Path) -> FatalError | None:
    """The error that loading raises, if it does."""
    try:
        load_project(root, Kinds(), environment={"DB_URL": "x"}).problems()
    except FatalError as error:
        return error
    return None


def test_two_thousand_mutated_projects_load_or_say_why(tmp_path: Path) -> None:
    loaded = sum(survive(tmp_path, seed) for seed in range(2_000))
    assert 100 < loaded < 1_900


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_mutated_projects_load_or_say_why(tmp_path: Path) -> None:
    loaded = sum(survive(tmp_path, seed) for seed in range(2_000, 102_000))
    assert 5_000 < loaded < 95_000


def test_random_bytes_are_refused(tmp_path: Path) -> None:
    dice = random.Random(7)  # noqa: S311 - it replays by its seed
    for _ in range(200):
        (tmp_path / "headgate.yml").write_bytes(dice.randbytes(dice.randrange(1, 200)))
        with pytest.raises(FatalError) as caught:
            load_project(tmp_path, Kinds(), environment={})
        assert caught.value.code is Code.CONFIG_INVALID
