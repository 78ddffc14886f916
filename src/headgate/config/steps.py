"""Steps and rules of one pipeline: made when they are asked for, because their modules cost time to import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from headgate.config.addresses import Surroundings
from headgate.config.build import build, secret_keys
from headgate.config.inline import refuse_value
from headgate.config.models import LAKE
from headgate.config.references import References, referring
from headgate.config.report import Path, Report
from headgate.config.yaml import Items, Section
from headgate.core.contracts import Registry
from headgate.core.errors import FatalError, Problem, nearest
from headgate.core.models import RuleOptions, StepOptions


@dataclass
class Body:
    """What a pipeline does to rows and asks of them, still as sections."""

    document: Section
    report: Report
    registry: Registry
    references: References
    around: Surroundings
    _missing: list[Problem] = field(default_factory=list)

    @property
    def steps(self) -> tuple[StepOptions, ...]:
        return self._made[0]

    @property
    def rules(self) -> tuple[RuleOptions, ...]:
        return self._made[1]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong whatever the environment."""
        return self._made[2]

    @property
    def all_problems(self) -> tuple[Problem, ...]:
        """What is wrong, references without a value included."""
        return (*self.problems, *self._missing)

    @cached_property
    def _made(self) -> tuple[tuple[StepOptions, ...], tuple[RuleOptions, ...], tuple[Problem, ...]]:
        steps = [self._option("transforms", "transformations", index) for index in self._range("transformations")]
        rules = [self._option("quality", "quality_rules", index) for index in self._range("quality_rules")]
        self._check_names([name for step in steps if step is not None for name in self._outputs(step)])
        self._check_connections()
        return (
            tuple(step for step in steps if step is not None),
            tuple(rule for rule in rules if rule is not None),
            tuple(self.report.problems),
        )

    def _range(self, part: str) -> range:
        found = self.document.get(part)
        if found is not None and not isinstance(found, Items):
            self.report.note("expected: a list", (part,), "begin each with -")
            return range(0)
        return range(len(found or ()))

    def _option(self, group: Literal["transforms", "quality"], part: str, index: int) -> Any:
        """The options of one step or rule, as its own module reads them."""
        path: Path = (part, index)
        section = self.document[part][index]
        if not isinstance(section, Section):
            self.report.note("expected: a mapping of options", path, "such as {type: filter, condition: …}")
            return None
        data, missing = self.references.substitute(section)
        apart = Report(self.document, self.report.file, self.report.prefix, self._missing)
        for one in missing:
            apart.note(one.message, (*path, *one.path), one.hint)
        kind = data.get("type")
        if not isinstance(kind, str):
            what = '"type" is missing' if kind is None else f"expected: a kind, got {kind!r}"[:200]
            self.report.note(what, (*path, "type"), nearest("", self.registry.kinds(group)))
            return None
        try:
            module = self.registry.module(group, kind)
        except FatalError as error:
            self.report.note_error(error, (*path, "type"))
            return None
        for key in secret_keys(module.Options):
            if isinstance(section.get(key), str | int | float):
                refuse_value(str(section[key]), self.report, (*path, key))
        kept = {key: value for key, value in data.items() if value is not None}
        return build(
            module.Options, kept, self.report, path, unresolved=[one.path for one in missing], hidden=referring(section)
        )

    def _outputs(self, step: StepOptions) -> Sequence[str]:
        """Names of the second outputs of a step, which targets and rules may ask for."""
        module = self.registry.module("transforms", step.type)
        return module.outputs(step) if hasattr(module, "outputs") else ()

    def _sections(self, *parts: str) -> list[tuple[Path, Section]]:
        found: list[tuple[Path, Section]] = []
        for part in parts:
            value = self.document.get(part)
            if isinstance(value, Section):
                found.append(((part,), value))
            elif isinstance(value, Items):
                found += [((part, index), item) for index, item in enumerate(value) if isinstance(item, Section)]
        return found

    def _check_names(self, outputs: Sequence[str]) -> None:
        """Names stand for one thing each, and ``from:`` and ``step:`` name steps."""
        seen: dict[str, Path] = {}
        for path, section in self._sections("source", "sources", "transformations"):
            name = section.get("name")
            if isinstance(name, str) and name in seen:
                line = self.report.line(seen[name])
                self.report.note(f'the name "{name}" stands twice, first in line {line}', (*path, "name"), "rename one")
            elif isinstance(name, str):
                seen[name] = path
        steps = numbered([str(step.get("name") or step.get("type")) for _, step in self._sections("transformations")])
        for name in outputs:
            if name in steps or outputs.count(name) > 1:
                self.report.note(f'the name "{name}" stands for two outputs', ("transformations",), "rename one")
        steps += outputs
        asked = [(path, section, "from") for path, section in self._sections("target", "targets")]
        asked += [(path, section, "step") for path, section in self._sections("quality_rules")]
        for path, section, key in asked:
            name = section.get(key)
            if isinstance(name, str) and name not in steps:
                hint = nearest(name, steps) or "the pipeline has no steps"
                self.report.note(f'there is no step "{name}"', (*path, key), hint)

    def _check_connections(self) -> None:
        names = [*self.around.kinds, *self.around.wrong, LAKE]
        for path, step in self._sections("transformations"):
            name = step.get("connection")
            if isinstance(name, str) and "${" not in name and name not in names:
                self.report.note(f'there is no connection "{name}"', (*path, "connection"), nearest(name, names))


def numbered(names: Sequence[str]) -> list[str]:
    """The names of steps: from the second of the same name on with a number."""
    found: list[str] = []
    for name in names:
        unique, number = name, 1
        while unique in found:
            number += 1
            unique = f"{name}_{number}"
        found.append(unique)
    return found
