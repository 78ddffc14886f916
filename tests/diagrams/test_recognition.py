"""At least nine of ten steps of the labelled corpus are recognised, and hardly anything else is taken for a step."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.diagrams.corpus import NAMES, Label, labels, lay_out

from headgate.diagrams.source.flow import Part, Step
from headgate.diagrams.source.project import source
from headgate.diagrams.tree import tree

LEFT_OUT = (Part.LOG,)
"""What is no step of data; configuration and alerts count where a person labelled them."""


def recognised(folder: Path) -> list[Step]:
    found = {step.number: step for entry in source(tree(folder)).entries for step in entry.body.steps()}
    return [step for step in found.values() if step.part not in LEFT_OUT]


def fits(label: Label, step: Step) -> bool:
    named = " ".join(place.name for place in (*step.reads, *step.writes))
    return (
        step.part.value == label.part and label.what in step.what.replace(" ", "") + step.what and label.place in named
    )


def compare(folder: Path, name: str) -> tuple[list[Label], list[Step], int]:
    """Labels that no step fits, steps that no label fits, and how many fit; loops draw one step for many tables."""
    wanted, steps = labels(name), recognised(lay_out(name, folder))
    missed = [label for label in wanted if not any(fits(label, step) for step in steps)]
    surplus = [step for step in steps if not any(fits(label, step) for label in wanted)]
    return missed, surplus, len(wanted) - len(missed)


def test_nine_of_ten_steps_are_recognised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hits, missed_all, surplus_all = 0, 0, 0
    with capsys.disabled():
        print()
        for name in NAMES:
            missed, surplus, right = compare(tmp_path / name, name)
            hits, missed_all, surplus_all = hits + right, missed_all + len(missed), surplus_all + len(surplus)
            print(f"  {name}: {right} of {right + len(missed)}")
            for label in missed:
                print(f"    missed {label.part} {label.what} {label.place}")
            for step in surplus:
                print(f"    surplus {step.part.value} {step.what} {step.file}:{step.line}")
        recall, precision = hits / (hits + missed_all), hits / (hits + surplus_all)
        print(f"  recall {recall:.1%} of {hits + missed_all} steps, precision {precision:.1%}")
    assert recall >= 0.9
    assert precision >= 0.9
