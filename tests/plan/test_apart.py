from __future__ import annotations

from typing import Any

import pytest
from tests.plan.projects import SmallProject

from headgate.plan.finish import apart

Z: dict[str, Any] = {"type": "calculate", "columns": {"z": "1"}}


@pytest.mark.parametrize(
    ("name", "taken", "unique"),
    [
        ("f", {"g"}, "f"),
        ("f", {"f"}, "f_2"),
        ("F", {"f"}, "F_2"),
        ("f", {"f", "f_2"}, "f_3"),
        ("f_audit", {"f"}, "step_f_audit"),
        ("F_Audit_0", {"f"}, "step_F_Audit_0"),
        ("f_load_0", {"f"}, "step_f_load_0"),
        ("f", {"f_audit"}, "f_2"),
        ("f_load", {"f"}, "f_load"),
        ("f_audit", {"f", "step_f"}, "step_step_f_audit"),
    ],
)
def test_no_relation_is_called_as_another_or_as_what_rules_read_of_it(name: str, taken: set[str], unique: str) -> None:
    assert apart(name, taken) == unique


@pytest.mark.parametrize("second", ["f_audit", "F_AUDIT", "F"])
def test_a_rule_looks_at_the_rows_of_its_step_whatever_other_steps_are_called(
    project: SmallProject, second: str
) -> None:
    """Two towns are repeated in the first step's rows, none in the second's."""
    steps = [{**Z, "name": "f"}, {"type": "filter", "name": second, "condition": "id IN (1, 3, 5)"}, Z]
    rule = {"type": "unique", "columns": ["city"], "step": "f", "severity": "warning"}
    targets = [{"table": "some", "from": second}, {"table": "out"}]
    receipt = project.define(steps=steps, rules=[rule], targets=targets).run()
    assert [(check.passed, check.failed_rows) for check in receipt.checks] == [(False, 4)]
    assert len(project.out("SELECT * FROM some")) == len(project.out()) == 3
