"""``recompute: affected``: of an incremental source, all rows of the groups that new rows belong to are read again.

The groups are found by the steps before the first one that looks at groups, over the new rows: also over those that a
filter leaves out, for they may have been in. They are told by the columns that all steps over groups have in common.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from sqlglot import exp

from headgate.config.models import Pipeline
from headgate.core.errors import Code, FatalError
from headgate.core.models import ReadOptions
from headgate.plan.partial import is_setwise
from headgate.plan.passes import DIALECT, PassBuilder
from headgate.plan.places import located
from headgate.plan.stages import Affected
from headgate.plan.trees import table
from headgate.sql.shapes import Deduplicate, Drop, Lookup, Note, Project, Reshape, Shape, column

_BY_KEY = ("upsert", "merge")


def recomputed(source: ReadOptions) -> bool:
    """Whether groups are to be completed: only a source that gives what is new has incomplete ones."""
    return source.recompute == "affected" and source.mode == "incremental"


@dataclass
class Regrouping:
    """What is known, step by step, of the columns that tell the groups of a pipeline."""

    own: set[str] = field(default_factory=set)
    """Columns that are as the source gives them, until groups are made."""
    chosen: set[str] | None = None
    """Columns that tell the groups of every step so far; None: no step looked at groups."""
    same: set[str] = field(default_factory=set)
    """Which of them still have the same values."""
    before: PassBuilder | None = None
    """The pass in front of the first step over groups."""
    step: str = ""

    def see(self, shape: Shape, builder: PassBuilder, step: str, reads: str) -> None:
        """Take the next shape; ``builder`` has those before it, ``reads`` is the source's relation.

        Raises:
            FatalError: PLAN_INVALID where no group can be told, UNSUPPORTED where the steps before are no single pass.
        """
        if is_setwise(shape):
            groups = groups_of(shape)
            if self.chosen is None:
                if builder.reads != reads:
                    why = "the rows before it are made by Python, by SQL or by a rule over all rows"
                    raise _refused(Code.UNSUPPORTED, why, step)
                self.before = replace(builder, ctes=list(builder.ctes), extra=list(builder.extra))
                self.chosen, self.step = set(groups), step
            else:
                self.chosen &= groups & self.same
            if not self.chosen:
                raise _refused(Code.PLAN_INVALID, "it has no groups of its own, so a new row touches all of them", step)
            self.same = set(self.chosen)
        if self.chosen is None:
            self.own = kept(shape, self.own)
        else:
            self.same = kept(shape, self.same)

    def affected(self, pipeline: Pipeline) -> Affected | None:
        """What is read again; None if no step looks at groups. Raises PLAN_INVALID for targets that would double."""
        if self.chosen is None or self.before is None:
            return None
        for number, target in enumerate(pipeline.targets):
            if target.mode not in _BY_KEY or target.delete_missing:
                raise located(
                    FatalError(
                        Code.PLAN_INVALID,
                        f"groups are computed again, and mode {target.mode} cannot replace what is there of them",
                        operation="plan",
                        object=target.table,
                        hint="use mode: upsert or merge with the groups as keys",
                    ),
                    pipeline,
                    ("targets", number),
                )
        names = [item.name for item in self.before.columns if item.name in self.chosen]
        keys = exp.select(*(column(name) for name in names)).distinct().from_(table(self.before.last))
        for name, body in self.before.ctes:
            keys = keys.with_(exp.to_identifier(name, quoted=True), as_=body)
        types = {item.name: item.type for item in self.before.columns}
        pushed = tuple(name for name in names if name in self.own and types[name].upper() in _PUSHED)
        sides = tuple(dict.fromkeys(self.before.sides))
        return Affected(tuple(names), keys.sql(DIALECT, pretty=True), pushed, sides)

    def drop(self) -> Drop:
        """Rows of groups that nothing touched leave."""
        assert self.before is not None
        assert self.chosen is not None
        names = [item.name for item in self.before.columns if item.name in self.chosen]
        mine = exp.Struct(expressions=[exp.PropertyEQ(this=exp.to_identifier(n), expression=column(n)) for n in names])
        there = exp.select(mine.copy()).from_(table(TOUCHED))
        return Drop(exp.In(this=mine, query=exp.Subquery(this=there)), "filtered", (TOUCHED,))


TOUCHED = "touched_groups"
"""The relation of the groups that new rows belong to."""
_PUSHED = {"BIGINT", "INTEGER", "SMALLINT", "TINYINT", "VARCHAR"}
"""Types whose values every database compares as the engine does, or more widely."""


def groups_of(shape: Shape) -> set[str]:
    """Columns that tell the groups of a shape apart; with several windows, those that all have."""
    match shape:
        case Reshape():
            group = shape.query.args.get("group")
            return _names(group.expressions) if group else set()
        case Project():
            windows = [window for _, value in shape.columns for window in value.find_all(exp.Window)]
            found = [_names(window.args.get("partition_by") or ()) for window in windows]
            return set.intersection(*found) if found else set()
        case Deduplicate():
            return set(shape.keys)
        case _:
            return set()


def kept(shape: Shape, names: set[str]) -> set[str]:
    """Which of the columns have their name and values after a shape."""
    match shape:
        case Project():
            changed = {name for flag in shape.flags if flag.on_error in ("null", "log") for name in flag.columns}
            same = {name for name, value in shape.columns if isinstance(value, exp.Column) and value.name == name}
            return (names & same) - changed
        case Reshape():
            return names & _names(shape.query.expressions) if shape.grouped else set()
        case Drop() | Deduplicate() | Lookup() | Note():
            return names
        case _:
            return set()


def _names(expressions: Iterable[exp.Expr] | Sequence[exp.Expr]) -> set[str]:
    return {found.name for found in expressions if isinstance(found, exp.Column)}


def _refused(code: Code, message: str, step: str) -> FatalError:
    return FatalError(
        code,
        f"recompute: affected is not possible: {message}",
        operation="plan",
        object=step,
        hint="read the source in full, or assert groups: complete",
    )
