"""The checklist of a project as it stands."""

from __future__ import annotations

from headgate.core.runs import Receipt
from headgate.diagrams.pages.checklist import Facts, Line, answers, lines
from headgate.diagrams.pipelines.chain import chain_of
from headgate.execute.workspace import Workspace


def checklist(workspace: Workspace, names: tuple[str, ...] = ()) -> list[Line]:
    """Every item, for the pipelines named or for all. Raises NOT_FOUND for a pipeline that is not there."""
    project = workspace.project
    chains = tuple(chain_of(project, name) for name in names or tuple(project.pipelines))
    last: dict[str, Receipt] = {}
    for chain in chains:
        found = workspace.history.runs(project.name, (chain.name,), 1)
        last |= {chain.name: found[0]} if found else {}
    return lines(Facts(chains, last), answers(project.root))
