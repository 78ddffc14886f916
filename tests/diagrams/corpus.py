"""Small projects in different styles, and the steps that a person sees in them: ``part what place`` a line.

``corpus`` is what recognition was improved on; ``heldout`` was written and labelled by somebody who had not seen how
recognition works. Where a person could call a step several names, ``what`` has them all: ``get|fetch``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from headgate.diagrams.source.flow import Part, Step
from headgate.diagrams.source.project import source
from headgate.diagrams.tree import tree

FOLDERS = (Path(__file__).parent / "corpus", Path(__file__).parent / "heldout")
NAMES, HELD_OUT = (sorted(file.stem for file in folder.glob("*.txt")) for folder in FOLDERS)
LEFT_OUT = (Part.LOG,)
"""What is no step of data; configuration and alerts count where a person labelled them."""


@dataclass(frozen=True)
class Label:
    """``place`` is part of the name of a table, file, topic or address; "" where the step has none."""

    part: str
    what: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.part} {self.what} {self.place}".rstrip()

    def fits(self, step: Step) -> bool:
        named = " ".join(place.name for place in (*step.reads, *step.writes))
        called = step.what.replace(" ", "") + step.what
        return (
            step.part.value == self.part
            and any(name in called for name in self.what.split("|"))
            and self.place in named
        )


@dataclass
class Score:
    """How many labels a step was found for, which were missed, and steps that nobody labelled."""

    hits: int = 0
    missed: list[str] = field(default_factory=list)
    surplus: list[str] = field(default_factory=list)

    @property
    def recall(self) -> float:
        return self.hits / (self.hits + len(self.missed))

    @property
    def precision(self) -> float:
        return self.hits / (self.hits + len(self.surplus))

    def __str__(self) -> str:
        lines = [f"recall {self.recall:.1%} of {self.hits + len(self.missed)} steps, precision {self.precision:.1%}"]
        return "\n  ".join(
            ["", *lines, *(f"missed {one}" for one in self.missed), *(f"surplus {one}" for one in self.surplus)]
        )


def labels(name: str) -> list[Label]:
    return [Label(*line.split(" ", 2)) for line in _sections(name)["steps"].splitlines() if line]


def lay_out(name: str, folder: Path) -> Path:
    """Write the project's files."""
    for file, text in _sections(name).items():
        if file != "steps":
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text)
    return folder


def score(names: list[str], folder: Path) -> Score:
    """A label needs a step that fits it, and as many steps as it is written times."""
    whole = Score()
    for name in names:
        wanted, steps = labels(name), _recognised(lay_out(name, folder / name))
        for index, label in enumerate(wanted):
            if sum(map(label.fits, steps)) > wanted[:index].count(label):
                whole.hits += 1
            else:
                whole.missed.append(f"{name}: {label}")
        whole.surplus += [
            f"{name}: {step.part.value} {step.what} {step.file}:{step.line}"
            for step in steps
            if not any(label.fits(step) for label in wanted)
        ]
    return whole


def _recognised(folder: Path) -> list[Step]:
    found = {step.number: step for entry in source(tree(folder)).entries for step in entry.body.steps()}
    return [step for step in found.values() if step.part not in LEFT_OUT]


def _sections(name: str) -> dict[str, str]:
    (file,) = (folder / f"{name}.txt" for folder in FOLDERS if (folder / f"{name}.txt").exists())
    parts = ("\n" + file.read_text()).split("\n== ")[1:]
    return {head: body + "\n" for head, _, body in (part.partition("\n") for part in parts)}
