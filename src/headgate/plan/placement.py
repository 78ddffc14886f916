"""Where the rows of a plan are worked on: the pass that looks for a way to leave them undecoded, and says why not.

A plan of one pass between two databases of one kind can be one statement there, if all that it does is on the
allow-list of :mod:`headgate.sql.postgres`. The stages of the engine stay in the plan: they are what runs when a row
turns up that must be held back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.core.grounds import Ground
from headgate.core.sites import Site
from headgate.plan.derivation import types_over
from headgate.plan.fetching import fetch, refuse_closed, refuse_order
from headgate.plan.passes import DIALECT, Bind
from headgate.plan.sets import set_query
from headgate.plan.stages import Audit, Check, Fetch, Keep, Move, Place, Placement, Scan, Stage, Transform, Write
from headgate.plan.trail import Trail
from headgate.plan.translation import Translation
from headgate.sql.postgres import Translator, Untranslatable, typed
from headgate.sql.shapes import ALIVE

FETCHED = "its server makes the groups as the engine would, and the engine does the rest"
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
) -> tuple[Placement, Move | Fetch | None]:
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
    except Untranslatable as unmoved:
        reason = unmoved
        if wanted in ("auto", "source") and any(s.counted == "groups" for s in stages if isinstance(s, Transform)):
            try:
                return Placement("source", FETCHED), fetch(stages, audit, trails, sites.source, bind)
            except Untranslatable as unfetched:
                reason = unfetched
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

    def move(self, wanted: str) -> Move:
        self._reachable()
        self._countable()
        if wanted == "auto" and any(rule.action == "quarantine" for rule in self._check.rules):
            raise Untranslatable("a rule holds rows back, and the engine splits them while it reads them once")
        found = Translation(self._scan, self._steps, self._pass.columns, self._bind)
        refuse_order(found, self._sites.source)
        columns = found.columns()
        groups = found.groups.keys if found.groups is not None else None
        proofs = found.proofs()
        asked = bool(found.where or proofs) or groups is not None
        changed = asked or any(sql != _quoted(name) for name, sql in columns)
        checking = self._checking()
        sets = tuple((index, set_query(check, self._pass.relation)) for index, check in enumerate(self._audit.sets))
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
            tuple(found.where),
            checking,
            sets,
            groups,
            None if asked or checking or sets else self._looked_at(columns),
            proofs,
        )

    def _looked_at(self, columns: Sequence[tuple[str, str]]) -> tuple[str, ...] | None:
        """The source's columns by which rows find their place in the target; None where a value is computed."""
        plain = {_quoted(name): name for name in self._sites.source.columns}
        if any(sql not in plain for _, sql in columns):
            return None
        return tuple(plain[sql] for name, sql in columns if name in self._write.chosen_by)

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
        refuse_closed(self._scan, source)

    def _checking(self) -> tuple[str, ...]:
        """For each row rule, in their order, the condition of rows that break it."""
        held = [
            rule.holds.copy().transform(
                lambda node: exp.true() if isinstance(node, exp.Column) and node.name == ALIVE else node
            )
            for _, rule in self._rules
        ]
        translator = Translator(typed(held, types_over(self._bind, self._pass.relation, self._pass.columns)))
        return tuple(f"NOT ({translator.sql(holds)})" for holds in held)


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
    kept = [stage.spool for stage in stages if isinstance(stage, Keep) and stage.spool == stage.relation]
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
