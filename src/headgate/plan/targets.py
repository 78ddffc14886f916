"""The targets that rows of a pass go to: what they ask of the rows, and the stages that write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from headgate.config.models import Pipeline
from headgate.core.engines import Column
from headgate.core.errors import HeadgateError
from headgate.core.models import WriteOptions
from headgate.plan.changes import followed
from headgate.plan.checks import Rule
from headgate.plan.judging import bind_rules, judge
from headgate.plan.loads import marker, write_stage
from headgate.plan.passes import PassBuilder
from headgate.plan.places import located
from headgate.plan.stages import Write
from headgate.sql.shapes import RowRule, StepInput, column


@dataclass(frozen=True)
class Targets:
    """The targets of a pipeline.

    Args:
        pipeline: whose they are.
        stores: the store of each.
        tables: for targets with evolve: quarantine whose table is there: its columns, in lower case.
    """

    pipeline: Pipeline
    stores: Sequence[str]
    tables: Mapping[int, frozenset[str]]

    def _of(self, name: str, *, last: bool) -> Iterator[tuple[int, WriteOptions]]:
        """The targets that a step's rows go to."""
        for number, target in enumerate(self.pipeline.targets):
            if target.from_ == name or (target.from_ is None and last):
                yield number, target

    def take(self, name: str) -> bool:
        """Whether some target takes the rows of that step, beside the last one."""
        return any(self._of(name, last=False))

    def judge(self, builder: PassBuilder, given: StepInput, name: str, *, last: bool) -> None:
        """Mark rows that delete their key, and hold back rows that have a value where the table has no column."""
        for number, target in self._of(name, last=last):
            if target.delete_when is not None:
                try:
                    builder.mark(marker(number), given.condition(target.delete_when))
                except HeadgateError as error:
                    raise located(error, self.pipeline, ("targets", number, "delete_when")) from error.__cause__
            if strange := self._strange(number, builder.columns):
                absent = exp.and_(*(exp.Is(this=column(each), expression=exp.null()) for each in strange))
                message = f"no value in {', '.join(strange)}: {target.table} has no such column"
                rule = Rule(f"columns of {target.table}", "error", "quarantine", message, -1)
                shape = RowRule(absent, message)
                bind_rules(builder, [shape])
                judge(builder, [(rule, shape)], name)

    def refuses(self, name: str, builder: PassBuilder) -> bool:
        """Whether a table that is written from the last step, of that name, may have rows held back."""
        return any(self._strange(number, builder.columns) for number, _ in self._of(name, last=True))

    def _strange(self, number: int, columns: Sequence[Column]) -> tuple[str, ...]:
        """The columns that a target's table lacks and is not to get."""
        known = self.tables.get(number)
        return () if known is None else tuple(item.name for item in columns if item.name.lower() not in known)

    def stages(self, builder: PassBuilder, name: str, relation: str, *, last: bool) -> Iterator[Write]:
        """The stages that write the rows of a pass."""
        columns, told = builder.columns, followed(self.pipeline)
        lineage = tuple((item.name, tuple(sorted(builder.lineage.get(item.name, ())))) for item in columns)
        for number, target in self._of(name, last=last):
            strange = self._strange(number, columns)
            written = tuple(item for item in columns if item.name not in strange)
            stage = write_stage(self.pipeline, number, target, relation, self.stores[number], written, followed=told)
            yield replace(stage, lineage=lineage, omitted=strange)
