"""The documentation of a project as files, and how what was written differs from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from headgate.diagrams.document import Diagram
from headgate.diagrams.pages.site import differences, site
from headgate.diagrams.pipelines.chain import Chain, chain_of
from headgate.diagrams.pipelines.er import er
from headgate.diagrams.pipelines.lineage import lineage
from headgate.diagrams.pipelines.sequence import sequence
from headgate.execute.workspace import Workspace
from headgate.queries.plans import plan

SHOWN = 40
"""Runs in the chart of a pipeline."""


def pages(workspace: Workspace, *, live: bool = False, variables: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """Path to content of every file of the site.

    Args:
        live: ask the sources too, so that lineage, tables and messages of each plan are drawn.

    Raises:
        HeadgateError: for steps or rules that are wrong; with ``live``, when a pipeline cannot be planned.
    """
    project = workspace.project
    chains = [chain_of(project, name) for name in project.pipelines]
    receipts = {chain.name: workspace.history.runs(project.name, (chain.name,), SHOWN)[::-1] for chain in chains}
    planned = {chain.name: _planned(workspace, chain, variables) for chain in chains} if live else {}
    return site(project.name, project.defaults.timezone, chains, receipts, planned)


def _planned(
    workspace: Workspace, chain: Chain, variables: Mapping[str, str] | None
) -> tuple[tuple[str, Diagram], ...]:
    found = plan(workspace, chain.name, None, variables)
    retry, scheduled = chain.pipeline.error_handling.retry, chain.pipeline.schedule is not None
    return (
        ("Column lineage", lineage(found)),
        ("Tables", er(f"Tables of {chain.name}", [(chain, found)])),
        ("Messages of a run", sequence(found, retry, scheduled=scheduled)),
    )


def drift(wanted: Mapping[str, bytes], folder: Path) -> list[dict[str, str]]:
    """``path`` and ``problem`` of each file in the folder that is not as the project has it now."""
    there = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
    return [{"path": path, "problem": problem} for path, problem in differences(wanted, there)]
