"""Errors say what happened to what, and how to go on; scripts see a code and an exit status."""

from __future__ import annotations

import pytest

from headgate.core.errors import Code, FatalError, Problem, RetriableError, exit_status, from_dict, nearest


def test_an_error_names_operation_object_cause_and_remedy() -> None:
    error = FatalError(Code.LOCKED, "somebody runs", operation="lock", object="orders", hint="wait")
    assert str(error) == "lock orders: somebody runs\n  hint: wait"
    assert str(FatalError(Code.LOCKED, "somebody runs")) == "somebody runs"


def test_an_error_survives_its_receipt() -> None:
    error = RetriableError(Code.CONNECTION_FAILED, "gone", operation="scan", object="orders", hint="try later")
    assert from_dict(error.as_dict()).as_dict() == error.as_dict()


def test_problems_are_part_of_the_document_only_when_there_are_some() -> None:
    problem = Problem("wrong", "a.yml", 3, "pipelines.a", "mend it")
    assert str(problem) == "a.yml:3: pipelines.a: wrong (mend it)"
    assert str(Problem("wrong", "a.yml")) == "a.yml: wrong"
    assert "problems" not in FatalError(Code.INTERNAL, "x").as_dict()
    document = FatalError(Code.CONFIG_INVALID, "x", problems=[problem]).as_dict()
    assert document["problems"] == [
        {"message": "wrong", "file": "a.yml", "line": 3, "path": "pipelines.a", "hint": "mend it"}
    ]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (Code.CONFIG_INVALID, 2),
        (Code.PLAN_INVALID, 2),
        (Code.PLAN_CHANGED, 2),
        (Code.QUALITY_CHECK_FAILED, 3),
        (Code.LOCKED, 4),
        (Code.OUTCOME_UNKNOWN, 5),
        (Code.ROW_ERROR, 1),
        (Code.CONNECTION_FAILED, 1),
    ],
)
def test_the_exit_status_follows_from_the_code(code: Code, status: int) -> None:
    assert exit_status(code) == status


def test_every_code_has_an_exit_status_and_none_means_success() -> None:
    assert {exit_status(code) for code in Code} == {1, 2, 3, 4, 5}


def test_the_nearest_name_is_offered_and_all_where_none_is_near() -> None:
    assert nearest("totl", ["total", "city"]) == 'did you mean "total"?'
    assert nearest("xyz", ["total", "city"]) == "known: city, total"
    assert nearest("xyz", []) == ""
