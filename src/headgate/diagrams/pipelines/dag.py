"""DAG: the pipelines of a project, what they wait for, and the tables that lie between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headgate.config.cron_words import in_words
from headgate.core.runs import Receipt, Status
from headgate.diagrams.fold import NODES
from headgate.diagrams.graph import EdgeKind, Graph
from headgate.diagrams.palette import Role
from headgate.diagrams.pipelines.chain import Chain
from headgate.diagrams.pipelines.sketch import Sketch
from headgate.diagrams.pipelines.words import place, rows

BAD = (Status.FAILED, Status.REFUSED, Status.UNKNOWN)


def dag(
    project: str,
    chains: Iterable[Chain],
    *,
    around: str | None = None,
    depth: int | None = None,
    last: Mapping[str, Receipt] | None = None,
) -> Graph:
    """All pipelines, or those at most ``depth`` pipelines away from ``around``; framed by their first tags.

    Args:
        last: the last run of pipelines, which is then told in their nodes.
    """
    known = list(chains)
    near = {chain.name for chain in known} if around is None else _near(known, around, depth)
    shown = [chain for chain in known if chain.name in near]
    sketch = Sketch(f"Pipelines of {project}", "LR")
    for chain in shown:
        _pipeline(sketch, chain, (last or {}).get(chain.name))
    tables = {key for chain in shown for key in (*_reads(chain), *_writes(chain))}
    if len(shown) + len(tables) <= NODES:
        _with_tables(sketch, shown)
    else:
        _without_tables(sketch, shown)
    for chain in shown:
        for other in chain.pipeline.depends_on:
            if other in near:
                sketch.edge(other, chain.name, "before", EdgeKind.DEPENDS)
    return sketch.graph()


def _with_tables(sketch: Sketch, shown: list[Chain]) -> None:
    written = {key for chain in shown for key in _writes(chain)}
    for chain in shown:
        for system, what in _reads(chain):
            role = Role.TARGET if (system, what) in written else Role.SOURCE
            sketch.edge(sketch.node(f"{system} {what}", what, role, (system,)), chain.name)
        for system, what in _writes(chain):
            sketch.edge(chain.name, sketch.node(f"{system} {what}", what, Role.TARGET, (system,)))


def _without_tables(sketch: Sketch, shown: list[Chain]) -> None:
    """Too many tables to draw: they stand on the ways between pipelines."""
    writers: dict[tuple[str, str], list[str]] = {}
    for chain in shown:
        for key in _writes(chain):
            writers.setdefault(key, []).append(chain.name)
    for chain in shown:
        for system, what in _reads(chain):
            for writer in writers.get((system, what), ()):
                if writer != chain.name:
                    sketch.edge(writer, chain.name, what)


def upstream(chains: Iterable[Chain]) -> dict[str, set[str]]:
    """For each pipeline those it waits for, by ``depends_on`` or by reading what they write."""
    known = list(chains)
    writers: dict[tuple[str, str], set[str]] = {}
    for chain in known:
        for key in _writes(chain):
            writers.setdefault(key, set()).add(chain.name)
    return {
        chain.name: ({name for key in _reads(chain) for name in writers.get(key, ())} | set(chain.pipeline.depends_on))
        - {chain.name}
        for chain in known
    }


def _near(chains: list[Chain], around: str, depth: int | None) -> set[str]:
    """Pipelines up and down the stream from one."""
    before = upstream(chains)
    after: dict[str, set[str]] = {name: set() for name in before}
    for name, others in before.items():
        for other in others & set(after):
            after[other].add(name)
    found = {around}
    for links in (before, after):
        edge, left = {around}, depth if depth is not None else len(chains)
        while edge and left > 0:
            edge = {other for name in edge for other in links.get(name, ())} - found
            found |= edge
            left -= 1
    return found


def _pipeline(sketch: Sketch, chain: Chain, receipt: Receipt | None) -> None:
    pipeline = chain.pipeline
    detail = [in_words(pipeline.schedule)] if pipeline.schedule else []
    role = Role.ORCHESTRATION
    if receipt is not None:
        detail.append(f"{receipt.status.value}: {rows(receipt.rows.loaded)}")
        role = Role.ERROR if receipt.status in BAD else role
    group = sketch.group(f"tag {pipeline.tags[0]}", pipeline.tags[0]) if pipeline.tags else ""
    sketch.node(chain.name, chain.name, role, detail, group)


def _reads(chain: Chain) -> list[tuple[str, str]]:
    found = [(source.system, place(source.read)) for source in chain.sources]
    return list(dict.fromkeys([*found, *((side.system, side.place) for side in chain.sides)]))


def _writes(chain: Chain) -> list[tuple[str, str]]:
    return list(dict.fromkeys((target.system, target.write.table) for target in chain.targets))
