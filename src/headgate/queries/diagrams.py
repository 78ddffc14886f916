"""Diagrams of pipelines and runs: what each kind needs is read here, and drawn in ``headgate.diagrams``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from headgate.core.errors import Code, FatalError
from headgate.core.runs import Receipt
from headgate.diagrams.document import Diagram
from headgate.diagrams.pipelines.chain import Chain, chain_of
from headgate.diagrams.pipelines.measured import UNTIMED, Times, times_of
from headgate.execute.workspace import Workspace
from headgate.plan.stages import Plan
from headgate.queries.plans import plan as query_plan

KEPT = 50
"""Runs that a picture of branches shows at most."""


@dataclass(frozen=True)
class Wanted:
    """What is to be drawn. ``name`` may be empty for kinds that show the whole project."""

    name: str = ""
    kind: str = ""
    run: str | None = None
    depth: int | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Material:
    """What the kinds draw from, read when it is asked for."""

    workspace: Workspace
    wanted: Wanted

    @property
    def receipt(self) -> Receipt | None:
        if self.wanted.run is None:
            return None
        found = self.workspace.history.get(self.workspace.project.name, self.wanted.run)
        if self.wanted.name and found.pipeline != self.wanted.name:
            raise _usage(f"the run is one of {found.pipeline}", self.wanted.run)
        return found

    @property
    def newest(self) -> Receipt:
        """The run that was named, or the newest."""
        if self.wanted.run is not None:
            assert self.receipt is not None
            return self.receipt
        found = self.workspace.history.runs(self.workspace.project.name, (self.name,), 1)
        if not found:
            raise FatalError(
                Code.NOT_FOUND,
                "there was no run yet",
                operation="diagram",
                object=self.name,
                hint=f"headgate run {self.name}, or another --kind",
            )
        return found[0]

    @property
    def name(self) -> str:
        if self.wanted.name:
            return self.wanted.name
        receipt = self.receipt
        if receipt is not None:
            return receipt.pipeline
        raise _usage(f"a diagram of kind {self.wanted.kind or 'architecture'} needs the name of a pipeline", "NAME")

    @property
    def chain(self) -> Chain:
        return chain_of(self.workspace.project, self.name)

    @property
    def chains(self) -> list[Chain]:
        return [chain_of(self.workspace.project, name) for name in self.workspace.project.pipelines]

    def plan(self, name: str) -> Plan:
        return query_plan(self.workspace, name, None, self.wanted.variables)

    def times(self, receipt: Receipt | None) -> Times:
        return times_of(self.workspace.state / "logs", receipt.run_id) if receipt is not None else UNTIMED


def diagram(workspace: Workspace, wanted: Wanted) -> Diagram:
    """Draw.

    Raises:
        FatalError: USAGE for a kind that is not known or lacks a name, NOT_FOUND for a pipeline or run that is not
            there; what keeps a pipeline from being planned, for kinds that need its plan.
    """
    kind = wanted.kind or ("run" if wanted.run else "architecture" if wanted.name else "dag")
    if kind not in KINDS:
        raise _usage(f'"{kind}" is not a kind of diagram', kind, f"kinds: {', '.join(KINDS)}")
    if wanted.run and kind in ("lineage", "er", "dag", "branch"):
        raise _usage(f"a diagram of kind {kind} is not that of one run", "--run", "leave --run out")
    return KINDS[kind](_Material(workspace, wanted))


def _usage(message: str, of: str, hint: str = "see: headgate diagram --help") -> FatalError:
    return FatalError(Code.USAGE, message, operation="diagram", object=of, hint=hint)


def _architecture(given: _Material) -> Diagram:
    from headgate.diagrams.pipelines.architecture import architecture

    receipt = given.receipt
    return architecture(given.chain, receipt, given.times(receipt))


def _activity(given: _Material) -> Diagram:
    from headgate.diagrams.pipelines.activity import activity

    receipt = given.receipt
    return activity(given.chain, receipt, given.times(receipt))


def _lineage(given: _Material) -> Diagram:
    from headgate.diagrams.pipelines.lineage import lineage

    return lineage(given.plan(given.name))


def _sequence(given: _Material) -> Diagram:
    from headgate.diagrams.pipelines.sequence import sequence

    receipt, chain = given.receipt, given.chain
    return sequence(
        given.plan(given.name),
        chain.pipeline.error_handling.retry,
        scheduled=chain.pipeline.schedule is not None,
        receipt=receipt,
        measured=given.times(receipt),
    )


def _dag(given: _Material) -> Diagram:
    from headgate.diagrams.pipelines.dag import dag

    project, around = given.workspace.project, given.wanted.name or None
    if around is not None:
        project.pipelines.get(around) or project.pipeline(around)
    return dag(project.name, given.chains, around=around, depth=given.wanted.depth)


def _er(given: _Material) -> Diagram:
    from headgate.diagrams.pipelines.er import er

    project, name = given.workspace.project, given.wanted.name
    names = [name] if name else list(project.pipelines)
    title = f"Tables of {name}" if name else f"Tables of {project.name}"
    return er(title, [(chain_of(project, one), given.plan(one)) for one in names])


def _run(given: _Material) -> Diagram:
    from headgate.diagrams.pipelines.outcome import outcome

    receipt = given.newest
    known = receipt.pipeline in given.workspace.project.pipelines
    chain = chain_of(given.workspace.project, receipt.pipeline) if known else None
    return outcome(receipt, chain, given.times(receipt))


def _branch(given: _Material) -> Diagram:
    from headgate.diagrams.pipelines.branch import branch

    project, name = given.workspace.project, given.wanted.name
    if name:
        project.pipelines.get(name) or project.pipeline(name)
    wanted = [name] if name else [one for one, pipeline in project.pipelines.items() if _in_lake(pipeline)]
    found = given.workspace.history.runs(project.name, wanted, KEPT) if wanted else []
    return branch(f"Branches of {name or 'the lake'}", found[::-1])


def _in_lake(pipeline: Any) -> bool:
    return any(address.group == "lake" for address in pipeline.target_addresses)


def _state(given: _Material) -> Diagram:
    from headgate.diagrams.pipelines.state import life

    return life(given.receipt)


KINDS: Mapping[str, Callable[[_Material], Diagram]] = {
    "architecture": _architecture,
    "activity": _activity,
    "lineage": _lineage,
    "sequence": _sequence,
    "dag": _dag,
    "er": _er,
    "run": _run,
    "branch": _branch,
    "state": _state,
}
