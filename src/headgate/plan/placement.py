"""Where the rows of a plan are worked on: the pass that looks for a way to leave them undecoded, and says why not.

A plan of one pass between two databases of one kind can be one statement there, if all that it does is on the
allow-list of :mod:`headgate.sql.postgres`. The stages of the engine stay in the plan: they are what runs when a row
turns up that must be held back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from sqlglot import exp

from headgate.core.contracts import Column
from headgate.core.errors import Code, FatalError
from headgate.core.grounds import Ground
from headgate.core.sites import Site
from headgate.plan.derivation import Derivation, types_over
from headgate.plan.grouping import Groups, grouped
from headgate.plan.passes import DIALECT, Bind
from headgate.plan.sets import set_query
from headgate.plan.stages import Audit, Check, Keep, Move, Place, Placement, Scan, Stage, Transform, Write
from headgate.plan.trail import Step, Trail
from headgate.sql.postgres import Translator, Untranslatable, asks_failure, typed
from headgate.sql.shapes import ALIVE, Branch, Call, Deduplicate, Drop, Lookup, Note, Project, Reshape
from headgate.sql.types import parse_type

_CONFINED = {"decimal", "date", "timestamp", "timestamptz"}
"""Families of which a server may hold values that the engine cannot: NaN, infinity, too many digits."""
WHY: Mapping[Place, str] = {
    "duckdb": "",
    "relay": "nothing changes the rows: their bytes pass as they are",
    "source": "all that changes the rows is SQL that gives the same there: the source's server does it",
    "server": "source and target are one database: it moves the rows itself",
}


@dataclass(frozen=True)
class Sites:
    """What is known of the systems: of the main source, and of each target's store.

    ``ground``: what the main source may be asked to leave out.
    """

    source: Site = field(default_factory=Site)
    targets: tuple[Site, ...] = ()
    ground: Ground = field(default_factory=Ground)


def place(
    stages: Sequence[Stage], audit: Audit, trails: Mapping[str, Trail], sites: Sites, wanted: str, bind: Bind
) -> tuple[Placement, Move | None]:
    """Decide.

    Args:
        stages: scans and passes of the plan.
        audit: its last checks.
        trails: how each pass came about, by relation.
        sites: where source and targets are.
        wanted: ``auto``, or the place that must be taken.
        bind: gives the types of a SELECT over one relation.

    Raises:
        FatalError: UNSUPPORTED when ``wanted`` cannot be had, with the reason.
    """
    if wanted == "duckdb":
        return Placement("duckdb", "the pipeline says engine: duckdb"), None
    try:
        move = _Mover(stages, audit, trails, sites, bind).move(wanted)
    except Untranslatable as reason:
        if wanted == "auto":
            return Placement("duckdb", str(reason)), None
        raise FatalError(
            Code.UNSUPPORTED,
            f"engine: {wanted} is not possible: {reason}",
            operation="plan",
            hint="leave engine: out, or say engine: duckdb",
        ) from None
    return Placement(move.place, WHY[move.place]), move


class _Mover:
    def __init__(
        self, stages: Sequence[Stage], audit: Audit, trails: Mapping[str, Trail], sites: Sites, bind: Bind
    ) -> None:
        self._scan, self._passes, self._write = _parts(stages)
        self._pass = self._passes[-1]
        self._check = next(s for s in stages if isinstance(s, Check) and s.relation == self._pass.relation)
        self._audit, self._sites, self._bind = audit, sites, bind
        self._steps = [step for each in self._passes for step in trails[each.relation].steps]
        self._rules = trails[self._pass.relation].rules
        self._derivation = Derivation(self._scan, bind)
        self._groups: Groups | None = None

    def move(self, wanted: str) -> Move:
        self._reachable()
        self._countable()
        if wanted == "auto" and any(rule.action == "quarantine" for rule in self._check.rules):
            raise Untranslatable("a rule holds rows back, and the engine splits them while it reads them once")
        where = self._walk()
        columns = self._columns()
        groups = self._groups.keys if self._groups is not None else None
        changed = bool(where) or groups is not None or any(sql != _quoted(name) for name, sql in columns)
        one = self._sites.source.place == self._sites.targets[0].place
        kind: Place = "server" if one else "source" if changed else "relay"
        match wanted:
            case "relay" if changed:
                raise Untranslatable("steps change the rows")
            case "server" if not one:
                raise Untranslatable("source and target are not one database, with one login")
            case "relay" | "source":
                kind = "source" if wanted == "source" else "relay"
            case _:
                pass
        return Move(
            kind,
            self._pass.relation,
            self._scan.relation,
            self._write.target,
            columns,
            tuple(where),
            self._checking(),
            tuple((index, set_query(check, self._pass.relation)) for index, check in enumerate(self._audit.sets)),
            groups,
            self._proofs(where),
        )

    def _columns(self) -> tuple[tuple[str, str], ...]:
        """Each column that is written, with its SQL over the source's."""
        if self._groups is not None:
            return tuple((item.name, self._groups.columns[item.name]) for item in self._pass.columns)
        return tuple((item.name, self._translate(self._derivation.values[item.name])) for item in self._pass.columns)

    def _proofs(self, where: Sequence[str]) -> tuple[str, ...]:
        """The engine would read every value; the server looks at those it needs: these look at the others."""
        written = {found.name for value in self._derivation.values.values() for found in value.find_all(exp.Column)}
        proofs = []
        for item in self._derivation.base:
            if not self._is_read(item.name) or parse_type(item.type).family not in _CONFINED:
                continue
            if self._groups is not None or item.name not in written:
                proofs.append(f"count({_quoted(item.name)})")
            elif where:
                proofs.append(f"count({_quoted(item.name)}) FILTER (WHERE NOT ({' AND '.join(where)}))")
        return tuple(proofs)

    def _is_read(self, name: str) -> bool:
        return not self._scan.reads or name in self._scan.reads

    def _countable(self) -> None:
        """Rules must be about single rows of the pass, about counts, or about sets in SQL that servers share."""
        audit = self._audit
        if audit.calls or audit.previews or any(check.columns or check.nulls for check in audit.measures):
            raise Untranslatable("a rule looks at rows that only the engine sees")
        if any(rule.gate != "transform" for rule in self._check.rules):
            raise Untranslatable("a rule stands at the gate of extraction")
        if any(shape.relations for _, shape in self._rules):
            raise Untranslatable("a rule looks into another relation")

    def _reachable(self) -> None:
        source, target = self._sites.source, self._sites.targets[0]
        for site, name in ((source, "the source"), (target, "the target")):
            if site.obstacle or not site.dialect:
                raise Untranslatable(site.obstacle or f"{name} is not a server that moves rows by itself")
        if source.dialect != target.dialect:
            raise Untranslatable("source and target speak different SQL")
        closed = [c.name for c in self._scan.columns if c.name not in source.columns and self._is_read(c.name)]
        if closed:
            raise Untranslatable(f'column "{closed[0]}" of the source is of a type that only the engine converts')

    def _walk(self) -> list[str]:  # noqa: C901 - one case a shape
        """Every column as an expression over the source's, and the conditions under which rows stay."""
        where: list[str] = []
        for step in self._steps:
            if self._groups is not None and not isinstance(step.shape, Note):
                raise Untranslatable("a step after the groups is the engine's work")
            match step.shape:
                case Project() if step.applied < 0:
                    self._derivation.cast(self._after(step))
                case Project():
                    if not all(asks_failure(flag.condition) for flag in step.shape.flags):
                        raise Untranslatable("a step finds errors in rows by itself")
                    self._derivation.project(step.shape)
                case Drop():
                    if step.shape.relations:
                        raise Untranslatable("a filter looks into another relation")
                    where.append(f"({self._translate(self._derivation.over(step.shape.keep))}) IS TRUE")
                case Note():
                    pass
                case Reshape():
                    after = self._after(step)
                    self._groups = grouped(step.shape, step.columns, after, self._derivation, self._bind)
                case Deduplicate() | Lookup() | Call() | Branch():
                    raise Untranslatable(f"{_NAMES[type(step.shape)]} is the engine's work")
                case _:
                    assert_never(step.shape)
        return where

    def _after(self, step: Step) -> tuple[Column, ...]:
        number = next(place for place, each in enumerate(self._steps, 1) if each is step)
        return self._steps[number].columns if number < len(self._steps) else self._pass.columns

    def _translate(self, value: exp.Expr) -> str:
        return Translator(self._derivation.types(value)).sql(value)

    def _checking(self) -> tuple[str, ...]:
        """For each row rule, in their order, the condition of rows that break it."""
        parts = []
        for _, rule in self._rules:
            holds = rule.holds.copy().transform(
                lambda node: exp.true() if isinstance(node, exp.Column) and node.name == ALIVE else node
            )
            types = typed(holds, types_over(self._bind, self._pass.relation, self._pass.columns))
            parts.append(f"NOT ({Translator(types).sql(holds)})")
        return tuple(parts)


_NAMES = {
    Deduplicate: "deduplication",
    Lookup: "a join",
    Call: "a Python step",
    Branch: "a second output",
}


def _parts(stages: Sequence[Stage]) -> tuple[Scan, list[Transform], Write]:
    scans = [stage for stage in stages if isinstance(stage, Scan)]
    passes = [stage for stage in stages if isinstance(stage, Transform)]
    writes = [stage for stage in stages if isinstance(stage, Write)]
    if len(scans) != 1 or scans[0].source != 0:
        raise Untranslatable("more than one relation is read" if len(scans) > 1 else "held rows are replayed")
    if len(writes) != 1:
        raise Untranslatable("there is more than one target")
    if not writes[0].plain:
        raise Untranslatable("the target's mode adds columns to the rows, or looks at each")
    kept = [stage.spool for stage in stages if isinstance(stage, Keep) and not stage.spool.endswith("_audit")]
    *before, last = passes
    if before and last.counted == "groups" and len(before) == 1 and before[0].counted == "rows":
        ruled = any(stage.rules for stage in stages if isinstance(stage, Check) and stage.relation == kept[0])
        if ruled or kept != [before[0].relation] or last.reads != kept[0]:
            raise Untranslatable("a rule looks at the single rows, before groups are made of them")
    elif before:
        raise Untranslatable("the steps need more than one pass")
    elif last.counted == "reshaped" or kept:
        raise Untranslatable("a step is over sets of rows")
    return scans[0], passes, writes[0]


def _quoted(name: str) -> str:
    return exp.to_identifier(name, quoted=True).sql(DIALECT)
