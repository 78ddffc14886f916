"""Every stage of a plan says in words what it does, and is plain JSON."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from headgate.core.engines import Column
from headgate.plan.checks import Rule, SetCheck, TableCheck
from headgate.plan.stages import (
    Acknowledge,
    Audit,
    Check,
    Claim,
    Clean,
    Fetch,
    Keep,
    Move,
    Plan,
    Publish,
    Scan,
    Stage,
    Transform,
    Write,
)
from headgate.queries.stages import document, words
from headgate.sql.shapes import Call

N = (Column("n", "BIGINT"),)
RULE = Rule("unique", "error", "fail", "n is unique", 0)
STAGES: list[tuple[Stage, str]] = [
    (Claim("orders", "lake"), "claim the next epoch of orders in lake"),
    (Scan("source", "inbox", "a.csv", N), "scan a.csv of inbox (1 column, full)"),
    (
        Scan("dim", "dw", "dim", N * 2, side=1, unique=("n",)),
        "scan dim of dw (2 columns, full) to look rows up as dim; n must be unique there",
    ),
    (
        Move("relay", "out", "source", 0, (("n", '"n"'),), (), ("n > 1",), ()),
        (
            "move source into out undecoded: pass its bytes from server to server, then 1 rule in SQL over what "
            "arrived; if a row must be held back, as follows"
        ),
    ),
    (
        Fetch("out", "source", "", (("n", "COUNT(*)", "BIGINT"),), ("n > 1",), ("g",), ""),
        (
            "fetch the groups of out, made by the source's server of source after 1 filter; if that cannot be done, "
            "as follows"
        ),
    ),
    (Transform("out", "source", N, ("filter", "rename")), "transform source into out: filter → rename"),
    (Transform("out", "source", N, ()), "transform source into out: as it is"),
    (
        Transform("out", "source", N, ("score",), call=Call("m:score", "batch")),
        "transform source by m:score into out",
    ),
    (
        Check("out", (RULE,), Transform("o", "s", N, ()).verdict),
        "check each row of out: unique (fail); a row that cannot be converted: fail",
    ),
    (Keep("out", "spool", ("n",)), "keep 1 column of out for later"),
    (Write("out", 0, "lake", "t", "upsert", ("n",), N), "upsert out to t in lake by n, where no reader sees it"),
    (
        Audit((SetCheck(RULE, "s", ""),), (TableCheck(RULE, 0, ("n",)),), 2.5),
        (
            "audit the run: every row is accounted for, unique (fail), unique in the table as it will be (fail), "
            "at most 2.5 % of the rows held back"
        ),
    ),
    (Publish("lake", ("dw",)), "publish data, watermark and run record in one commit of lake, then roll dw forward"),
    (Acknowledge((0, 1)), "tell 2 sources how far was read"),
    (Clean(("lake", "dw")), "remove what the run left in lake, dw"),
]


@pytest.mark.parametrize(("stage", "text"), STAGES, ids=lambda value: type(value).__name__)
def test_a_stage_says_what_it_does(stage: Stage, text: str) -> None:
    assert words(stage) == text


def test_no_stage_is_forgotten() -> None:
    assert {type(stage) for stage, _ in STAGES} == set(get_args(Stage))


def test_a_plan_is_one_json_document() -> None:
    plan = Plan("shop", "orders", tuple(stage for stage, _ in STAGES), N, {"n": ("source.n",)}, "hash", ("a note",))
    found = json.loads(json.dumps(document(plan)))
    assert [stage["summary"] for stage in found["stages"]] == [text for _, text in STAGES]
    assert found["schema"] == [{"name": "n", "type": "BIGINT"}]
    assert found["lineage"] == {"n": ["source.n"]}
    assert found["notes"] == ["a note"]
    assert [read["object"] for read in found["reads"]] == ["a.csv", "dim"]
    assert found["writes"] == [{"table": "t", "store": "lake", "mode": "upsert", "keys": ["n"]}]
